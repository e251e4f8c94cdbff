"""Messages about receipts: what we write is read, anything else is malformed; and the verdicts."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.audit.errors import MalformedReconcile
from akshi_mesh.audit.receipts import AGREED, CONTRADICTED, LATE, OPEN, Held
from akshi_mesh.audit.reconcile import (
    AGREES,
    CONTRADICTS,
    ONE_SIDED,
    PAGE_ROWS,
    Page,
    Question,
    Row,
    compare,
    pairs,
)
from identity import cbor

ID = st.binary(min_size=32, max_size=32)
HASH = ID | st.just(b"")
rows = st.builds(
    Row,
    task_id=ID.filter(any),
    asked=st.booleans(),
    state=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=32),
    request=HASH,
    answer=HASH,
    result_id=HASH,
    receipt_id=HASH,
    at_ms=st.integers(0, 2**62),
    standing=st.sampled_from([OPEN, AGREED, LATE, CONTRADICTED]),
)
OURS = Held(
    peer=b"p" * 32,
    task_id=b"t" * 32,
    asked=True,
    agent="echo",
    state="completed",
    request=b"q" * 32,
    answer=b"a" * 32,
    result_id=b"r" * 32,
    result=b"result",
    receipt_id=b"c" * 32,
    receipt=b"receipt",
    other=b"",
    at_ms=7,
    standing=AGREED,
)
THEIRS = replace(Row.of(OURS), asked=False)


@given(st.lists(rows, max_size=5, unique_by=lambda row: row.task_id), st.booleans())
def test_a_page_comes_back(found: list[Row], more: bool) -> None:
    found.sort(key=lambda row: row.task_id)
    page = Page(tuple(found), found[-1].task_id if found and more else b"")
    assert Page.from_cbor(page.to_cbor()) == page


@given(ID)
def test_questions_and_short_answers_come_back(task: bytes) -> None:
    for question in (Question(), Question(task), Question(receipt_of=task)):
        assert Question.from_cbor(question.to_cbor()) == question
    for page in (Page(receipt=b""), Page(receipt=task), Page(busy=True)):
        assert Page.from_cbor(page.to_cbor()) == page


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(data: bytes) -> None:
    for kind in (Question, Page):
        with contextlib.suppress(MalformedReconcile):
            assert kind.from_cbor(data).to_cbor() == data


ROW = THEIRS.to_list()
BAD_ROWS = [
    ROW[:-1],
    [b"short", *ROW[1:]],
    [ROW[0], 2, *ROW[2:]],
    [*ROW[:2], "", *ROW[3:]],
    [*ROW[:2], "s" * 33, *ROW[3:]],
    [*ROW[:3], b"x", *ROW[4:]],
    [*ROW[:7], -1, 0],
    [*ROW[:8], 4],
    [*ROW[:1], True, *ROW[2:]],
]


@pytest.mark.parametrize("row", BAD_ROWS, ids=range(len(BAD_ROWS)))
def test_a_row_that_is_impossible_is_malformed(row: list[cbor.Value]) -> None:
    with pytest.raises(MalformedReconcile):
        Page.from_cbor(cbor.dumps({1: [row], 2: b""}))


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {1: []},
        {1: [], 2: b"t" * 32},
        {1: [ROW], 2: b"x" * 32},
        {1: [ROW, ROW], 2: b""},
        {3: "text"},
        {4: False},
        {1: [ROW] * (PAGE_ROWS + 1), 2: b""},
        {1: {}, 2: b""},
    ],
)
def test_a_page_that_leads_astray_is_malformed(value: cbor.Value) -> None:
    with pytest.raises(MalformedReconcile):
        Page.from_cbor(cbor.dumps(value))


def test_a_page_that_goes_back_is_malformed() -> None:
    page = Page((THEIRS,)).to_cbor()
    assert Page.from_cbor(page, after=b"s" * 32).rows == (THEIRS,)
    with pytest.raises(MalformedReconcile):
        Page.from_cbor(page, after=b"t" * 32)


@pytest.mark.parametrize("value", [{}, {1: b"x"}, {2: b""}, {2: "t"}, {1: b"", 2: b""}, {3: b""}])
def test_a_question_that_asks_nothing_is_malformed(value: cbor.Value) -> None:
    with pytest.raises(MalformedReconcile):
        Question.from_cbor(cbor.dumps(value))


def test_equal_receipts_agree() -> None:
    assert compare(OURS, THEIRS).verdict == AGREES
    # A result that was sealed again says the same under another id.
    assert compare(OURS, replace(THEIRS, result_id=b"x" * 32)).verdict == AGREES


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"asked": True}, "both say that they asked"),
        ({"request": b"x" * 32}, "the request is another"),
        ({"answer": b"x" * 32}, "the result is another"),
        ({"state": "failed"}, "it ended in another way"),
    ],
)
def test_what_excludes_each_other_contradicts(change: dict[str, object], why: str) -> None:
    finding = compare(OURS, replace(THEIRS, **change))  # type: ignore[arg-type]
    assert (finding.verdict, finding.why) == (CONTRADICTS, why)


def test_a_lacking_row_or_signature_is_one_sided() -> None:
    assert compare(None, THEIRS).why == "only the other node holds it"
    assert compare(OURS, None).why == "only this node holds it"
    for standing in (OPEN, LATE):
        assert compare(replace(OURS, standing=standing), THEIRS).verdict == ONE_SIDED
        assert compare(OURS, replace(THEIRS, standing=standing)).verdict == ONE_SIDED
    nothing = replace(OURS, standing=LATE, result=b"", answer=b"", result_id=b"")
    assert compare(nothing, replace(THEIRS, standing=OPEN)).why == "no result came"
    did = replace(OURS, asked=False, standing=OPEN)
    assert compare(did, replace(THEIRS, asked=True)).why == "no receipt came"


def test_a_receipt_that_we_do_not_know_is_to_be_shown() -> None:
    strange = replace(THEIRS, receipt_id=b"x" * 32)
    assert compare(OURS, strange).claims_receipt
    assert not compare(OURS, THEIRS).claims_receipt
    did = replace(OURS, asked=False)
    assert not compare(did, replace(strange, asked=True)).claims_receipt


def test_a_second_result_stays_a_contradiction() -> None:
    assert compare(replace(OURS, standing=CONTRADICTED), THEIRS).verdict == CONTRADICTS


def test_rows_of_one_task_stand_together() -> None:
    other = replace(THEIRS, task_id=b"u" * 32)
    assert pairs([OURS], [other, THEIRS]) == [(OURS, THEIRS), (None, other)]
    assert pairs([OURS], []) == [(OURS, None)]
