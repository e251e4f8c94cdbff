"""One request for a log at a time, and only to those who said they have it."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sync.proto.journal_wants import ASKED_MAX, OF_A_PEER_MAX, RETRY_S, WANTS_MAX, Wants

peers = st.sampled_from([b"a", b"b", b"c"])
logs = st.integers(0, 12).map(lambda number: bytes([number]))


class AnySchedule(RuleBasedStateMachine):
    """Whatever is said, and whenever: nothing is asked twice at a time, nothing is forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.wants = Wants()
        self.now = 0.0
        self.under_way: dict[bytes, tuple[bytes, float]] = {}
        self.offers: dict[tuple[bytes, bytes], int] = {}

    @rule(log=logs, peer=peers, size=st.integers(1, 9))
    def note(self, log: bytes, peer: bytes, size: int) -> None:
        self.wants.note(log, peer, size)
        self.offers[log, peer] = max(size, self.offers.get((log, peer), 0))

    @rule(log=logs, size=st.integers(0, 9))
    def arrived(self, log: bytes, size: int) -> None:
        self.wants.arrived(log, size)
        self.under_way.pop(log, None)
        for key in [key for key, held in self.offers.items() if key[0] == log and held <= size]:
            del self.offers[key]

    @rule(peer=peers)
    def lost(self, peer: bytes) -> None:
        self.wants.lost(peer)
        for key in [key for key in self.offers if key[1] == peer]:
            del self.offers[key]
            self.under_way.pop(key[0], None)

    @rule(pause_s=st.floats(0, 2 * RETRY_S))
    def ask(self, pause_s: float) -> None:
        self.now += pause_s
        for log, (peer, since) in list(self.under_way.items()):
            if since + RETRY_S <= self.now:
                del self.under_way[log]
                self.offers.pop((log, peer), None)
        self.wants.wake(self.now)
        for peer, log in self.wants.asks(self.now, lambda *_: True):
            assert log not in self.under_way
            assert (log, peer) in self.offers
            self.under_way[log] = (peer, self.now)

    @invariant()
    def every_offer_is_remembered_and_few_are_asked(self) -> None:
        assert len(self.wants) == len({log for log, _ in self.offers})
        asked = [peer for peer, _ in self.under_way.values()]
        assert all(asked.count(peer) <= ASKED_MAX for peer in asked)
        assert self.wants.deadline > self.now or not self.under_way or self.overdue()

    def overdue(self) -> bool:
        return any(since + RETRY_S <= self.now for _, since in self.under_way.values())


TestAnySchedule = AnySchedule.TestCase


def test_one_peer_cannot_fill_the_table() -> None:
    wants = Wants()
    for number in range(WANTS_MAX):
        wants.note(number.to_bytes(16), b"liar", 1 << 40)
    assert len(wants) == OF_A_PEER_MAX
    wants.note(bytes(15) + b"\xff\xff", b"honest", 3)
    assert len(wants) == OF_A_PEER_MAX + 1
    for peer in range(10):
        for number in range(WANTS_MAX):
            wants.note(bytes([peer]) + number.to_bytes(15), bytes([peer]), 1)
    assert len(wants) == WANTS_MAX
    for peer in range(10):
        wants.lost(bytes([peer]))
    wants.lost(b"liar")
    assert len(wants) == 1
