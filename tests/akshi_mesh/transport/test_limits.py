"""What strangers may cost."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from akshi_mesh.transport import limits
from akshi_mesh.transport.limits import Admitted, HalfOpen, StrangerLines, source_of


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_what_connections_are_counted_by(host: str, source: str | None) -> None:
    assert source_of(host) == source


def admit(half_open: HalfOpen, source: str | None, now: float) -> Admitted:
    admitted = half_open.arrive(source, now)
    assert isinstance(admitted, Admitted)
    return admitted


def test_one_source_has_four_handshakes_at_once() -> None:
    half_open = HalfOpen()
    tickets = [admit(half_open, "a", 0.0).ticket for _ in range(4)]
    assert half_open.arrive("a", 0.0) == "too many handshakes at once"
    admit(half_open, "b", 0.0)
    half_open.leave(tickets[0])
    admit(half_open, "a", 0.0)


def test_one_source_has_twenty_connections_a_second() -> None:
    half_open = HalfOpen()
    for _ in range(20):
        half_open.leave(admit(half_open, "a", 5.0).ticket)
    assert half_open.arrive("a", 5.0) == "too many connections a second"
    half_open.leave(admit(half_open, "a", 5.0625).ticket)
    assert half_open.arrive("a", 5.0625) == "too many connections a second"
    for _ in range(50):
        half_open.leave(admit(half_open, None, 5.0).ticket)


def test_when_full_the_oldest_without_message_1_makes_room() -> None:
    half_open = HalfOpen()
    tickets = [admit(half_open, None, 0.0).ticket for _ in range(limits.HALF_OPEN_MAX)]
    half_open.hailed(tickets[0])
    assert admit(half_open, None, 0.0).dropped == tickets[1]
    for ticket in tickets:
        half_open.hailed(ticket)
    half_open.hailed(admit(half_open, None, 0.0).ticket - 1)
    assert len(half_open) == limits.HALF_OPEN_MAX


def test_when_all_have_hailed_the_oldest_makes_room() -> None:
    half_open = HalfOpen()
    tickets = [admit(half_open, None, 0.0).ticket for _ in range(limits.HALF_OPEN_MAX)]
    for ticket in tickets:
        half_open.hailed(ticket)
    assert admit(half_open, None, 0.0).dropped == tickets[0]
    half_open.hailed(tickets[0])  # gone: nothing to mark
    half_open.leave(tickets[0])


def test_sources_are_forgotten_before_memory_grows() -> None:
    half_open = HalfOpen()
    for number in range(limits.SOURCES_MAX + 10):
        half_open.leave(admit(half_open, str(number), 0.0).ticket)
    assert len(half_open._buckets) == limits.SOURCES_MAX


def test_a_stranger_is_named_once_in_ten_minutes() -> None:
    lines = StrangerLines()
    assert lines.may_write(b"a", 0.0)
    assert not lines.may_write(b"a", 599.0)
    assert lines.may_write(b"a", 600.0)


def test_strangers_get_ten_lines_a_minute_in_all() -> None:
    lines = StrangerLines()
    written = [lines.may_write(bytes([number]), 60.0 + number) for number in range(20)]
    assert written == [True] * 10 + [False] * 10
    assert lines.may_write(b"\x0f", 120.0), "who was not named then may be now"


def test_names_are_forgotten_before_memory_grows() -> None:
    lines = StrangerLines()
    for number in range(limits.NAMES_MAX + 10):
        lines.may_write(str(number), number * 60.0)
    assert len(lines._named) == limits.NAMES_MAX


class AnyArrivals(RuleBasedStateMachine):
    """Whoever arrives when: the bounds hold, and a fresh source always gets in."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.half_open = HalfOpen()
        self.open: dict[int, str | None] = {}

    @rule(source=st.sampled_from([None, "a", "b", "c"]), pause_s=st.floats(0, 0.2))
    def arrive(self, source: str | None, pause_s: float) -> None:
        self.now += pause_s
        admitted = self.half_open.arrive(source, self.now)
        if isinstance(admitted, Admitted):
            if admitted.dropped is not None:
                del self.open[admitted.dropped]
            self.open[admitted.ticket] = source
        else:
            assert source is not None

    @rule(count=st.integers(1, 30))
    def flood(self, count: int) -> None:
        for _ in range(count):
            self.arrive(None, 0.0)

    @rule(number=st.integers(0, 10), hailed=st.booleans())
    def end(self, number: int, hailed: bool) -> None:
        if not self.open:
            return
        ticket = list(self.open)[number % len(self.open)]
        if hailed:
            self.half_open.hailed(ticket)
        else:
            self.half_open.leave(ticket)
            del self.open[ticket]

    @invariant()
    def the_bounds_hold(self) -> None:
        assert len(self.half_open) == len(self.open) <= limits.HALF_OPEN_MAX
        sources = [source for source in self.open.values() if source]
        assert all(sources.count(s) <= limits.HALF_OPEN_PER_SOURCE_MAX for s in "abc")


TestAnyArrivals = AnyArrivals.TestCase
TestAnyArrivals.settings = settings(stateful_step_count=30, deadline=None)
