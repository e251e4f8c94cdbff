"""What an approval binds to: every field, and nothing that is not Unicode, small or canonical."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import cbor
from sandbox.approvals import (
    RULE_DEFAULT,
    TEXT_BYTES_MAX,
    ApprovalRule,
    Question,
    Subject,
    bounded,
    digest_of,
    nonce_of,
)
from sandbox.capability import Capability
from sandbox.errors import MalformedApproval
from tests.sandbox.questions import SUBJECT, question, subject


@pytest.mark.parametrize(
    ("when", "asks"),
    [
        ("always", {"low", "medium", "high", "unheard of"}),
        ("medium", {"medium", "high", "unheard of"}),
        ("high", {"high", "unheard of"}),
        ("never", set()),
    ],
)
def test_a_rule_asks_from_its_tier_on_and_a_tier_nobody_knows_counts_as_high(
    when: str, asks: set[str]
) -> None:
    rule = ApprovalRule(when)  # type: ignore[arg-type]
    assert {tier for tier in ("low", "medium", "high", "unheard of") if rule.asks(tier)} == asks


def test_where_nothing_is_written_acts_of_high_risk_need_a_person() -> None:
    assert ApprovalRule("high", 300, 1) == RULE_DEFAULT


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": "sometimes"},
        {"timeout_s": 0},
        {"timeout_s": 86_401},
        {"timeout_s": True},
        {"quorum": 0},
        {"quorum": 10},
    ],
)
def test_a_rule_that_means_nothing_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(MalformedApproval):
        ApprovalRule(**wrong)  # type: ignore[arg-type]


OTHERS: dict[str, object] = {
    "agent": "other",
    "agent_did": "did:key:z6MkOther",
    "module_cid": "bafkother",
    "capability": Capability.SPEND,
    "function": "spend.charge",
    "request_hash": digest_of(b"other"),
    "body_hash": digest_of(b"other body"),
    "secret_names": ("another",),
    "originator": "did:key:z6MkStranger",
    "chain": ("did:key:z6MkA/one",),
    "policy_hash": digest_of(b"another policy"),
    "price": "9.00EUR",
    "payee": "mallory",
    "nonce": nonce_of(bytes(32), 8),
}


@pytest.mark.parametrize("field", sorted(OTHERS))
def test_each_field_is_part_of_the_hash(field: str) -> None:
    assert set(OTHERS) == set(Subject.__slots__)
    assert replace(SUBJECT, **{field: OTHERS[field]}).hash != SUBJECT.hash  # type: ignore[arg-type]


def test_the_nonce_is_that_of_one_call_of_one_task() -> None:
    assert nonce_of(bytes(32), 1) == nonce_of(bytes(32), 1)
    assert len({nonce_of(bytes([task]) * 32, n) for task in range(3) for n in range(3)}) == 9


def test_a_question_cannot_be_asked_with_the_subject_of_another() -> None:
    with pytest.raises(AssertionError):
        question(request=b"another request", subject=SUBJECT)
    with pytest.raises(AssertionError):
        question(number=99, subject=SUBJECT)


@given(st.text(max_size=2_000))
def test_long_texts_are_cut_with_their_digest_and_stay_apart(text: str) -> None:
    cut = bounded(text)
    assert len(cut.encode()) <= TEXT_BYTES_MAX
    assert bounded(cut) == cut
    assert bounded(text + "x") != cut


def test_half_a_surrogate_can_still_be_hashed() -> None:
    assert bounded("a\ud800") == "a\\ud800"


@pytest.mark.parametrize(
    ("key", "value"),
    [(1, 7), (8, [1]), (10, [b"x"]), (4, "telepathy"), (1, "x" * 300), (6, b"short")],
)
def test_a_map_that_is_no_subject_is_malformed(key: int, value: object) -> None:
    fields: Any = cbor.loads(SUBJECT.to_cbor())
    fields[key] = value
    with pytest.raises(MalformedApproval):
        Subject.from_cbor(cbor.dumps(fields))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_subject_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedApproval):
        assert Subject.from_cbor(data).to_cbor() == data


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_another_subject_or_none(place: int, value: int) -> None:
    data = bytearray(SUBJECT.to_cbor())
    if data[place % len(data)] == value:
        return
    data[place % len(data)] = value
    with contextlib.suppress(MalformedApproval):
        assert Subject.from_cbor(bytes(data)).hash != SUBJECT.hash


def test_a_subject_is_read_as_it_was_written() -> None:
    rich = subject(secret_names=("a", "b"), chain=("did:key:z6MkA/x",), price="1.00EUR", payee="p")
    assert Subject.from_cbor(rich.to_cbor()) == rich


@pytest.mark.parametrize(
    "wrong",
    [
        {"request_hash": b"short"},
        {"nonce": b""},
        {"policy_hash": b"x"},
        {"body_hash": b"x"},
        {"chain": ("a/b",) * 5},
    ],
)
def test_a_subject_that_no_call_has_cannot_be_made(wrong: dict[str, object]) -> None:
    with pytest.raises(MalformedApproval):
        replace(SUBJECT, **wrong)  # type: ignore[arg-type]


def test_many_secrets_are_named_by_their_digest_and_stay_apart() -> None:
    many, others = (subject(secret_names=tuple(map(str, range(n)))) for n in (17, 18))
    assert len(many.secret_names) == len(others.secret_names) == 16
    assert many.hash != others.hash
    assert Subject.from_cbor(many.to_cbor()) == many


def test_texts_of_a_question_are_bounded() -> None:
    long = question(summary="s" * 5_000, target="t" * 5_000)
    assert isinstance(long, Question)
    assert len(long.summary) <= TEXT_BYTES_MAX
    assert len(long.target) <= TEXT_BYTES_MAX


@given(st.binary(max_size=200), st.data())
def test_a_request_is_bound_by_every_byte(request: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(request)))
    assert digest_of(request) != digest_of(request[:at] + b"x" + request[at:])
    assert digest_of(b"a" * 5_000) != digest_of(b"a" * 4_999 + b"b")
