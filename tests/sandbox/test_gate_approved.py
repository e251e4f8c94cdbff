"""A person's word at the gate: asked for once, used up once, and only for what was asked."""

import hashlib
from dataclasses import replace

import pytest

from sandbox.agent_spec import AgentSpec
from sandbox.approvals import Approved, Decision, Denied, TimedOut, TooMany, Withdrawn
from sandbox.audit import Event
from sandbox.errors import PortRefused
from sandbox.fault import Fault, FaultCode
from sandbox.gate import (
    BEGUN,
    Ask,
    Begin,
    Commit,
    Conclude,
    Consult,
    Consume,
    Perform,
    Recall,
    Record,
    Remember,
    RollBack,
    Settle,
    host_call,
)
from sandbox.policy import NeedApproval, decide
from sandbox.ports import Remembered
from sandbox.request import Request
from tests.sandbox.test_gate import FULL, STATE, Conversation
from tests.sandbox.test_gate_outside import (
    ALWAYS,
    APPEND,
    FETCH,
    QUERY,
    UNRECORDED,
    URL,
    agent,
    answer,
)


def asked(request: Request, config: AgentSpec, decision: object) -> Conversation:
    verdict = decide(config, request, STATE)
    assert isinstance(verdict, NeedApproval)
    return [
        (Recall(2), None),
        (Ask(request, verdict), decision),
    ]


def test_an_approval_is_used_up_before_the_act_and_on_the_disk() -> None:
    config = agent(approval=ALWAYS)
    heard = answer(
        FETCH,
        [
            *asked(FETCH, config, Approved("apr-1")),
            (Begin(durable=True), None),
            (Record(Event.ALLOWED, FETCH), True),
            (Consume(FETCH, URL, "apr-1"), None),
            (Remember(FETCH, BEGUN), None),
            (Commit(), None),
            (Perform(FETCH, URL), "{}"),
            (Begin(), None),
            (Settle(FETCH, None), None),
            (Record(Event.DONE, FETCH), True),
            (Conclude(FETCH, b"o{}"), None),
            (Commit(), None),
        ],
        config,
    )
    assert heard == "{}"


@pytest.mark.parametrize(
    ("decision", "fault"),
    [
        (Denied(), Fault(FaultCode.APPROVAL_DENIED, "approval_denied")),
        (Denied("not today"), Fault(FaultCode.APPROVAL_DENIED, "approval_denied: not today")),
        (
            TimedOut(),
            Fault(FaultCode.APPROVAL_TIMEOUT, "approval_timeout: nobody said yes in time"),
        ),
        (
            Withdrawn("stopped"),
            Fault(FaultCode.CANCELLED, "the question was withdrawn: stopped"),
        ),
        (TooMany("8 wait already"), Fault(FaultCode.RATE_LIMITED, "8 wait already")),
    ],
)
def test_without_a_yes_nothing_happens_and_the_guest_reads_why(
    decision: Decision, fault: Fault
) -> None:
    config = agent(approval=ALWAYS)
    heard = answer(
        FETCH,
        [
            *asked(FETCH, config, decision),
            (Record(Event.REFUSED, FETCH, fault), True),
            (Remember(FETCH, f"f{fault.code.value} {fault.why}".encode()), None),
        ],
        config,
    )
    assert heard == fault


def test_what_has_changed_while_a_person_thought_counts() -> None:
    config, stopped = agent(approval=ALWAYS), replace(STATE, stopped="the node is stopping")
    fault = Fault(FaultCode.CANCELLED, "the node is stopping")
    heard = answer(
        FETCH,
        [
            *asked(FETCH, config, Approved("apr-1")),
            (Record(Event.REFUSED, FETCH, fault), True),
            (Remember(FETCH, b"fcancelled the node is stopping"), None),
        ],
        config,
        [STATE, stopped],
    )
    assert heard == fault


def test_a_yes_to_something_else_is_none() -> None:
    config = agent(approval=ALWAYS)
    refused = PortRefused(FaultCode.APPROVAL_DENIED, "approval_denied: it was for something else")
    heard = answer(
        FETCH,
        [
            *asked(FETCH, config, Approved("apr-1")),
            (Begin(durable=True), None),
            (Record(Event.ALLOWED, FETCH), True),
            (Consume(FETCH, URL, "apr-1"), refused),
            (RollBack(), None),
            (Record(Event.FAILED, FETCH, refused.fault), True),
            (
                Remember(FETCH, b"fapproval-denied approval_denied: it was for something else"),
                None,
            ),
        ],
        config,
    )
    assert heard == refused.fault


def test_an_approved_look_that_was_cut_off_is_done_again_without_asking_twice() -> None:
    config = agent(approval=ALWAYS)
    heard = answer(
        QUERY,
        [
            (Recall(2), Remembered(QUERY.hash, BEGUN)),
            (Record(Event.ALLOWED, QUERY), True),
            (Perform(QUERY, ""), "rows"),
            (Begin(), None),
            (Settle(QUERY, None), None),
            (Record(Event.DONE, QUERY), True),
            (Conclude(QUERY, b"h" + hashlib.sha256(b"rows").digest()), None),
            (Commit(), None),
        ],
        config,
    )
    assert heard == "rows"


def test_a_question_that_cannot_be_recorded_is_not_asked() -> None:
    config = agent(approval=ALWAYS)
    for failure, fault in (
        (FULL, UNRECORDED),
        (
            PortRefused(FaultCode.UNAVAILABLE, "nobody asks"),
            Fault(FaultCode.UNAVAILABLE, "nobody asks"),
        ),
    ):
        heard = answer(
            FETCH,
            [
                *asked(FETCH, config, failure),
                (Record(Event.REFUSED, FETCH, fault), True),
                (Remember(FETCH, f"f{fault.code.value} {fault.why}".encode()), None),
            ],
            config,
        )
        assert heard == fault


def test_a_word_of_a_person_that_nobody_knows_is_a_bug_and_no_yes() -> None:
    config = agent(approval=ALWAYS)
    with pytest.raises(AssertionError):
        answer(FETCH, asked(FETCH, config, "fine"), config)


def test_a_local_act_uses_its_approval_up_in_its_own_transaction() -> None:
    config = agent(approval=ALWAYS)
    before: Conversation = [
        *asked(APPEND, config, Approved("apr-1")),
        (Begin(durable=True), None),
        (Record(Event.DONE, APPEND), True),
    ]
    heard = answer(
        APPEND,
        [
            *before,
            (Consume(APPEND, "", "apr-1"), None),
            (Perform(APPEND, ""), "id"),
            (Remember(APPEND, b"oid"), None),
            (Commit(), None),
        ],
        config,
    )
    assert heard == "id"
    used = PortRefused(FaultCode.APPROVAL_DENIED, "approval_denied: it was used before")
    heard = answer(
        APPEND,
        [
            *before,
            (Consume(APPEND, "", "apr-1"), used),
            (RollBack(), None),
            (Record(Event.FAILED, APPEND, used.fault), True),
            (Remember(APPEND, f"fapproval-denied {used.why}".encode()), None),
        ],
        config,
    )
    assert heard == used.fault


def test_an_approved_look_is_begun_and_ended_like_an_act() -> None:
    """The yes is used up once, so what it was for must not happen twice."""
    config = agent(approval=ALWAYS)
    heard = answer(
        QUERY,
        [
            *asked(QUERY, config, Approved("apr-1")),
            (Begin(durable=True), None),
            (Record(Event.ALLOWED, QUERY), True),
            (Consume(QUERY, "", "apr-1"), None),
            (Remember(QUERY, BEGUN), None),
            (Commit(), None),
            (Perform(QUERY, ""), "rows"),
            (Begin(), None),
            (Settle(QUERY, None), None),
            (Record(Event.DONE, QUERY), True),
            (Conclude(QUERY, b"h" + hashlib.sha256(b"rows").digest()), None),
            (Commit(), None),
        ],
        config,
    )
    assert heard == "rows"


def test_the_record_names_the_approval_that_was_used() -> None:
    script = host_call(FETCH, agent(approval=ALWAYS))
    step = next(script)
    while not isinstance(step, Record):
        answers: dict[type, object] = {Consult: STATE, Ask: Approved("apr-1")}
        step = script.send(answers.get(type(step)))
    assert dict(step.facts)["approval"] == "apr-1"
