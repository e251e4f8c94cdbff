"""What the journal engine remembers of one live link; gone when the link is."""

from dataclasses import dataclass, field
from typing import Final

from sync.proto.journal_messages import NAMES_MAX

KNOWN_MAX: Final = (
    8_192  # logs whose size at the peer is remembered; at the bound all are forgotten
)
REFUSED_MAX: Final = 4_096  # authors that a peer refuses; at the bound the oldest is told again
ATTESTED_MAX: Final = 4_096  # authors whose attestation was sent
BUDGET_S: Final = 5.0  # half a period of reconciliation, so that each has its budget
SERVED_MAX: Final = 4  # times one stretch is sent to one peer in BUDGET_S
PROBES_MAX: Final = 128  # leaves told to one peer in BUDGET_S
# Rows that one peer makes us read or compare in BUDGET_S (12 µs each), but always enough for
# four passes over all there is. What it says beyond is passed over, as if it were lost.
LOOKED_MAX: Final = 16_384
LOOK_ROWS: Final = 64  # what one look counts beside its rows


@dataclass(slots=True)
class Link:
    """One peer, while it is connected."""

    peer: bytes
    mine: tuple[str, ...]
    reconcile_s: float
    budgets_s: float  # since when the budgets below are spent
    theirs: frozenset[str] | None = None  # None until they have told
    refused: dict[tuple[str, bytes], None] = field(default_factory=dict)  # by the peer
    told: dict[tuple[str, bytes], None] = field(default_factory=dict)  # refusals we have sent
    asked: dict[tuple[str, bytes], None] = field(default_factory=dict)  # for whose attestation
    known: dict[bytes, int] = field(default_factory=dict)
    attested: dict[bytes, None] = field(default_factory=dict)
    served: dict[tuple[bytes, int], int] = field(default_factory=dict)
    probes: int = 0
    names_answered: bool = False
    names_owed: bool = False  # they came when no look was left
    rows: int = 0  # at the last look at everything
    looked: int = 0

    @property
    def shared(self) -> frozenset[str]:
        """Journals that both sides have named."""
        return frozenset() if self.theirs is None else self.theirs.intersection(self.mine)

    def note_size(self, log: bytes, size: int) -> None:
        """The peer has at least `size` entries of `log`."""
        if len(self.known) >= KNOWN_MAX:
            self.known.clear()
        self.known[log] = max(size, self.known.get(log, 0))

    def may_serve(self, log: bytes, start: int) -> bool:
        """Whether this stretch was not asked for too often; counts it."""
        if len(self.served) >= KNOWN_MAX:
            return False
        count = self.served[log, start] = self.served.get((log, start), 0) + 1
        return count <= SERVED_MAX

    def may_tell_leaf(self) -> bool:
        self.probes += 1
        return self.probes <= PROBES_MAX

    def may_look(self, rows: int) -> bool:
        """Whether the peer may make us look at so many rows; counts them."""
        if self.looked >= max(LOOKED_MAX, 4 * self.rows):
            return False
        self.looked += LOOK_ROWS + rows
        return True

    def renew_budgets(self, now_s: float) -> None:
        """Once a period, by our clock alone: nothing that a peer says renews what it may ask."""
        if now_s - self.budgets_s < BUDGET_S:
            return
        self.budgets_s = now_s
        self.served.clear()
        self.probes = self.looked = 0
        self.names_answered = False


def remember(table: dict[tuple[str, bytes], None], key: tuple[str, bytes]) -> bool:
    """Put `key` into a bounded table; False if it was there."""
    if key in table:
        return False
    if len(table) >= REFUSED_MAX:
        del table[next(iter(table))]
    table[key] = None
    return True


def names_for(names: set[str]) -> tuple[str, ...]:
    """What is announced: in order, and no more than one message may hold."""
    return tuple(sorted(names)[:NAMES_MAX])
