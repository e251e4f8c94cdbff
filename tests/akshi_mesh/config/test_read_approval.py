"""`[agents.approval]` and `[approval]`: an agent is never freer than its owner wrote."""

import pytest

from sandbox.approvals import ApprovalRule
from sandbox.capability import Capability
from tests.akshi_mesh.config.test_read import AGENT, DID, read, wrong

ALICE = "did:key:z6MkehRgf7yJbgaGfYsdoAsKdBPE3dj2CYhowQdcjqSJgvVd"
CAPS = "[agents.capabilities]\nhttp_fetch = true\njournal = true\n[agents.approval]\n"


def rules(text: str, *, before: str = "") -> dict[Capability, ApprovalRule]:
    (agent,) = read(before + AGENT + CAPS + text).agents
    return dict(agent.approval)


def test_a_bool_asks_always_or_never_and_nothing_written_asks_for_high_risk() -> None:
    assert rules("http_fetch = true") == {
        Capability.HTTP_FETCH: ApprovalRule("always"),
        Capability.JOURNAL: ApprovalRule("high"),
    }
    assert rules("http_fetch = false")[Capability.HTTP_FETCH] == ApprovalRule("never")


def test_the_timeout_of_the_book_holds_for_all_and_a_table_wins() -> None:
    written = rules(
        'timeout_secs = 60\nhttp_fetch = { when = "medium", timeout_s = 5, quorum = 2 }',
        before=f'[approval]\noperators = ["{ALICE}"]\n',
    )
    assert written == {
        Capability.HTTP_FETCH: ApprovalRule("medium", 5, 2),
        Capability.JOURNAL: ApprovalRule("high", 60),
    }


def test_a_table_that_does_not_say_when_asks_always() -> None:
    assert rules("http_fetch = { timeout_s = 9 }")[Capability.HTTP_FETCH].when == "always"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('http_fetch = "yes"', "'http_fetch' wants true or false"),
        ("http_fetch = { when = 'sometimes' }", "'when' wants"),
        ("http_fetch = { quorum = 2 }", "wants 1 to 1: this node alone answers"),
        ("http_fetch = { quorum = 0 }", "wants 1 to 1"),
        ("http_fetch = { timeout_s = 0 }", "'timeout_s' wants 1 to 86400"),
        ("http_fetch = { timeout_secs = 3 }", "write timeout_s here"),
        ("http_fetch = { who = 'me' }", "unknown key 'who'"),
        ("timeout_secs = 86401", "'timeout_secs' wants"),
        ("http_fecth = true", "did you mean 'http_fetch'"),
    ],
)
def test_what_means_nothing_stops_the_start(text: str, part: str) -> None:
    (problem,) = wrong(AGENT + CAPS + text)
    assert part in problem


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("operators = ['alice']", "'operators' wants did:key"),
        (f"operators = ['{DID}', '{DID}']", "is there twice"),
        ("spend = true", "write it under [agents.approval]"),
        ("operator = []", "did you mean 'operators'"),
    ],
)
def test_operators_that_cannot_be(text: str, part: str) -> None:
    assert part in wrong("[approval]\n" + text)[0]


def test_operators_are_dids() -> None:
    config = read(f'[approval]\noperators = ["{ALICE}"]')
    assert [str(did) for did in config.approval.operators] == [ALICE]
    assert read("").approval.operators == ()
