"""Acknowledgements that gather for a moment, so that one signature covers many.

    noted ──delay, or at once if it is bad news──▶ one RECEIPT a peer
      └──a result leaves first──▶ forgotten: the result says it too

Memory only. A receipt that is lost, with the link or with the process, costs one retry of the
sender; it is noted only in the transaction that stored what it acknowledges.
"""

import math
from dataclasses import dataclass, field

from sync.proto.task_bodies import REASON_CHARACTERS_MAX, RECEIPTS_MAX, Receipt
from sync.proto.task_states import Disposition

_PATIENT = {Disposition.ACCEPTED, Disposition.DUPLICATE, Disposition.DONE}


@dataclass(slots=True)
class _Noted:
    due_at: float
    lines: dict[bytes, Receipt] = field(default_factory=dict)


class Receipts:
    """What to tell each peer about its envelopes; one line an envelope, the latest wins."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._noted: dict[bytes, _Noted] = {}

    @property
    def deadline(self) -> float:
        return min((noted.due_at for noted in self._noted.values()), default=math.inf)

    def note(
        self, peer: bytes, id_: bytes, disposition: Disposition, now: float, reason: str = ""
    ) -> None:
        noted = self._noted.get(peer)
        if noted is None:
            noted = self._noted[peer] = _Noted(now + self._delay_s)
        noted.lines[id_] = Receipt(id_, disposition, reason[:REASON_CHARACTERS_MAX])
        # A person waits for bad news; and what is full need not wait.
        if disposition not in _PATIENT or len(noted.lines) >= RECEIPTS_MAX:
            noted.due_at = now

    def forget(self, peer: bytes, id_: bytes) -> None:
        noted = self._noted.get(peer)
        if noted is not None and noted.lines.pop(id_, None) is not None and not noted.lines:
            del self._noted[peer]

    def forget_all(self) -> None:
        self._noted.clear()

    def take(self, now: float) -> list[tuple[bytes, list[Receipt]]]:
        """What is due, in lots that fit one envelope each."""
        due = [peer for peer, noted in self._noted.items() if noted.due_at <= now]
        taken: list[tuple[bytes, list[Receipt]]] = []
        for peer in due:
            lines = list(self._noted.pop(peer).lines.values())
            for start in range(0, len(lines), RECEIPTS_MAX):
                taken.append((peer, lines[start : start + RECEIPTS_MAX]))
        return taken
