"""When to dial, and which of two links to keep."""

import math
import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.errors import SelfDial
from akshi_mesh.transport.keeper import (
    BOTH_DIALLED_S,
    PAUSE_FIRST_S,
    PAUSE_MAX_S,
    STABLE_S,
    Adopt,
    CancelDial,
    Closed,
    CloseLink,
    Dial,
    DialEnded,
    Effect,
    Event,
    Forgotten,
    Keeper,
    Kept,
    Opened,
)

ME, LOWER, HIGHER = b"m" * 32, b"a" * 32, b"z" * 32
AT = (Address("127.0.0.1", 4820),)
BOTH = "both dialled, the other link stays"


class NoJitter:
    def random(self) -> float:
        return 1.0


def keeper() -> Keeper:
    return Keeper(ME, NoJitter())


def kept_and_dialling(peer: bytes = HIGHER, now: float = 0.0) -> Keeper:
    machine = keeper()
    machine.handle(Kept(peer, AT), now)
    assert machine.wake(now) == [Dial(peer, AT)]
    return machine


def test_a_kept_peer_is_dialled_at_once_and_once() -> None:
    machine = kept_and_dialling()
    assert machine.is_dialling(HIGHER)
    assert machine.handle(Kept(HIGHER, AT), 1.0) == []
    assert machine.deadline == math.inf
    assert machine.handle(Opened(HIGHER, 1, True), 2.0) == [Adopt(HIGHER, 1)]
    assert not machine.is_dialling(HIGHER)
    assert machine.deadline == math.inf


def test_nobody_dials_themselves() -> None:
    with pytest.raises(SelfDial):
        keeper().handle(Kept(ME, AT), 0.0)


def test_a_peer_without_addresses_is_waited_for() -> None:
    machine = keeper()
    machine.handle(Kept(HIGHER, ()), 0.0)
    assert machine.deadline == math.inf
    machine.handle(Opened(HIGHER, 1, False), 0.0)
    machine.handle(Closed(HIGHER, 1), 1.0)
    assert machine.deadline == math.inf
    machine.handle(Kept(HIGHER, AT), 2.0)
    assert machine.wake(2.0) == [Dial(HIGHER, AT)]


def test_the_pause_doubles_up_to_its_bound_and_respects_a_ban() -> None:
    machine = kept_and_dialling()
    pauses, now = [], 0.0
    for _ in range(12):
        machine.handle(DialEnded(HIGHER), now)
        pauses.append(machine.deadline - now)
        now = machine.deadline
        assert machine.wake(now) == [Dial(HIGHER, AT)]
    assert pauses[:4] == pytest.approx([PAUSE_FIRST_S * n for n in (1, 2, 4, 8)])
    assert pauses[-1] == pytest.approx(PAUSE_MAX_S)
    machine.handle(DialEnded(HIGHER, pause_s=600.0), now)
    assert machine.deadline == now + 600.0


def test_only_a_link_that_lasted_makes_the_pause_small_again() -> None:
    """A peer that accepts and hangs up is as down as one that refuses."""
    machine, now = kept_and_dialling(), 0.0
    for number in range(8):
        machine.handle(Opened(HIGHER, number, True), now)
        machine.handle(Closed(HIGHER, number), now + 1.0)
        now = machine.deadline
        machine.wake(now)
    assert now > 8 + PAUSE_FIRST_S * 2**7
    machine.handle(Opened(HIGHER, 99, True), now)
    machine.handle(Closed(HIGHER, 99), now + STABLE_S)
    assert machine.deadline == now + STABLE_S + PAUSE_FIRST_S


@pytest.mark.parametrize(("peer", "ours_stays"), [(HIGHER, True), (LOWER, False)])
@pytest.mark.parametrize("ours_first", [True, False])
def test_when_both_dialled_both_keep_the_smaller_keys_link(
    peer: bytes, ours_stays: bool, ours_first: bool
) -> None:
    machine = kept_and_dialling(peer)
    first, second = (True, False) if ours_first else (False, True)
    assert machine.handle(Opened(peer, 1, first), 1.0) == [Adopt(peer, 1)]
    effects = machine.handle(Opened(peer, 2, second), 1.0 + BOTH_DIALLED_S)
    if second is ours_stays:
        assert effects == [CloseLink(1, BOTH), Adopt(peer, 2)]
    else:
        assert effects == [CloseLink(2, BOTH)]


@pytest.mark.parametrize("dialled_by_us", [True, False])
def test_otherwise_the_newer_link_replaces_the_older(dialled_by_us: bool) -> None:
    machine = kept_and_dialling()
    machine.handle(Opened(HIGHER, 1, True), 0.0)
    later = 1.0 if dialled_by_us else BOTH_DIALLED_S + 0.1
    effects = machine.handle(Opened(HIGHER, 2, dialled_by_us), later)
    assert effects == [CloseLink(1, "replaced by a newer link"), Adopt(HIGHER, 2)]
    machine.handle(Closed(HIGHER, 1), later)
    assert machine.deadline == math.inf, "the end of the older one is no reason to dial"


def test_forgetting_ends_what_there_is() -> None:
    machine = kept_and_dialling()
    machine.handle(Opened(HIGHER, 1, False), 0.0)
    effects = machine.handle(Forgotten(HIGHER, "removed"), 1.0)
    assert effects == [CancelDial(HIGHER), CloseLink(1, "removed")]
    assert machine.handle(Closed(HIGHER, 1), 1.0) == []
    assert machine.handle(DialEnded(HIGHER), 1.0) == []
    assert machine.handle(Forgotten(HIGHER, "again"), 1.0) == []
    assert (machine.deadline, machine.kept()) == (math.inf, [])


def test_a_peer_that_only_dialled_us_is_forgotten_with_its_link() -> None:
    machine = keeper()
    machine.handle(Opened(HIGHER, 1, False), 0.0)
    assert machine.kept() == [HIGHER]
    machine.handle(Closed(HIGHER, 1), 50.0)
    assert machine.kept() == []


def test_a_dial_that_fails_beside_a_live_link_changes_nothing() -> None:
    machine = kept_and_dialling()
    machine.handle(Opened(HIGHER, 1, False), 0.0)
    machine.handle(DialEnded(HIGHER), 1.0)
    assert machine.deadline == math.inf
    assert not machine.is_dialling(HIGHER)


class AnyWeather(RuleBasedStateMachine):
    """Whatever happens: one link a peer, never two dials at once, and a kept peer without a
    link is being dialled or will be."""

    peers = st.sampled_from([LOWER, HIGHER])

    def __init__(self) -> None:
        super().__init__()
        self.now, self.numbers = 0.0, 0
        self.keeper = Keeper(ME, random.Random(1))
        self.dialling: set[bytes] = set()
        self.live: dict[int, bytes] = {}
        self.current: dict[bytes, int] = {}
        self.wanted: set[bytes] = set()

    def tell(self, event: Event) -> None:
        self.perform(self.keeper.handle(event, self.now))

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Dial(peer, addresses):
                    assert peer in self.wanted
                    assert peer not in self.dialling | set(self.current)
                    assert addresses == AT
                    self.dialling.add(peer)
                case CancelDial(peer):
                    self.dialling.remove(peer)
                case Adopt(peer, link):
                    assert peer not in self.current
                    self.current[peer] = link
                case CloseLink(link, _):
                    peer = self.live.pop(link)
                    if self.current.get(peer) == link:
                        del self.current[peer]

    @rule(peer=peers)
    def keep(self, peer: bytes) -> None:
        self.wanted.add(peer)
        self.tell(Kept(peer, AT))

    @rule(peer=peers)
    def forget(self, peer: bytes) -> None:
        self.wanted.discard(peer)
        self.tell(Forgotten(peer, "x"))
        assert peer not in self.current

    @rule(peer=peers, succeeds=st.booleans())
    def dial_ends(self, peer: bytes, succeeds: bool) -> None:
        if peer in self.dialling:
            self.dialling.remove(peer)
            if succeeds:
                self.open(peer, True)
            else:
                self.tell(DialEnded(peer))

    @rule(peer=peers)
    def dialled_by_peer(self, peer: bytes) -> None:
        self.open(peer, False)

    def open(self, peer: bytes, dialled_by_us: bool) -> None:
        self.numbers += 1
        self.live[self.numbers] = peer
        self.tell(Opened(peer, self.numbers, dialled_by_us))

    @rule(number=st.integers(0, 5))
    def link_ends(self, number: int) -> None:
        if self.live:
            link = list(self.live)[number % len(self.live)]
            peer = self.live.pop(link)
            if self.current.get(peer) == link:
                del self.current[peer]
            self.tell(Closed(peer, link))

    @rule(pause_s=st.sampled_from([0.01, 0.5, 9.0, 40.0]))
    def wait(self, pause_s: float) -> None:
        self.now += pause_s
        self.perform(self.keeper.wake(self.now))
        assert self.keeper.deadline > self.now

    @invariant()
    def every_wanted_peer_is_linked_dialled_or_due(self) -> None:
        assert set(self.live.values()) == set(self.current), "two links of one peer"
        idle = self.wanted - self.dialling - set(self.current)
        assert (self.keeper.deadline < math.inf) == bool(idle)
        assert self.keeper.deadline <= self.now + PAUSE_MAX_S or not idle
        assert set(self.keeper.kept()) == self.wanted | set(self.current)


TestAnyWeather = AnyWeather.TestCase
TestAnyWeather.settings = settings(stateful_step_count=40, deadline=None)
