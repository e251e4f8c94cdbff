"""The agent without a node: `akshi_testing` plays the host."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "sdk"))
import akshi_testing

akshi_testing.install()
import agent


class TestAgent(unittest.TestCase):
    def test_it_counts_and_notes(self) -> None:
        host = akshi_testing.host({"journal.append": lambda tag, text: '{"id": "1"}'})
        self.assertEqual(akshi_testing.ask(agent.WitWorld, "to be"), "2 words, noted as 1")
        self.assertEqual(host.calls, [("journal.append", ("task", "to be"))])

    def test_a_refusal_is_not_fatal(self) -> None:
        akshi_testing.host()
        said = akshi_testing.ask(agent.WitWorld, "to be")
        self.assertEqual(said, "2 words, not noted: capability-denied")

    def test_an_empty_message_fails_the_task(self) -> None:
        with self.assertRaisesRegex(akshi_testing.Failed, "no words"):
            akshi_testing.ask(agent.WitWorld, " ")


if __name__ == "__main__":
    unittest.main()
