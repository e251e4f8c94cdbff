"""Handshake stamps rise, whatever the clock does, and survive the process."""

from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.stamps import SCHEMA, Stamps
from akshi_mesh.transport.handshake import STAMP_MAX
from sync.store.database import Database

PEER = b"p" * 32


def stamps(database: Database, clock_us: int = 1_000) -> Stamps:
    return Stamps(database, clock_us=lambda: clock_us)


def test_a_clock_that_stands_still_or_goes_back_gives_rising_stamps() -> None:
    database = Database.open(":memory:", schemas=[SCHEMA])
    assert stamps(database).next_stamp(PEER, above=0) == 1_000
    assert stamps(database).next_stamp(PEER, above=0) == 1_001
    assert stamps(database, clock_us=5).next_stamp(PEER, above=0) == 1_002


def test_what_the_peer_has_seen_is_passed() -> None:
    database = Database.open(":memory:", schemas=[SCHEMA])
    assert stamps(database).next_stamp(PEER, above=9_999) == 10_000


def test_stamps_that_are_used_up_begin_again_at_the_clock() -> None:
    """A row at the end of the integers would else stop the node at each dial."""
    database = Database.open(":memory:", schemas=[SCHEMA])
    assert stamps(database).next_stamp(PEER, above=STAMP_MAX - 1) == STAMP_MAX
    assert stamps(database).next_stamp(PEER, above=0) == 1_000
    assert stamps(database).next_stamp(PEER, above=STAMP_MAX) == 1_001


@given(st.lists(st.integers(0, 50), max_size=20))
def test_accepted_is_exactly_what_rises(offered: list[int]) -> None:
    database = Database.open(":memory:", schemas=[SCHEMA])
    highest = 0
    for stamp in offered:
        assert stamps(database).accept(PEER, stamp) == (stamp > highest)
        highest = max(highest, stamp)
        assert stamps(database).highest(PEER) == highest


def test_peers_do_not_share_stamps() -> None:
    database = Database.open(":memory:", schemas=[SCHEMA])
    assert stamps(database).accept(PEER, 7)
    assert stamps(database).highest(b"q" * 32) == 0
