"""A reservation gives money back at most once, and never what may have been paid."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.reservation import DAY_MS, Reservation, Standing, day_of
from sandbox.spend import Money

NOW = Reservation(20_000, Money(500, "EUR"))
steps = st.lists(st.sampled_from(["commit", "release", "lose"]), max_size=8)


@given(steps, st.integers(0, 1000))
def test_what_it_gives_back_is_never_more_than_it_took(names: list[str], actual: int) -> None:
    """The oracle: what counts in the end is what was paid, or what may have been paid."""
    one, counted = NOW, NOW.money.micro
    for name in names:
        if name == "commit":
            one, change = one.commit(Money(actual, "EUR"))
        elif name == "release":
            one, change = one.release()
        else:
            one, change = one.lose(), 0
        counted += change
    assert counted >= 0
    if not names or names[0] == "lose":
        assert counted >= NOW.money.micro
    if "commit" in names:
        assert counted >= actual
    if one.standing is Standing.UNKNOWN:
        assert counted >= NOW.money.micro
    assert counted == (0 if one.standing is Standing.RELEASED else one.money.micro)


def test_a_second_release_gives_nothing() -> None:
    released, back = NOW.release()
    assert (back, released.standing) == (-500, Standing.RELEASED)
    assert released.release() == (released, 0)


def test_what_was_lost_stays_lost() -> None:
    lost = NOW.lose()
    assert lost.standing is Standing.UNKNOWN
    assert lost.release() == (lost, 0)
    assert lost.commit(Money(100, "EUR")) == (lost, 0)
    more, change = lost.commit(Money(600, "EUR"))
    assert (more.standing, more.money.micro, change) == (Standing.UNKNOWN, 600, 100)


def test_what_was_settled_is_not_lost() -> None:
    committed, back = NOW.commit(Money(300, "EUR"))
    assert (committed.standing, back) == (Standing.COMMITTED, -200)
    assert committed.lose() == committed
    assert committed.release() == (committed, 0)


def test_a_payment_after_a_release_counts_after_all() -> None:
    released, _ = NOW.release()
    paid, change = released.commit(Money(500, "EUR"))
    assert (paid.standing, change) == (Standing.COMMITTED, 500)


def test_a_clock_that_is_set_back_opens_no_earlier_day() -> None:
    assert day_of(20_000 * DAY_MS, 0) == 20_000
    assert day_of(20_001 * DAY_MS - 1, 20_000) == 20_000
    assert day_of(19_000 * DAY_MS, 20_000) == 20_000


def test_a_standing_that_nobody_knows_is_a_bug_and_gives_nothing_back() -> None:
    odd = replace(NOW, standing="odd")  # type: ignore[arg-type]
    with pytest.raises(AssertionError):
        odd.commit(Money(1, "EUR"))
    assert odd.release() == (odd, 0)
