"""The Python agent, if `make agents` has built it: 18 MB of interpreter are not committed."""

import pytest

from sandbox.worker import contract
from tests.agents.fakes import Journal, task_own
from tests.agents.harness import ROOT, Agent, AgentFailed, Host

COMPONENT = ROOT / "examples" / "build" / "python_hello.wasm"
MEMORY_BYTES = 64 << 20

pytestmark = pytest.mark.skipif(
    not COMPONENT.is_file(), reason="examples/build/python_hello.wasm is not built: make agents"
)


@pytest.fixture(scope="module")
def hello() -> Agent:
    return Agent(COMPONENT, is_fast=False)  # compiling it well takes ten seconds


def test_it_counts_notes_and_answers(hello: Agent) -> None:
    journal = Journal()
    host = Host({**task_own(), **journal.handlers()}, memory_bytes=MEMORY_BYTES)
    [answer] = host.run(hello, "to be or not To be")
    assert answer == "hello from Python: 6 words, 'to' 2 times, noted"
    assert journal.entries == [("commonest", "to")]


def test_a_fault_is_an_exception_that_it_may_catch(hello: Agent) -> None:
    [answer] = Host(task_own(), memory_bytes=MEMORY_BYTES).run(hello, "ü")
    assert answer.endswith("not noted: journal.append was not granted")


def test_a_fault_that_it_does_not_catch_fails_the_task(hello: Agent) -> None:
    with pytest.raises(AgentFailed, match=r"capability-denied: task\.progress was not granted"):
        Host(memory_bytes=MEMORY_BYTES).run(hello, "hello")


def test_giving_up_is_a_reason_that_the_sender_reads(hello: Agent) -> None:
    with pytest.raises(AgentFailed, match="the message has no words"):
        Host(task_own(), memory_bytes=MEMORY_BYTES).run(hello, " ")


def test_it_imports_nothing_but_our_world(hello: Agent) -> None:
    contract.check(hello.component, hello.engine)
