"""Agents of one node that wait for each other do not hold each other for ever."""

from akshi_mesh.waits import Waits


def test_the_wait_that_closes_a_circle_is_seen() -> None:
    waits = Waits(lambda _: 1)
    assert not waits.would_stand_still("a", ["b"])
    with waits.under_way(b"1", "a", ["b"]):
        assert waits.would_stand_still("b", ["a"])
        assert not waits.would_stand_still("b", ["c"])
        with waits.under_way(b"2", "b", ["c"]):
            assert waits.would_stand_still("c", ["a"])
            assert not waits.would_stand_still("c", ["a", "d"]), "d may end first"
    assert not waits.would_stand_still("b", ["a"])


def test_a_free_slot_breaks_the_circle() -> None:
    waits = Waits(lambda agent: 2 if agent == "a" else 1)
    with waits.under_way(b"1", "a", ["b"]):
        assert not waits.would_stand_still("b", ["a"])
        with waits.under_way(b"2", "a", ["b"]):
            assert waits.would_stand_still("b", ["a"])
