"""Records: canonical, bounded, and folded without losing a count."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import cbor
from sandbox.audit import (
    DETAIL_CHARS_MAX,
    FACT_CHARS_MAX,
    FACT_NAME_CHARS_MAX,
    FACTS_MAX,
    FOLD_MS,
    FOLDS_MAX,
    AuditRecord,
    Event,
    Folding,
)
from sandbox.budget import Budget
from sandbox.errors import AuditUnavailable, MalformedAuditRecord
from sandbox.ledger import RECORDS_BURST, Ledger
from tests.sandbox.fakes import FakeNode

RECORD = AuditRecord(
    at_ms=1_000,
    event=Event.REFUSED,
    agent="writer",
    originator="did:key:z1",
    task_id=bytes(32),
    number=3,
    function="a2a.send",
    code="not-allowed",
    detail="friend/reader",
    request_hash=bytes(32),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
records = st.builds(
    AuditRecord,
    at_ms=st.integers(0, 2**62),
    event=st.sampled_from(Event),
    agent=texts,
    originator=texts,
    task_id=st.binary(max_size=32),
    number=st.integers(-1, 2**32),
    function=texts,
    code=texts,
    detail=texts,
    request_hash=st.binary(max_size=32),
    count=st.integers(1, 2**40),
    until_ms=st.integers(0, 2**62),
    facts=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=FACT_NAME_CHARS_MAX),
        texts,
        max_size=FACTS_MAX,
    ).map(lambda facts: tuple(facts.items())),
)


@given(records)
def test_a_record_comes_back_from_its_bytes(record: AuditRecord) -> None:
    assert AuditRecord.from_cbor(record.to_cbor()) == record


@given(st.binary())
def test_any_bytes_are_a_record_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedAuditRecord):
        AuditRecord.from_cbor(data)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[(1, "x"), (2, "eaten"), (9, "x" * 257), (11, 0), (12, 999), (5, "x"), (11, True)],
        *[(13, 1), (13, {}), (13, {"a": 1}), (13, {1: "a"}), (13, {"a": "x" * 257}), (14, 1)],
        *[(13, {"": "a"}), (13, {"n" * 113: "a"}), (13, {str(n): "" for n in range(41)})],
    ],
)
def test_a_field_that_is_impossible_is_malformed(key: int, value: object) -> None:
    fields = cbor.loads(RECORD.to_cbor())
    assert isinstance(fields, dict)
    with pytest.raises(MalformedAuditRecord):
        AuditRecord.from_cbor(cbor.dumps(fields | {key: value}))


@pytest.mark.parametrize("value", [[], {}, {1: 1}, None])
def test_another_shape_is_malformed(value: object) -> None:
    with pytest.raises(MalformedAuditRecord):
        AuditRecord.from_cbor(cbor.dumps(value))  # type: ignore[arg-type]


def test_a_long_detail_is_cut_and_says_so() -> None:
    long = replace(RECORD, detail="x" * 300)
    assert len(long.detail) == DETAIL_CHARS_MAX
    assert long.detail.endswith("…")


def test_facts_are_ordered_as_the_map_has_them_and_found_by_name() -> None:
    record = replace(RECORD, facts=(("tier", "high"), ("body", "00"), ("by", "alice")))
    assert record.facts == (("by", "alice"), ("body", "00"), ("tier", "high"))
    assert record == replace(RECORD, facts=(("by", "alice"), ("tier", "high"), ("body", "00")))
    assert (record.fact("tier"), record.fact("score")) == ("high", "")
    assert RECORD.to_cbor() == replace(RECORD, facts=()).to_cbor()


def test_too_many_facts_are_counted_and_too_long_ones_cut() -> None:
    many = replace(RECORD, facts=tuple((f"f{n:02}", "x" * 300) for n in range(FACTS_MAX + 4)))
    assert len(many.facts) == FACTS_MAX
    assert many.fact("more") == "5 facts left out"
    assert len(many.fact("f00")) == FACT_CHARS_MAX


@pytest.mark.parametrize("facts", [(("a", ""), ("a", "")), (("", ""),), (("n" * 113, ""),)])
def test_a_fact_that_no_map_can_hold_is_refused(facts: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(MalformedAuditRecord):
        replace(RECORD, facts=facts)


def test_the_first_passes_and_its_repeats_become_one_record() -> None:
    folding = Folding()
    assert folding.admit(RECORD) == [RECORD]
    for number in range(500):
        assert folding.admit(replace(RECORD, at_ms=1_000 + number, number=number)) == []
    assert list(folding.due(1_999)) == []
    (folded,) = folding.due(1_000 + FOLD_MS)
    assert (folded.count, folded.at_ms, folded.until_ms) == (500, 1_000, 1_499)
    assert list(folding.drain()) == []


def test_the_next_second_begins_a_new_record_and_closes_the_old() -> None:
    folding = Folding()
    folding.admit(RECORD)
    folding.admit(RECORD)
    later = replace(RECORD, at_ms=3_000)
    old, new = folding.admit(later)
    assert (old.count, new) == (1, later)
    assert folding.admit(replace(RECORD, at_ms=9_000)) == [replace(RECORD, at_ms=9_000)]


@pytest.mark.parametrize("change", ["event", "function", "code", "detail", "originator", "facts"])
def test_only_equal_events_fold(change: str) -> None:
    folding = Folding()
    values = {"event": Event.FAILED, "facts": (("score", "7"),)}
    other = replace(RECORD, **{change: values.get(change, "other")})  # type: ignore[arg-type]
    assert folding.admit(RECORD) == [RECORD]
    assert folding.admit(other) == [other]
    assert list(folding.drain()) == []


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3_000)), max_size=600))
def test_no_count_is_lost_and_memory_is_bounded(knocks: list[tuple[int, int]]) -> None:
    folding, written = Folding(), []
    for kind, at_ms in sorted(knocks, key=lambda knock: knock[1]):
        written += folding.admit(replace(RECORD, detail=str(kind), at_ms=at_ms))
        written += folding.due(at_ms)
        assert len(folding) <= FOLDS_MAX
    written += folding.drain()
    assert sum(record.count for record in written) == len(knocks)


def test_more_kinds_than_are_folded_are_written_one_by_one() -> None:
    folding = Folding()
    for kind in range(FOLDS_MAX):
        record = replace(RECORD, detail=str(kind))
        assert folding.admit(record) == [record]
    folding.admit(replace(RECORD, detail="0"))
    new = replace(RECORD, detail="new")
    folded, written = folding.admit(new)
    assert (folded.detail, folded.count, written) == ("0", 1, new)
    assert folding.admit(replace(RECORD, detail="newer")) == [replace(RECORD, detail="newer")]


def test_a_budget_fills_with_time_and_not_beyond_its_burst() -> None:
    budget = Budget(burst=2, per_s=4, now_s=0)
    assert [budget.take(0), budget.take(0), budget.take(0)] == [True, True, False]
    assert budget.wait_s(0) == 0.25
    assert budget.take(0.25)
    assert not budget.take(0.2)  # a clock that goes back gives nothing
    budget.charge(10)
    assert budget.wait_s(0.25) == pytest.approx(11 / 4)
    assert [budget.take(100), budget.take(100), budget.take(100)] == [True, True, False]


ALLOWED = replace(RECORD, event=Event.ALLOWED, function="filesystem.read-file", code="")


def test_an_act_is_not_recorded_beyond_the_budget_and_a_refusal_folds_coarser() -> None:
    node = FakeNode()
    ledger = Ledger(node, now_s=0)
    for _ in range(RECORDS_BURST):
        assert ledger.record(ALLOWED, now_s=0)
    assert not ledger.record(ALLOWED, now_s=0)
    node.state.audit.clear()
    for number in range(50):
        assert ledger.record(replace(RECORD, detail=f"target {number}"), now_s=0)
    ledger.close()
    assert [(record.count, record.detail) for record in node.state.audit] == [(1, ""), (49, "")]
    assert ledger.record(ALLOWED, now_s=60)


def test_calls_that_reach_nothing_fold_and_acts_do_not() -> None:
    node = FakeNode()
    ledger = Ledger(node, now_s=0)
    for record in (ALLOWED, replace(ALLOWED, function="task.now"), replace(RECORD, function="")):
        for _ in range(3):
            ledger.record(replace(record, event=record.event), now_s=0)
    violation = replace(RECORD, event=Event.VIOLATION, function="task.now")
    ledger.record(violation, now_s=0)
    ledger.record(violation, now_s=0)
    assert len(node.state.audit) == 3 + 1 + 1 + 2
    ledger.flush(1_500)
    assert len(node.state.audit) == 7
    ledger.flush(2_000)
    assert [record.count for record in node.state.audit[7:]] == [2, 2]


def test_a_log_that_takes_nothing_says_so() -> None:
    node = FakeNode()
    node.audit_full = True
    for record in (ALLOWED, RECORD):
        with pytest.raises(AuditUnavailable):
            Ledger(node, now_s=0).record(record, now_s=0)
