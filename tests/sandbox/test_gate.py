"""A host call is a conversation: what is asked, in which order, and what the guest hears."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.agent_spec import AgentSpec
from sandbox.audit import Event
from sandbox.capability import FUNCTIONS, Capability
from sandbox.errors import AuditUnavailable, Nondeterministic, PortRefused
from sandbox.fault import Fault, FaultCode
from sandbox.gate import (
    Begin,
    Commit,
    Consult,
    Perform,
    Recall,
    Record,
    Remember,
    RollBack,
    Script,
    host_call,
)
from sandbox.kept import KEPT_CHARS_MAX, Answer, keep, read_kept
from sandbox.policy import State
from sandbox.ports import Remembered
from sandbox.request import read_request
from tests.playbook import play
from tests.sandbox.fakes import FRIEND, ME, PARTS, spec

STATE = State(me=ME, resolve={"friend": FRIEND}.get)
APPEND = read_request(3, "journal.append", ("tag", "text"))
SEND = read_request(0, "a2a.send", ("friend/reader", PARTS))
READ_FILE = read_request(0, "filesystem.read-file", ("/shelf/a",))
NOW = read_request(1, "task.now", ())
AGENT = spec(filesystem_allowed=("/srv/shelf",))
Conversation = list[tuple[object, object]]
LONG = "x" * (KEPT_CHARS_MAX + 1)
FULL = AuditUnavailable(why="disk full")
UNRECORDED = Fault(FaultCode.UNAVAILABLE, "the audit log of this node cannot be written")
TOO_MANY = Fault(FaultCode.RATE_LIMITED, "the audit budget of this agent is spent")


def told(script: Script, states: Sequence[State] = (STATE,)) -> Script:
    """`script`, whose questions about the node are answered, and whose facts are left out."""
    left = list(states)
    reply: object = None
    step = next(script)
    while True:
        try:
            if isinstance(step, Consult):
                reply = left.pop(0) if len(left) > 1 else left[0]
            else:
                reply = yield replace(step, facts=()) if isinstance(step, Record) else step
        except BaseException as raised:
            try:
                step = script.throw(raised)
            except StopIteration as end:
                answer: Answer = end.value
                return answer
            continue
        try:
            step = script.send(reply)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]


def answer(request: object, conversation: Conversation, agent: AgentSpec = AGENT) -> Answer:
    return play(told(host_call(request, agent)), conversation)  # type: ignore[arg-type]


def test_a_local_act_is_recorded_done_and_remembered_in_one_transaction() -> None:
    heard = answer(
        APPEND,
        [
            (Recall(3), None),
            (Begin(), None),
            (Record(Event.DONE, APPEND), True),
            (Perform(APPEND, ""), '{"id":"1"}'),
            (Remember(APPEND, b'o{"id":"1"}'), None),
            (Commit(), None),
        ],
    )
    assert heard == '{"id":"1"}'


def test_a_look_is_recorded_before_it_happens() -> None:
    heard = answer(
        NOW,
        [
            (Recall(1), None),
            (Record(Event.ALLOWED, NOW), True),
            (Perform(NOW, ""), "17"),
            (Remember(NOW, b"o17"), None),
        ],
    )
    assert heard == "17"


def test_the_act_gets_the_target_that_was_checked() -> None:
    answer(
        SEND,
        [
            (Recall(0), None),
            (Begin(), None),
            (Record(Event.DONE, SEND), True),
            (Perform(SEND, f"{FRIEND}/reader"), "id"),
            (Remember(SEND, b"oid"), None),
            (Commit(), None),
        ],
    )


def test_a_denied_call_is_recorded_and_nothing_happens() -> None:
    fault = Fault(FaultCode.CAPABILITY_DENIED, "agent writer has no capability journal")
    heard = answer(
        APPEND,
        [
            (Recall(3), None),
            (Record(Event.REFUSED, APPEND, fault), True),
            (Remember(APPEND, b"fcapability-denied agent writer has no capability journal"), None),
        ],
        spec(capabilities=frozenset(Capability) - {Capability.JOURNAL}),
    )
    assert heard == fault


@pytest.mark.parametrize(
    ("outcome", "fault"), [(False, TOO_MANY), (FULL, UNRECORDED)], ids=["budget", "disk"]
)
def test_no_record_no_local_act(outcome: object, fault: Fault) -> None:
    heard = answer(
        APPEND,
        [
            (Recall(3), None),
            (Begin(), None),
            (Record(Event.DONE, APPEND), outcome),
            (RollBack(), None),
            (Remember(APPEND, keep(APPEND, fault)), None),
        ],
    )
    assert heard == fault


@pytest.mark.parametrize(
    ("outcome", "fault"), [(False, TOO_MANY), (FULL, UNRECORDED)], ids=["budget", "disk"]
)
def test_no_record_no_look(outcome: object, fault: Fault) -> None:
    heard = answer(
        NOW,
        [
            (Recall(1), None),
            (Record(Event.ALLOWED, NOW), outcome),
            (Remember(NOW, keep(NOW, fault)), None),
        ],
    )
    assert heard == fault


def test_a_refusal_that_cannot_be_recorded_is_a_refusal_all_the_same() -> None:
    agent = spec(capabilities=frozenset())
    fault = Fault(FaultCode.CAPABILITY_DENIED, "agent writer has no capability journal")
    heard = answer(
        APPEND,
        [
            (Recall(3), None),
            (Record(Event.REFUSED, APPEND, fault), FULL),
            (Remember(APPEND, keep(APPEND, UNRECORDED)), None),
        ],
        agent,
    )
    assert heard == UNRECORDED


@pytest.mark.parametrize("at", ["act", "commit"])
def test_an_act_that_fails_leaves_only_its_record(at: str) -> None:
    refused = PortRefused(FaultCode.UNAVAILABLE, "queue full")
    act: Conversation = [(Perform(APPEND, ""), refused)]
    if at == "commit":
        act = [
            (Perform(APPEND, ""), "id"),
            (Remember(APPEND, b"oid"), None),
            (Commit(), refused),
        ]
    heard = answer(
        APPEND,
        [
            (Recall(3), None),
            (Begin(), None),
            (Record(Event.DONE, APPEND), True),
            *act,
            (RollBack(), None),
            (Record(Event.FAILED, APPEND, refused.fault), True),
            (Remember(APPEND, b"funavailable queue full"), None),
        ],
    )
    assert heard == Fault(FaultCode.UNAVAILABLE, "queue full")


def test_a_look_that_fails_is_recorded_as_failed() -> None:
    refused = PortRefused(FaultCode.INVALID, "no such file")
    heard = answer(
        READ_FILE,
        [
            (Recall(0), None),
            (Record(Event.ALLOWED, READ_FILE), True),
            (Perform(READ_FILE, "/srv/shelf"), refused),
            (Record(Event.FAILED, READ_FILE, refused.fault), True),
            (Remember(READ_FILE, b"finvalid no such file"), None),
        ],
    )
    assert heard == refused.fault


# Later attempts.


@pytest.mark.parametrize("kept", [b"oid", b"fnot-allowed because"])
def test_a_remembered_call_is_answered_without_a_second_act(kept: bytes) -> None:
    heard = answer(APPEND, [(Recall(3), Remembered(APPEND.hash, kept))])
    assert heard == read_kept(kept)


def test_another_call_under_the_same_number_ends_the_attempt() -> None:
    other = read_request(3, "journal.append", ("tag", "another text"))
    with pytest.raises(Nondeterministic, match="another call"):
        answer(APPEND, [(Recall(3), Remembered(other.hash, b"oid"))])


def test_what_was_too_long_to_keep_is_read_again_and_compared() -> None:
    remembered = Remembered(READ_FILE.hash, b"h" + hashlib.sha256(LONG.encode()).digest())
    again: Conversation = [
        (Recall(0), remembered),
        (Record(Event.ALLOWED, READ_FILE), True),
    ]
    assert answer(READ_FILE, [*again, (Perform(READ_FILE, "/srv/shelf"), LONG)]) == LONG
    with pytest.raises(Nondeterministic, match="has changed"):
        answer(READ_FILE, [*again, (Perform(READ_FILE, "/srv/shelf"), LONG + "x")])
    gone = PortRefused(FaultCode.INVALID, "gone")
    with pytest.raises(Nondeterministic, match="cannot read again"):
        answer(READ_FILE, [*again, (Perform(READ_FILE, "/srv/shelf"), gone)])
    with pytest.raises(Nondeterministic, match="cannot read again"):
        answer(READ_FILE, [again[0], (Record(Event.ALLOWED, READ_FILE), FULL)])
    with pytest.raises(Nondeterministic, match="has changed"):
        answer(READ_FILE, [again[0], (Record(Event.ALLOWED, READ_FILE), False)])
    with pytest.raises(Nondeterministic, match="no longer allowed"):
        answer(READ_FILE, [again[0]], spec(capabilities=frozenset()))


def test_only_what_comes_from_files_is_kept_as_a_hash() -> None:
    assert keep(READ_FILE, LONG)[:1] == b"h"
    assert keep(READ_FILE, LONG[1:])[:1] == b"o"
    wait = read_request(0, "a2a.wait", ("[]", 0))
    assert keep(wait, LONG) == b"o" + LONG.encode()


@given(st.text() | st.builds(Fault, st.sampled_from(FaultCode), st.text()))
def test_what_was_kept_is_what_was_answered(heard: Answer) -> None:
    assert read_kept(keep(APPEND, heard)) == heard


def test_a_store_that_makes_answers_up_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="never wrote"):
        read_kept(b"x")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_call_that_is_answered_is_remembered(name: str) -> None:
    """A gap would make a later attempt act twice behind it."""
    arguments: dict[str, str | int] = {"text": "x", "u32": 1}
    request = read_request(0, name, [arguments[kind] for kind in FUNCTIONS[name].parameters])
    script = told(host_call(request, spec(capabilities=frozenset())))
    steps = [next(script)]
    try:
        while True:
            steps.append(script.send(None if isinstance(steps[-1], Recall) else "true"))
    except StopIteration:
        assert any(isinstance(step, Remember) for step in steps)


def test_what_is_got_again_is_kept_as_its_hash() -> None:
    query = read_request(0, "database.query", ("SELECT 1", ""))
    digest = b"h" + hashlib.sha256(b"rows").digest()
    assert keep(query, "rows") == digest
    assert keep(READ_FILE, LONG) == b"h" + hashlib.sha256(LONG.encode()).digest()
    assert keep(READ_FILE, "short") == b"oshort"
    assert keep(NOW, LONG) == b"o" + LONG.encode()
