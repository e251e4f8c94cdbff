"""What cannot be taken back happens at most once, is paid for once, and only as approved."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from sandbox.agent_spec import AgentSpec
from sandbox.approvals import (
    ApprovalRule,
)
from sandbox.audit import Event
from sandbox.capability import Capability
from sandbox.endpoint import EndpointRule
from sandbox.errors import AuditUnavailable, Nondeterministic, PortRefused
from sandbox.fault import Fault, FaultCode
from sandbox.gate import (
    BEGUN,
    Begin,
    Commit,
    Conclude,
    Perform,
    Recall,
    Record,
    Remember,
    Reserve,
    RollBack,
    Settle,
    host_call,
)
from sandbox.kept import Answer
from sandbox.policy import State
from sandbox.ports import Remembered
from sandbox.request import Request, read_request
from sandbox.spend import Account, Cost, Money, SpendPolicy
from tests.playbook import play
from tests.sandbox.fakes import spec
from tests.sandbox.test_gate import FULL, STATE, Conversation, told

URL = "https://api.example.com/v1"
FETCH = read_request(2, "http-fetch.fetch", (f'{{"url":"{URL}"}}',))
CHARGE = read_request(
    2,
    "spend.charge",
    ('{"amount_micros":500000,"currency":"EUR","rail":"ledger","payee":"shop"}',),
)
APPEND = read_request(2, "journal.append", ("tag", "text"))
QUERY = read_request(2, "database.query", ("SELECT 1", ""))
NEVER = {capability: ApprovalRule("never") for capability in Capability}
ALWAYS = {capability: ApprovalRule("always") for capability in Capability}
COST = Cost(Money(500_000, "EUR"), "ledger", "shop")
PRICED = replace(STATE, cost=COST)
BUDGET = SpendPolicy(Money(2_000_000, "EUR"), rails=("ledger",))
UNRECORDED = Fault(FaultCode.UNAVAILABLE, "the audit log of this node cannot be written")
LOST = Fault(FaultCode.UNKNOWN, "it was done, and its outcome could not be recorded")


def agent(**changes: object) -> AgentSpec:
    return spec(
        endpoints=(EndpointRule.parse("api.example.com"),),
        spend=BUDGET,
        **{"approval": NEVER, **changes},
    )


def answer(
    request: Request,
    conversation: Conversation,
    config: AgentSpec | None = None,
    states: Sequence[State] = (STATE,),
) -> Answer:
    return play(told(host_call(request, config or agent()), states), conversation)


def begun(request: Request, *, durable: bool = False) -> Conversation:
    return [
        (Recall(2), None),
        (Begin(durable), None),
        (Record(Event.ALLOWED, request), True),
        (Remember(request, BEGUN), None),
        (Commit(), None),
    ]


def test_begun_is_remembered_before_anything_leaves() -> None:
    heard = answer(
        FETCH,
        [
            *begun(FETCH),
            (Perform(FETCH, URL), '{"status":200}'),
            (Begin(), None),
            (Settle(FETCH, None), None),
            (Record(Event.DONE, FETCH), True),
            (Conclude(FETCH, b'o{"status":200}'), None),
            (Commit(), None),
        ],
    )
    assert heard == '{"status":200}'


@pytest.mark.parametrize(
    ("code", "event"),
    [(FaultCode.UNKNOWN, Event.UNKNOWN), (FaultCode.UNAVAILABLE, Event.FAILED)],
)
def test_an_act_that_fails_is_concluded_with_its_fault(code: FaultCode, event: Event) -> None:
    refused = PortRefused(code, "the server went away")
    heard = answer(
        FETCH,
        [
            *begun(FETCH),
            (Perform(FETCH, URL), refused),
            (Begin(), None),
            (Settle(FETCH, refused.fault), None),
            (Record(event, FETCH, refused.fault), True),
            (Conclude(FETCH, f"f{code.value} the server went away".encode()), None),
            (Commit(), None),
        ],
    )
    assert heard == refused.fault


@pytest.mark.parametrize("failure", [FULL, PortRefused(FaultCode.UNAVAILABLE, "disk full")])
def test_an_outcome_that_cannot_be_kept_is_unknown_to_the_guest(failure: Exception) -> None:
    heard = answer(
        FETCH,
        [
            *begun(FETCH),
            (Perform(FETCH, URL), "{}"),
            (Begin(), None),
            (Settle(FETCH, None), None),
            (Record(Event.DONE, FETCH), failure),
            (RollBack(), None),
        ],
    )
    assert heard == LOST


@pytest.mark.parametrize("failure", [FULL, PortRefused(FaultCode.UNAVAILABLE, "disk full"), False])
def test_no_record_no_act(failure: object) -> None:
    fault = {
        AuditUnavailable: UNRECORDED,
        PortRefused: Fault(FaultCode.UNAVAILABLE, "disk full"),
        bool: Fault(FaultCode.RATE_LIMITED, "the audit budget of this agent is spent"),
    }[type(failure)]
    kept = f"f{fault.code.value} {fault.why}".encode()
    record: Conversation = []
    if isinstance(failure, PortRefused):
        record = [(Record(Event.FAILED, FETCH, fault), True)]
    heard = answer(
        FETCH,
        [
            (Recall(2), None),
            (Begin(), None),
            (Record(Event.ALLOWED, FETCH), failure),
            (RollBack(), None),
            *record,
            (Remember(FETCH, kept), None),
        ],
    )
    assert heard == fault


def test_a_price_is_reserved_before_and_settled_after() -> None:
    heard = answer(
        CHARGE,
        [
            (Recall(2), None),
            (Begin(durable=True), None),
            (Record(Event.ALLOWED, CHARGE), True),
            (Reserve(CHARGE, PRICED), None),
            (Remember(CHARGE, BEGUN), None),
            (Commit(), None),
            (Perform(CHARGE, ""), "{}"),
            (Begin(durable=True), None),
            (Settle(CHARGE, None), None),
            (Record(Event.DONE, CHARGE), True),
            (Conclude(CHARGE, b"o{}"), None),
            (Commit(), None),
        ],
        states=[PRICED],
    )
    assert heard == "{}"


def test_what_cannot_be_reserved_is_not_paid() -> None:
    refused = PortRefused(FaultCode.BUDGET_EXCEEDED, "budget_exceeded: 2.00EUR a day")
    heard = answer(
        CHARGE,
        [
            (Recall(2), None),
            (Begin(durable=True), None),
            (Record(Event.ALLOWED, CHARGE), True),
            (Reserve(CHARGE, PRICED), refused),
            (RollBack(), None),
            (Record(Event.FAILED, CHARGE, refused.fault), True),
            (Remember(CHARGE, b"fbudget-exceeded budget_exceeded: 2.00EUR a day"), None),
        ],
        states=[PRICED],
    )
    assert heard == refused.fault


# Later attempts.


def test_what_was_begun_and_cut_off_is_unknown_and_never_repeated() -> None:
    cut_off = Fault(FaultCode.UNKNOWN, "an earlier attempt was cut off here; it is not repeated")
    heard = answer(
        FETCH,
        [
            (Recall(2), Remembered(FETCH.hash, BEGUN)),
            (Begin(), None),
            (Settle(FETCH, cut_off), None),
            (Record(Event.UNKNOWN, FETCH, cut_off), True),
            (Conclude(FETCH, f"funknown {cut_off.why}".encode()), None),
            (Commit(), None),
        ],
    )
    assert heard == cut_off


def test_staged_acts_are_done_again_and_compared() -> None:
    kept = Remembered(QUERY.hash, b"h" + hashlib.sha256(b"rows").digest())
    again: Conversation = [(Recall(2), kept), (Record(Event.ALLOWED, QUERY), True)]
    assert answer(QUERY, [*again, (Perform(QUERY, ""), "rows")]) == "rows"
    with pytest.raises(Nondeterministic, match="has changed"):
        answer(QUERY, [*again, (Perform(QUERY, ""), "other rows")])


def test_the_record_says_why_and_at_what_risk() -> None:
    script = host_call(CHARGE, agent())
    step = next(script)
    facts: dict[str, str] = {}
    while not facts:
        if isinstance(step, Record):
            facts = dict(step.facts)
            break
        step = script.send(PRICED if "Consult" in type(step).__name__ else None)
    assert facts["tier"] == "high"
    assert facts["risk.spend.charge"] == "high 40"
    assert (facts["price"], facts["payee"]) == ("0.50EUR", "shop")


def test_a_log_that_fills_up_in_the_middle_leaves_the_end_unknown() -> None:
    untold = Fault(FaultCode.UNKNOWN, "it was cut off: the audit log cannot be written")
    heard = answer(
        FETCH,
        [
            *begun(FETCH),
            (Perform(FETCH, URL), FULL),
            (Begin(), None),
            (Settle(FETCH, untold), None),
            (Record(Event.UNKNOWN, FETCH, untold), FULL),
            (RollBack(), None),
        ],
    )
    assert heard == LOST


def test_a_cap_that_is_reached_denies_before_anybody_is_asked() -> None:
    spent = replace(PRICED, account=Account(agent=(Money(1_600_000, "EUR"),)))
    heard = answer(
        CHARGE,
        [
            (Recall(2), None),
            (
                Record(
                    Event.REFUSED,
                    CHARGE,
                    fault := Fault(
                        FaultCode.BUDGET_EXCEEDED,
                        "budget_exceeded: the agent may spend 2.00EUR a day",
                    ),
                ),
                True,
            ),
            (Remember(CHARGE, f"f{fault.code.value} {fault.why}".encode()), None),
        ],
        agent(approval=ALWAYS),
        [spent],
    )
    assert heard == fault


@pytest.mark.parametrize("begun_before", [True, False])
def test_a_look_that_cannot_be_done_again(begun_before: bool) -> None:
    """Begun and never ended: the guest is told. Answered once: another answer is no answer."""
    kept = BEGUN if begun_before else b"h" + hashlib.sha256(b"rows").digest()
    refused = PortRefused(FaultCode.UNAVAILABLE, "the disk is gone")
    again: Conversation = [
        (Recall(2), Remembered(QUERY.hash, kept)),
        (Record(Event.ALLOWED, QUERY), True),
        (Perform(QUERY, ""), refused),
    ]
    if not begun_before:
        with pytest.raises(Nondeterministic, match="cannot read again"):
            answer(QUERY, again)
        return
    end: Conversation = [
        (Begin(), None),
        (Settle(QUERY, refused.fault), None),
        (Record(Event.FAILED, QUERY, refused.fault), True),
        (Conclude(QUERY, b"funavailable the disk is gone"), None),
        (Commit(), None),
    ]
    assert answer(QUERY, again + end) == refused.fault


@pytest.mark.parametrize("begun_before", [True, False])
def test_a_look_that_cannot_be_recorded_is_not_done_again(begun_before: bool) -> None:
    kept = BEGUN if begun_before else b"h" + hashlib.sha256(b"rows").digest()
    with pytest.raises(Nondeterministic, match="cannot read again"):
        answer(
            QUERY,
            [(Recall(2), Remembered(QUERY.hash, kept)), (Record(Event.ALLOWED, QUERY), FULL)],
        )


def test_what_is_no_longer_allowed_is_not_read_again() -> None:
    kept = Remembered(QUERY.hash, b"h" + hashlib.sha256(b"rows").digest())
    with pytest.raises(Nondeterministic, match="no longer allowed"):
        answer(QUERY, [(Recall(2), kept)], agent(capabilities=frozenset()))


def test_a_look_that_is_one_too_many_is_not_done_again() -> None:
    """The audit budget is spent: what cannot be recorded is not read, nor told from memory."""
    kept = Remembered(QUERY.hash, b"h" + hashlib.sha256(b"rows").digest())
    with pytest.raises(Nondeterministic, match="has changed"):
        answer(QUERY, [(Recall(2), kept), (Record(Event.ALLOWED, QUERY), False)])
