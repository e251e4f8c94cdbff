"""The smallest agent: what goes in comes out, whatever the text is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.agents.harness import AgentFailed, Examples, Host, task_json


@given(texts=st.lists(st.text(), min_size=1, max_size=4))
def test_text_parts_come_back_unchanged(examples: Examples, texts: list[str]) -> None:
    assert Host().run(examples["echo"], *texts) == texts


@given(text=st.text(st.characters(exclude_categories=())))
def test_escaped_text_is_understood_and_a_lone_surrogate_refused(
    examples: Examples, text: str
) -> None:
    """The node may escape all that is not ASCII; half a surrogate pair is not text."""
    task = json.dumps({"message": {"parts": [{"text": text}]}})
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(AgentFailed, match="not JSON"):
            Host().run_task(examples["echo"], task)
    else:
        assert json.loads(Host().run_task(examples["echo"], task)) == [{"text": text}]


def test_no_text_part_is_an_error_the_sender_can_read(examples: Examples) -> None:
    with pytest.raises(AgentFailed, match="the message has no text part"):
        Host().run_task(examples["echo"], task_json())


def test_echo_asks_nothing_of_the_host(examples: Examples) -> None:
    host = Host()
    host.run(examples["echo"], "hello")
    assert host.calls == []
