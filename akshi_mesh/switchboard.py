"""Where links, engines and agents meet: messages in, and everything the engines say, out.

    Links ──LinkSink──▶ Switchboard ─▶ Mesh        what a peer sent
    Links ◀── send ──── Switchboard ◀─ Voice       what a committed transaction set off

A message is taken in at once, in the task that read it. What gathers (receipts, checkpoints,
messages to ourselves) is flushed by one task as soon as nothing else is ready to run, so that
a burst of messages shares one signature and a lone one does not wait.

While the disk takes nothing, a message waits where it is, so that its peer is held back and
nothing is lost; what links have told us is owed to the engines, and told in order later.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NoReturn

import structlog
import trio

from akshi_mesh.approvals.errors import MalformedAnswer
from akshi_mesh.approvals.office import ApprovalOffice
from akshi_mesh.attempts import Attempts
from akshi_mesh.audit.errors import MalformedReconcile
from akshi_mesh.audit.reconciler import Reconciler
from akshi_mesh.revocations import Revocations
from akshi_mesh.transport.links import Links
from identity.did import Did
from identity.envelope import Envelope, Kind
from sandbox.budget import Budget
from sync.errors import StoreBusy, StoreFull, StoreReadOnly
from sync.mesh import Mesh
from sync.proto.journal_events import ForkFound
from sync.proto.messages import ENVELOPE
from sync.proto.task_events import StartAttempt

log = structlog.get_logger()

LOCAL_MESSAGES_MAX = 1_024  # to ourselves, not yet taken in; then the engine offers again later
FORGERIES_MAX = 3  # bad signatures of one peer; then it is banned
BAN_MS = 10 * 60 * 1000  # the first time, then doubling
BAN_MS_MAX = 24 * 3600 * 1000
TROUBLE_PAUSE_S = 1.0  # between two looks at a disk that took nothing
LINES_BURST = 60  # about refused envelopes of one peer
LINES_PER_S = 0.5
REFUSALS_KEPT = 256  # distinct reasons, for `status`; further ones are only logged


class Switchboard:
    """The engines' `Voice`, the transport's `LinkSink`, and the task that drives the clock."""

    def __init__(self, *, me: bytes, wall_ms: Callable[[], int]) -> None:
        self._me = me
        self._wall_ms = wall_ms
        self._local: deque[bytes] = deque()
        self._work = trio.Event()
        self._armed_for = math.inf  # when `run` looks at the clock again
        self._waiting: dict[bytes, set[trio.Event]] = {}
        self._forgeries: dict[bytes, int] = {}
        self._bans: dict[bytes, int] = {}
        self._lines: dict[bytes, Budget] = {}
        self.refusals: dict[str, int] = {}
        self.is_linked: set[bytes] = set()
        self.trouble: StoreFull | StoreReadOnly | StoreBusy | None = None
        self._well = trio.Event()  # set when a trouble is over
        self._owed: deque[tuple[bytes, Callable[[], None]]] = deque()

    def connect(
        self,
        mesh: Mesh,
        links: Links,
        attempts: Attempts,
        revocations: Revocations,
        approvals: ApprovalOffice,
        *,
        reconciler: Reconciler,
    ) -> None:
        """Plug in those it stands between; once, before `run`."""
        self._mesh = mesh
        self._links = links
        self._attempts = attempts
        self._revocations = revocations
        self._approvals = approvals
        self._reconciler = reconciler

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Drive timers and flushes until cancelled."""
        task_status.started()
        self._about_link(self._me, partial(self._mesh.link_up, self._me))
        while True:
            self._armed_for = self._mesh.deadline
            with trio.move_on_at(self._armed_for):
                await self._work.wait()
            self._work = trio.Event()  # before the work: what comes up meanwhile is not missed
            # Whatever else is ready takes its turn first, and its receipts join this flush.
            await trio.lowlevel.checkpoint()
            if self._in_trouble(self._catch_up):
                await trio.sleep(TROUBLE_PAUSE_S)
                self._work.set()

    def _catch_up(self) -> None:
        if self.trouble is not None:
            self._mesh.touch()
            log.info("store.well", why="the disk takes what is written again")
            self.trouble = None
            self._well.set()
        if trio.current_time() >= self._mesh.deadline:
            self._mesh.wake()
        for _ in range(len(self._local)):
            self._mesh.message(self._me, ENVELOPE, self._local[0])
            self._local.popleft()
        if self._local:
            self._work.set()
        self._mesh.flush()

    def _in_trouble(self, act: Callable[[], None]) -> bool:
        """Do `act`; whether the disk was in the way. Nothing was then acknowledged or lost.

        A damaged database is no such trouble: it ends the node.
        """
        try:
            while self._owed:
                owed = self._owed[0]
                owed[1]()
                if self._owed and self._owed[0] is owed:  # telling may have ended the link
                    self._owed.popleft()
            act()
        except (StoreFull, StoreReadOnly, StoreBusy) as failure:
            if self.trouble is None or str(self.trouble) != str(failure):
                log.error("store.trouble", why=str(failure), hint=failure.hint)
            if self.trouble is None:
                self._well = trio.Event()
            self.trouble = failure
            self._work.set()  # which looks whether the disk is well again
            return True
        return False

    # --- LinkSink ---------------------------------------------------------------------------------

    def link_up(self, peer: bytes) -> None:
        log.info("link.up", did=str(Did(peer)))
        self.is_linked.add(peer)
        self._about_link(peer, partial(self._mesh.link_up, peer))
        self._revocations.greet(peer, self.send)
        self._approvals.greet(peer)

    def link_down(self, peer: bytes, why: str) -> None:
        log.info("link.down", did=str(Did(peer)), why=why)
        self.is_linked.discard(peer)
        self._revocations.part(peer)
        self._approvals.part(peer)
        # What is owed of a link that has ended is nobody's business any more.
        self._owed = deque((whose, tell) for whose, tell in self._owed if whose != peer)
        self._about_link(peer, partial(self._mesh.link_down, peer))

    def link_room(self, peer: bytes) -> None:
        self._revocations.go_on(peer, self.send)
        self._approvals.go_on(peer)
        self._about_link(peer, partial(self._mesh.link_room, peer))

    def _about_link(self, peer: bytes, tell: Callable[[], None]) -> None:
        if self._in_trouble(tell):
            self._owed.append((peer, tell))

    async def messages(self, peer: bytes, messages: Sequence[tuple[int, bytes]]) -> None:
        # Until they are taken in, the link gives its peer no credit back.
        while self._in_trouble(partial(self._mesh.messages, peer, messages)):
            await self._well.wait()

    def note(self, event: str, **facts: str | int | float) -> None:
        log.warning(event, **facts)

    # --- Voice ------------------------------------------------------------------------------------

    def send(self, peer: bytes, message_type: int, body: bytes) -> bool:
        if peer != self._me:
            return self._links.send(peer, message_type, body)
        if message_type == ENVELOPE:
            if len(self._local) >= LOCAL_MESSAGES_MAX:
                return False
            self._local.append(body)
            self._work.set()
        return True

    def start(self, attempt: StartAttempt) -> None:
        self._attempts.start(attempt)

    def cancel(self, task_id: bytes) -> None:
        self._attempts.cancel(task_id)

    def changed(self, task_id: bytes) -> None:
        for event in self._waiting.pop(task_id, ()):
            event.set()

    async def wait_changed(self, task_ids: Iterable[bytes]) -> None:
        """Return at the next change of any of these tasks; look at them before you wait."""
        event = trio.Event()
        ids = set(task_ids)
        for task_id in ids:
            self._waiting.setdefault(task_id, set()).add(event)
        try:
            await event.wait()
        finally:
            for task_id in ids:
                if waiting := self._waiting.get(task_id):
                    waiting.discard(event)
                    if not waiting:
                        del self._waiting[task_id]

    def grew(self, journal: str) -> None:
        log.debug("journal.grew", journal=journal)

    def misbehaved(self, peer: bytes, why: str, *, forged: bool) -> None:
        log.warning("peer.misbehaved", did=str(Did(peer)), why=why)
        self._count(f"misbehaved: {why}")
        if forged:
            self._forgeries[peer] = self._forgeries.get(peer, 0) + 1
            if self._forgeries[peer] < FORGERIES_MAX:
                return
            self._forgeries[peer] = 0
        ban_ms = min(self._bans.get(peer, BAN_MS // 2) * 2, BAN_MS_MAX)
        self._bans[peer] = ban_ms
        self._links.ban(peer, until_ms=self._wall_ms() + ban_ms, why=why)

    def refused(self, peer: bytes, why: str) -> None:
        """Counted always; written down as often as a person could read it."""
        self._count(why)
        now_s = trio.current_time()
        lines = self._lines.get(peer)
        if lines is None:  # as many as are trusted, no stranger gets here
            lines = Budget(burst=LINES_BURST, per_s=LINES_PER_S, now_s=now_s)
            self._lines[peer] = lines
        if lines.take(now_s):
            log.warning("envelope.refused", did=str(Did(peer)), why=why)

    def fork_found(self, fork: ForkFound) -> None:
        did = str(Did(fork.author))
        log.error("journal.forked", author=did, journal=fork.journal, index=fork.index)
        self._count(f"fork proved: {did} in {fork.journal} at {fork.index}")

    def revoked(self, author: bytes, revocation: bytes) -> None:
        if not self._revocations.take(author, revocation, self.send):
            self._count("a revocation of a key that nobody here knows")

    def for_people(self, peer: bytes, opened: Envelope) -> None:
        why: str | None = None
        try:
            if opened.kind in {Kind.RECONCILE, Kind.RECONCILED}:
                self._reconciler.take(peer, opened)
            else:
                why = self._approvals.take(peer, opened)
        except (MalformedAnswer, MalformedReconcile) as wrong:
            self.misbehaved(peer, str(wrong), forged=False)
            return
        if why is not None:
            self.refused(peer, why)

    def flush_soon(self) -> None:
        # Most transactions leave nothing to flush, and a turn of `run` costs 60 µs (measured).
        if self._mesh.deadline < self._armed_for or self._mesh.journals.may_have_unsealed:
            self._work.set()

    def _count(self, why: str) -> None:
        if why in self.refusals or len(self.refusals) < REFUSALS_KEPT:
            self.refusals[why] = self.refusals.get(why, 0) + 1
