"""A wall clock that is set back, or stands still, moves nothing here."""

from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.approvals.steady_clock import SteadyClock
from sync.clock import Moment


@given(
    stored_ms=st.integers(0, 10_000),
    steps=st.lists(st.tuples(st.integers(-5_000, 5_000), st.integers(0, 2_000)), max_size=20),
)
def test_it_never_goes_back_and_never_stands_still(
    stored_ms: int, steps: list[tuple[int, int]]
) -> None:
    wall_ms, mono_ms = 5_000, 0
    clock = SteadyClock(lambda: Moment(mono_ms / 1_000, wall_ms), stored_ms=stored_ms)
    started = last = clock.ms()
    assert started >= max(5_000, stored_ms)
    for wall_step, mono_step in steps:
        wall_ms, mono_ms = wall_ms + wall_step, mono_ms + mono_step
        now = clock.ms()
        assert now >= max(last, wall_ms, started + mono_ms - 1)
        last = now
