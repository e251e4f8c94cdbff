"""The memory of host calls: exact, bounded, and gone with its task."""

import pytest

from sync.errors import TooManyCalls
from sync.store import calls as calls_module
from sync.store.calls import ANSWER_BYTES_MAX, CALLS_MAX, Calls, Remembered
from sync.store.database import MEMORY, Database
from sync.store.tasks_schema import SCHEMA

TASK, OTHER = b"t" * 32, b"o" * 32


@pytest.fixture
def calls() -> Calls:
    return Calls(Database.open(MEMORY, schemas=SCHEMA))


def test_a_call_is_recalled_as_it_was_answered(calls: Calls) -> None:
    with calls.transaction():
        calls.remember(TASK, 0, b"hash", b"answer")
        calls.remember(TASK, 1, b"other", b"")
    assert calls.recall(TASK, 0) == Remembered(b"hash", b"answer")
    assert calls.recall(TASK, 1) == Remembered(b"other", b"")
    assert calls.recall(TASK, 2) is None
    assert calls.recall(OTHER, 0) is None


def test_a_rolled_back_call_was_never_made(calls: Calls) -> None:
    with pytest.raises(ZeroDivisionError):
        remember_and_fail(calls)
    assert calls.recall(TASK, 0) is None
    with calls.transaction():
        calls.remember(TASK, 0, b"hash", b"again")


def remember_and_fail(calls: Calls) -> None:
    with calls.transaction():
        calls.remember(TASK, 0, b"hash", b"answer")
        raise ZeroDivisionError


def test_an_ended_task_is_forgotten_and_its_neighbour_is_not(calls: Calls) -> None:
    with calls.transaction():
        calls.remember(TASK, 0, b"hash", b"answer")
        calls.remember(OTHER, 0, b"hash", b"answer")
        calls.forget(TASK)
    assert calls.recall(TASK, 0) is None
    assert calls.recall(OTHER, 0) is not None
    assert TASK not in calls._bytes, "and costs no memory"


def test_limits(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    with calls.transaction():
        for number in (-1, CALLS_MAX):
            with pytest.raises(TooManyCalls):
                calls.remember(TASK, number, b"hash", b"")
        with pytest.raises(TooManyCalls):
            calls.remember(TASK, 0, b"hash", bytes(ANSWER_BYTES_MAX + 1))
        monkeypatch.setattr(calls_module, "TASK_BYTES_MAX", 10)
        calls.remember(TASK, 0, b"hash", bytes(6))
        with pytest.raises(TooManyCalls):
            calls.remember(TASK, 1, b"hash", bytes(6))
        calls.remember(TASK, 2, b"hash", bytes(4))
        calls.remember(OTHER, 0, b"hash", bytes(10))
