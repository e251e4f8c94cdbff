"""The bookkeeping of attempts, by itself: order, window, backoff, and forgetting."""

import math
import random

from sync.proto.task_delivery import Delivery
from sync.proto.task_limits import Limits

PEER = b"p" * 32


def up(window: int = 2) -> Delivery:
    delivery = Delivery(Limits(window=window), random.Random(1))
    delivery.link_up(PEER)
    return delivery


def test_nothing_jumps_a_queue_that_was_not_read_to_its_end() -> None:
    delivery = up()
    assert not delivery.is_next(PEER), "there may be older rows"
    delivery.exhausted(PEER)
    assert delivery.is_next(PEER)
    delivery.more(PEER)
    assert not delivery.is_next(PEER)


def test_the_window_and_a_full_link_stop_the_next() -> None:
    delivery = up(window=1)
    delivery.exhausted(PEER)
    delivery.sending(PEER, 1, b"one", 0.0)
    assert not delivery.is_next(PEER)
    delivery.answered(PEER, b"one")
    assert delivery.is_next(PEER)
    delivery.link_full(PEER, None, 0.0)
    assert not delivery.is_next(PEER)
    delivery.link_room(PEER, 0.0)
    assert delivery.is_next(PEER)


def test_what_was_answered_is_never_due() -> None:
    delivery = up()
    delivery.sending(PEER, 1, b"one", 0.0)
    delivery.sending(PEER, 2, b"two", 0.0)
    assert delivery.deadline < math.inf
    delivery.answered(PEER, b"one")
    assert [id_ for _, id_, _ in delivery.due(10.0)] == [b"two"]
    delivery.answered(PEER, b"two")
    delivery.answered(PEER, b"two")
    assert delivery.deadline == math.inf
    assert delivery.room(PEER) == (2, 2)


def test_a_link_that_is_down_is_forgotten_whole() -> None:
    delivery = up()
    delivery.sending(PEER, 1, b"one", 0.0)
    delivery.link_down(PEER)
    assert delivery.deadline == math.inf
    assert delivery.room(PEER) == (0, 0)
    assert delivery.number(PEER, b"one") is None
    for nothing in (delivery.more, delivery.from_start, delivery.link_down):
        nothing(PEER)
    delivery.rest(PEER, b"one", 0.0)
    delivery.answered(PEER, b"one")
    assert not delivery.is_up(PEER)
