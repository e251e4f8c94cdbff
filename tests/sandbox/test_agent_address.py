"""Names of agents: one form each, globs only where they are meant."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.agent_address import AgentAddress, AgentPattern
from sandbox.errors import MalformedAgentAddress
from tests.sandbox.fakes import FRIEND, ME

NAMES = st.text("ab_.-*", min_size=1, max_size=8)


@pytest.mark.parametrize("text", [f"{FRIEND}/reader", "friend/reader", "self/r", "Jürgen/x-1.b_"])
def test_an_address_is_read_and_written_alike(text: str) -> None:
    assert str(AgentAddress.parse(text)) == text
    assert str(AgentPattern.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "reader", "friend/", "/reader", "friend/a/b", "friend/.a", "friend/-a"),
        *("did:key:z6Mk/reader", "did:web:example.org/reader", f"{FRIEND[:-1]}/x", "fr iend/a"),
        *("friend/a*", "*/a", "fri:end/a", "friend/a\n", "a" * 65 + "/x", "friend/" + "a" * 65),
    ],
)
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(MalformedAgentAddress):
        AgentAddress.parse(text)


@pytest.mark.parametrize("text", ["", "*", "*/*", "friend/", "friend/a?", "friend/[a]", "did:x/*"])
def test_a_pattern_names_one_node(text: str) -> None:
    with pytest.raises(MalformedAgentAddress):
        AgentPattern.parse(text)


@given(st.text())
def test_any_text_is_an_address_or_malformed(text: str) -> None:
    for kind in (AgentAddress, AgentPattern):
        try:
            assert str(kind.parse(text)) == text
        except MalformedAgentAddress:
            continue


@given(NAMES, st.text("ab_.-", min_size=1, max_size=8))
def test_a_star_stands_for_any_part_and_nothing_else_does(glob: str, name: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, glob.split("*"))), name) is not None
    assert AgentPattern.parse(f"friend/{glob}").covers_name(name) == expected


def test_names_become_dids() -> None:
    resolve = {"friend": FRIEND}.get
    for kind in (AgentAddress, AgentPattern):
        assert kind.parse("self/a").did(me=ME, resolve=resolve) == ME
        assert kind.parse("friend/a").did(me=ME, resolve=resolve) == FRIEND
        assert kind.parse(f"{FRIEND}/a").did(me=ME, resolve=resolve) == FRIEND
        assert kind.parse("nobody/a").did(me=ME, resolve=resolve) is None
