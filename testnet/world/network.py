"""Links between processes: dialled, opened on one side, then on the other; and what travels.

    dial ──delay──▶ opened by the dialler ──first message──▶ opened by the other
                                             either side closes, or dies, or nobody hears it

Sockets and handshakes are simulated; when to dial and which of two links to keep is decided by the
real `Keeper` in each process. A message belongs to its link: what arrives after that was closed is
lost, as with TCP. Within a link the weather is worse than TCP's, for other transports will come.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from akshi_mesh.transport.keeper import DialEnded, Opened
from testnet.world.agenda import Agenda
from testnet.world.describe import words
from testnet.world.weather import CALM, Map, Weather

if TYPE_CHECKING:
    from testnet.world.process import Process
    from testnet.world.site import Site

SILENT_S = 30.0  # a link that says nothing for so long is dead: akshi_mesh.transport.link
FULL = 0.01  # chance that a queue takes no more
STALE_COPIES = 0.01  # chance that a copy turns up much later, over whatever link there is then
STALE_S_MAX = 120.0


@dataclass(eq=False, slots=True)
class Wire:
    """One connection. `numbers` holds the ends that are open, by the site's index."""

    dialler: "Process"
    other: "Process"
    numbers: dict[int, int] = field(default_factory=dict)
    was_taken: bool = False  # by the other side: it opens once

    def far(self, process: "Process") -> "Process":
        return self.other if process is self.dialler else self.dialler

    def number(self, process: "Process") -> int | None:
        return self.numbers.get(process.site.index)

    @property
    def is_open(self) -> bool:
        return self.dialler.site.index in self.numbers


class Network:
    """Carries messages as the weather lets it; `on` runs an action of a process that lives."""

    def __init__(
        self,
        agenda: Agenda,
        dice: random.Random,
        on: Callable[["Process", str, Callable[[], None]], None],
        find: Callable[["Process", bytes], "Site"],
    ) -> None:
        self.weather: Weather = CALM
        self.map = Map()
        self.carried = 0
        self.lost = 0
        self._agenda = agenda
        self._dice = dice
        self._on = on
        self._find = find
        self.wires: list[Wire] = []

    # --- dialling -------------------------------------------------------------------------------

    def dial(self, process: "Process", peer: bytes) -> None:
        """One attempt to reach `peer`; the answer is Opened or DialEnded."""

        def answer() -> None:
            if not process.keeper.is_dialling(peer):
                return
            other = self._find(process, peer).process
            if other is None or not self._can_meet(process, other):
                process.tell_keeper(DialEnded(peer))
                return
            wire = Wire(process, other)
            self.wires.append(wire)
            self._open(wire, process)
            self._later(other, "hears a first message", lambda: self._open(wire, other))

        self._later(process, f"dialled {peer.hex()[:6]}", answer)

    def _can_meet(self, one: "Process", other: "Process") -> bool:
        return (
            self.map.reachable(one.site.index, other.site.index)
            and other.site.me in one.site.trusted
            and one.site.me in other.site.trusted
        )

    def _open(self, wire: Wire, process: "Process") -> None:
        if wire.number(process) is not None:
            return
        if process is wire.other:
            if wire.was_taken:
                return
            wire.was_taken = True
            if not (wire.is_open and self._can_meet(process, wire.dialler)):
                self._hang_up(wire, process)
                return
        number = process.next_link()
        wire.numbers[process.site.index] = number
        process.live[number] = wire
        process.tell_keeper(Opened(wire.far(process).site.me, number, process is wire.dialler))

    # --- messages -------------------------------------------------------------------------------

    def carry(self, process: "Process", wire: Wire, message_type: int, body: bytes) -> bool:
        """Put a message on its way; False: the queue is full, and will have room again."""
        if self._dice.random() < FULL and self.weather is not CALM:
            peer = wire.far(process).site.me
            self._later(process, "has room again", lambda: process.mesh.link_room(peer))
            return False
        self.carried += 1
        delays = self.weather.deliveries(self._dice)
        self.lost += not delays
        target = wire.far(process)
        for delay_s in delays:
            self._agenda.after(delay_s, lambda: self._arrive(wire, target, message_type, body))
        if self.weather is not CALM and self._dice.random() < STALE_COPIES:
            pause_s = self._dice.uniform(0.0, STALE_S_MAX)
            sender, receiver = process.site, target.site
            self._agenda.after(
                pause_s, lambda: self._arrive_late(sender, receiver, message_type, body)
            )
        return True

    def _arrive(self, wire: Wire, target: "Process", message_type: int, body: bytes) -> None:
        sender = wire.far(target)
        if not self.map.reachable(sender.site.index, target.site.index):
            self.lost += 1
            return

        def take() -> None:
            if target is wire.other:
                self._open(wire, target)
            if wire.number(target) is not None:
                target.mesh.message(sender.site.me, message_type, body)

        self._on(target, f"<- {sender.site.name} {describe(message_type, body)}", take)

    def _arrive_late(
        self, sender: "Site", receiver: "Site", message_type: int, body: bytes
    ) -> None:
        """A copy from an older link, said again on the present one."""
        target = receiver.process
        if target is not None and sender.me in target.current:
            words = f"<- {sender.name} {describe(message_type, body)}, an old copy"
            self._on(target, words, lambda: target.mesh.message(sender.me, message_type, body))

    # --- ends -----------------------------------------------------------------------------------

    def close(self, process: "Process", number: int) -> None:
        """`process` hangs up; the other side notices, now or when it has heard nothing for long."""
        wire = process.live.pop(number, None)
        if wire is None:
            return
        del wire.numbers[process.site.index]
        if not wire.numbers:
            self.wires.remove(wire)
        else:
            self._hang_up(wire, process)

    def _hang_up(self, wire: Wire, process: "Process") -> None:
        other = wire.far(process)
        heard = self.map.reachable(process.site.index, other.site.index)
        within_s = self.weather.delay_max_s if heard else SILENT_S
        self._agenda.after(self._dice.uniform(0.0, within_s), lambda: self._end(wire, other))

    def _end(self, wire: Wire, process: "Process") -> None:
        number = wire.number(process)
        if number is not None:
            self._on(
                process,
                f"lost a link to {wire.far(process).site.name}",
                lambda: process.lost(number),
            )

    def gone(self, process: "Process", *, silently: bool) -> None:
        """The process died: its links end, at once or when their far ends miss it."""
        for wire in list(process.live.values()):
            del wire.numbers[process.site.index]
            if not wire.numbers:
                self.wires.remove(wire)
                continue
            other = wire.far(process)
            pause_s = self._dice.uniform(0.0, SILENT_S if silently else 0.5)
            self._agenda.after(pause_s, partial(self._end, wire, other))
        process.live.clear()

    def drop(self, wire: Wire) -> None:
        """The connection breaks; each side notices when it does."""
        for process in (wire.dialler, wire.other):
            self._agenda.after(self._dice.uniform(0.0, 5.0), partial(self._end, wire, process))

    def partitioned(self) -> None:
        """Links across the new border go silent, and end if they stay so."""
        for wire in list(self.wires):
            one, other = wire.dialler.site.index, wire.other.site.index
            if not self.map.reachable(one, other):
                pause_s = self._dice.uniform(SILENT_S * 2 / 3, SILENT_S)
                self._agenda.after(pause_s, partial(self._end_if_silent, wire))

    def _end_if_silent(self, wire: Wire) -> None:
        if not self.map.reachable(wire.dialler.site.index, wire.other.site.index):
            for process in (wire.dialler, wire.other):
                self._end(wire, process)

    def _later(self, process: "Process", what: str, action: Callable[[], None]) -> None:
        pause_s = self._dice.uniform(self.weather.delay_min_s, self.weather.delay_max_s)
        self._agenda.after(pause_s, lambda: self._on(process, what, action))


def describe(message_type: int, body: bytes) -> str:
    """A message in a few words."""
    return words(message_type, body)
