"""Hybrid times rise, follow what was seen, and never run more than 5 minutes ahead."""

from hypothesis import given
from hypothesis import strategies as st

from sync.hybrid_clock import AHEAD_MS_MAX, HybridClock, due_until, time_at, wall_of

NOW = 1_700_000_000_000


def test_it_follows_what_was_seen_but_not_beyond_the_tolerance() -> None:
    clock = HybridClock()
    clock.saw(time_at(NOW + AHEAD_MS_MAX), wall_ms=NOW)
    assert clock.tick(NOW) == time_at(NOW + AHEAD_MS_MAX) + 1
    clock.saw(time_at(NOW + AHEAD_MS_MAX + 1), wall_ms=NOW)
    assert clock.tick(NOW) == time_at(NOW + AHEAD_MS_MAX) + 2


def test_a_clock_set_back_by_an_hour_does_not_hide_our_own_entries() -> None:
    clock = HybridClock()
    clock.tick(NOW + 3_600_000)
    time = clock.tick(NOW)
    assert wall_of(time) == NOW
    assert time <= due_until(NOW)


@given(st.lists(st.integers(0, AHEAD_MS_MAX), min_size=2, max_size=50))
def test_times_rise_whatever_the_wall_does_within_the_tolerance(walls: list[int]) -> None:
    clock = HybridClock()
    times = [clock.tick(NOW + wall) for wall in walls]
    assert times == sorted(set(times))
    assert all(time <= due_until(NOW + AHEAD_MS_MAX) for time in times)
