"""The life of an approval: no yes too many, too late or twice, whatever people and clocks do."""

import contextlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from identity import cbor
from sandbox.approval_life import (
    MEMORY_MS,
    PAUSE_MS,
    PAUSE_MS_MAX,
    PENDING_PER_AGENT_MAX,
    Approval,
    Standing,
    Vote,
    storm,
)
from sandbox.approvals import RECORD_BYTES_MAX, Approved, Denied, TimedOut, Withdrawn, digest_of
from sandbox.capability import Capability
from sandbox.errors import AlreadyVoted, ApprovalClosed, MalformedApproval, OtherSubject
from sandbox.risk import Judged, Risk, Tier
from tests.sandbox.questions import SUBJECT, question, subject

START_MS = 1_800_000_000_000
END_MS = START_MS + 300_000
WRONG = digest_of(b"another subject")
OPERATORS = ("did:key:a", "did:key:b", "did:key:c")


def asked(id: str = "apr-0000000000000001", **changes: object) -> Approval:
    return Approval.asked(id, question(**changes), now_ms=START_MS)


def yes(row: Approval, who: str = "did:key:a", now_ms: int = START_MS) -> Approval:
    return row.voted(who, approves=True, subject=row.subject.hash, now_ms=now_ms)


def no(row: Approval, who: str = "did:key:a", now_ms: int = START_MS) -> Approval:
    return row.voted(who, approves=False, subject=row.subject.hash, now_ms=now_ms, note="why")


def test_how_each_end_is_told() -> None:
    row = asked()
    assert row.decision is None
    assert yes(row).decision == Approved(row.id)
    assert no(row).decision == Denied("why")
    assert row.at(END_MS).decision == TimedOut()
    assert row.withdrawn("gone", now_ms=START_MS).decision == Withdrawn("gone")
    used = yes(row).used(subject=row.subject.hash, now_ms=START_MS)
    assert used.decision == Denied("it was used before")


def test_at_its_end_it_is_over_and_a_millisecond_before_it_is_not() -> None:
    row = asked()
    assert row.at(END_MS - 1).standing is Standing.PENDING
    assert row.at(END_MS).standing is Standing.EXPIRED
    assert yes(row, now_ms=END_MS - 1).standing is Standing.APPROVED
    with pytest.raises(ApprovalClosed, match="is expired"):
        yes(row, now_ms=END_MS)
    approved = yes(row)
    assert approved.used(subject=row.subject.hash, now_ms=END_MS - 1).standing is Standing.USED
    with pytest.raises(ApprovalClosed, match="is expired"):
        approved.used(subject=row.subject.hash, now_ms=END_MS)


def test_a_no_after_a_yes_of_the_same_operator_counts_while_it_is_pending() -> None:
    row = yes(asked(quorum=2))
    denied = no(row)
    assert denied.standing is Standing.DENIED
    assert len(denied.votes) == 1


def test_votes_of_who_is_not_entitled_any_more_do_not_count() -> None:
    row = yes(asked(quorum=2))
    assert row.counting(lambda operator: operator != "did:key:a").votes == ()
    approved = yes(asked())
    assert approved.counting(lambda _: False) == approved  # what is decided stays told as it was


def test_a_vote_about_something_else_is_none() -> None:
    with pytest.raises(OtherSubject):
        asked().voted("did:key:a", approves=True, subject=WRONG, now_ms=START_MS)
    with pytest.raises(OtherSubject):
        yes(asked()).used(subject=WRONG, now_ms=START_MS)


@pytest.mark.parametrize("standing", [s for s in Standing if s is not Standing.PENDING])
def test_what_is_decided_is_not_decided_again(standing: Standing) -> None:
    row = replace(asked(), standing=standing)
    for vote in (yes, no):
        with pytest.raises(ApprovalClosed):
            vote(row, "did:key:b")
    if standing is not Standing.APPROVED:
        assert row.withdrawn("late", now_ms=START_MS) == row
        assert row.at(END_MS) == row
        with pytest.raises(ApprovalClosed):
            row.used(subject=row.subject.hash, now_ms=START_MS)


# Storms


def test_a_no_is_followed_by_a_pause_that_doubles_and_is_forgotten() -> None:
    denied: list[int] = []
    now_ms = START_MS
    for number in range(12):
        denied.append(now_ms)
        pause_ms = min(PAUSE_MS << number, PAUSE_MS_MAX)
        assert storm(pending=0, denied_ms=denied, now_ms=now_ms + pause_ms - 1) is not None
        assert storm(pending=0, denied_ms=denied, now_ms=now_ms + pause_ms) is None
        now_ms += 1
    assert storm(pending=0, denied_ms=denied, now_ms=now_ms + MEMORY_MS) is None


def test_a_ninth_question_waits_until_one_of_the_eight_is_over() -> None:
    assert storm(pending=PENDING_PER_AGENT_MAX - 1, denied_ms=(), now_ms=START_MS) is None
    assert storm(pending=PENDING_PER_AGENT_MAX, denied_ms=(), now_ms=START_MS) is not None


# Bytes


def test_the_largest_record_there_can_be_fits() -> None:
    long = "\U0001f600" * 3_000
    fields = [Judged(f"{number}" + "f" * 90, Tier.HIGH, 40) for number in range(24)]
    large = subject(
        agent=long,
        agent_did=long,
        module_cid=long,
        capability=Capability.HTTP_FETCH,
        function=long,
        originator=long,
        chain=(long,) * 4,
        secret_names=tuple(f"{number}{long}" for number in range(16)),
        price=long,
        payee=long,
        body_hash=bytes(32),
    )
    row = asked(subject=large, summary=long, target=long, risk=Risk.of(fields), quorum=9)
    for number in range(8):
        row = row.voted(
            f"did:key:{number:056}", approves=True, subject=large.hash, now_ms=START_MS, note=long
        )
    row = row.withdrawn(long, now_ms=START_MS)
    assert len(row.to_cbor()) < RECORD_BYTES_MAX * 3 // 4
    assert Approval.from_cbor(row.to_cbor()) == row


def test_a_long_request_is_kept_by_its_start_and_its_digest() -> None:
    row = asked(request=b"x" * 1_000_000)
    assert (len(row.shown), row.request_bytes) == (4_096, 1_000_000)
    assert Approval.from_cbor(row.to_cbor()) == row


@given(st.binary(max_size=300))
def test_any_bytes_are_an_approval_or_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedApproval):
        assert Approval.from_cbor(data).to_cbor() == data


@given(st.data())
def test_a_changed_byte_is_noticed(data: st.DataObject) -> None:
    row = yes(asked())
    spoilt = bytearray(row.to_cbor())
    place = data.draw(st.integers(0, len(spoilt) - 1))
    spoilt[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(MalformedApproval):
        assert Approval.from_cbor(bytes(spoilt)) != row


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "apr-1"},
        {"shown": b"more than there is" * 300, "request_bytes": 5_400},
        {"request_bytes": 1},
        {"shown": b"another", "request_bytes": 7},
        {"quorum": 0},
        {"quorum": 10},
        {"expires_ms": START_MS},
        {"votes": (Vote("did:key:a", approves=True, at_ms=1),) * 2},
        {"standing": Standing.DENIED},
        {"standing": Standing.DENIED, "votes": (Vote("did:key:a", approves=True, at_ms=1),)},
        {"standing": Standing.APPROVED},
        {"standing": Standing.USED, "votes": (Vote("did:key:a", approves=False, at_ms=1),)},
        {"task_id": "text"},
    ],
)
def test_what_no_node_writes_cannot_be_read(wrong: dict[str, object]) -> None:
    with pytest.raises(MalformedApproval):
        Approval.from_cbor(replace(asked(), **wrong).to_cbor())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (4, "text"),
        (14, "undecided"),
        (7, [["field", "odd", 1]]),
        (7, [["field", "high"]]),
        (7, [["f", "low", 1]] * 25),
        (7, "low"),
        (15, [["did:key:a", 1, 1, ""]]),
        (15, ["vote"]),
        (2, b""),
    ],
)
def test_a_map_that_is_no_approval_is_malformed(key: int, value: object) -> None:
    fields: Any = cbor.loads(asked().to_cbor())
    fields[key] = value
    with pytest.raises(MalformedApproval):
        Approval.from_cbor(cbor.dumps(fields))


class AnyPeopleAndClocks(RuleBasedStateMachine):
    """Operators vote in any order, guests use what they can, the clock jumps both ways.

    The oracle keeps who said what, and when each was used; it knows nothing of states.
    """

    rows = Bundle("rows")

    def __init__(self) -> None:
        super().__init__()
        self.wall_ms = START_MS
        self.high_ms = START_MS
        self.count = 0
        self.now: dict[str, Approval] = {}
        self.said_yes: dict[str, set[str]] = {}
        self.said_no: set[str] = set()
        self.uses: dict[str, int] = {}
        self.history: dict[str, list[Standing]] = {}

    def _put(self, row: Approval) -> None:
        self.now[row.id] = row
        seen = self.history.setdefault(row.id, [])
        if not seen or seen[-1] is not row.standing:
            seen.append(row.standing)

    @rule(target=rows, quorum=st.integers(1, 3), timeout_s=st.integers(1, 60))
    def ask(self, quorum: int, timeout_s: int) -> str:
        self.count += 1
        id = f"apr-{self.count:016x}"
        start = question(number=self.count, quorum=quorum, timeout_s=timeout_s)
        self._put(Approval.asked(id, start, now_ms=self.high_ms))
        self.said_yes[id] = set()
        return id

    @rule(id=rows, who=st.sampled_from(OPERATORS), approves=st.booleans(), about=st.booleans())
    def vote(self, id: str, who: str, *, approves: bool, about: bool) -> None:
        row = self.now[id]
        try:
            after = row.voted(
                who,
                approves=approves,
                subject=row.subject.hash if about else WRONG,
                now_ms=self.high_ms,
            )
        except (ApprovalClosed, AlreadyVoted, OtherSubject):
            return
        assert about, "a vote about something else counts for nothing"
        assert self.high_ms < row.expires_ms, "a vote at its end is late"
        if approves:
            assert who not in self.said_yes[id], "each operator has one vote"
            self.said_yes[id].add(who)
        else:
            self.said_no.add(id)
            self.said_yes[id].discard(who)
        self._put(after)

    @rule(id=rows, about=st.booleans())
    def use(self, id: str, *, about: bool) -> None:
        row = self.now[id]
        try:
            after = row.used(subject=row.subject.hash if about else WRONG, now_ms=self.high_ms)
        except (ApprovalClosed, OtherSubject):
            return
        assert about
        assert self.high_ms < row.expires_ms, "a use at its end is late"
        assert len(self.said_yes[id]) >= row.quorum, "used with too few who said yes"
        assert id not in self.said_no, "used though somebody said no"
        self.uses[id] = self.uses.get(id, 0) + 1
        self._put(after)
        with pytest.raises(ApprovalClosed):
            after.used(subject=after.subject.hash, now_ms=self.high_ms)

    @rule(id=rows)
    def withdraw(self, id: str) -> None:
        self._put(self.now[id].withdrawn("gone", now_ms=self.high_ms))

    @rule(ms=st.integers(-100_000, 100_000))
    def turn_the_clock(self, ms: int) -> None:
        self.wall_ms += ms
        self.high_ms = max(self.high_ms, self.wall_ms)
        for id in list(self.now):
            self._put(self.now[id].at(self.high_ms))

    @rule(id=rows)
    def restart(self, id: str) -> None:
        self._put(Approval.from_cbor(self.now[id].to_cbor()))

    @invariant()
    def used_at_most_once(self) -> None:
        assert all(count == 1 for count in self.uses.values())

    @invariant()
    def any_no_denies(self) -> None:
        for id in self.said_no:
            assert self.now[id].standing is Standing.DENIED

    @invariant()
    def approved_only_by_a_quorum_of_distinct_operators(self) -> None:
        for id, row in self.now.items():
            if row.standing in {Standing.APPROVED, Standing.USED}:
                assert len(self.said_yes[id]) >= row.quorum

    @invariant()
    def nothing_open_outlives_its_end(self) -> None:
        for row in self.now.values():
            assert not (row.at(self.high_ms).is_open and self.high_ms >= row.expires_ms)

    @invariant()
    def nothing_leads_back(self) -> None:
        for standings in self.history.values():
            assert len(set(standings)) == len(standings)
            closed = [s for s in standings if s not in {Standing.PENDING, Standing.APPROVED}]
            assert len(closed) <= 1
            assert not closed or standings[-1] is closed[0]


TestAnyPeopleAndClocks = AnyPeopleAndClocks.TestCase


def test_the_hash_of_a_row_is_that_of_its_subject() -> None:
    assert asked().subject.hash == SUBJECT.hash


def test_a_standing_that_nobody_knows_is_a_bug_and_no_yes() -> None:
    with pytest.raises(AssertionError):
        _ = replace(asked(), standing="fine").decision


def test_a_second_yes_of_one_operator_is_none() -> None:
    row = yes(asked(quorum=2))
    assert row.standing is Standing.PENDING
    with pytest.raises(AlreadyVoted):
        yes(row)
    assert yes(row, "did:key:b").standing is Standing.APPROVED


def test_a_vote_dates_no_step_earlier_than_the_one_before() -> None:
    row = yes(asked(quorum=2), now_ms=START_MS + 500)
    assert yes(row, "did:key:b", now_ms=START_MS).changed_ms == START_MS + 500


def test_what_is_forgotten_makes_no_pause_longer() -> None:
    recent = START_MS + MEMORY_MS
    denied = [*range(START_MS - 5, START_MS), recent]
    assert storm(pending=0, denied_ms=denied, now_ms=recent + PAUSE_MS - 1) is not None
    assert storm(pending=0, denied_ms=denied, now_ms=recent + PAUSE_MS) is None
