"""One run of a node: the real engines over its disk, its links, its attempts, and their voice.

As `akshi_mesh.node` composes them, with the agenda instead of trio. Every method runs as one
event of the world; `point` is called wherever a process can die, and raises when it does.
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, assert_never

from akshi_mesh.agent_ports import Diaries, Memory
from akshi_mesh.finder import Finder
from akshi_mesh.switchboard import Switchboard
from akshi_mesh.transport import keeper as links
from akshi_mesh.transport.address import Address
from akshi_mesh.waits import Waits
from identity.attestation import attest
from identity.cid import wasm_cid
from identity.envelope import Envelope
from sync.author import Author
from sync.clock import Moment
from sync.embedding import HashingEmbedder
from sync.mesh import Mesh
from sync.proto.journal_events import ForkFound, PolicyChanged
from sync.proto.journals import Journals
from sync.proto.messages import ENVELOPE
from sync.proto.task_events import AgentReady, AttemptEnded, AttemptLost, StartAttempt, TrustLost
from sync.proto.task_limits import Limits
from sync.proto.task_states import Cancelled, Completed, Outcome
from sync.proto.tasks import Tasks
from sync.store.journals import Journals as JournalTables
from sync.store.journals_view import View
from sync.store.tasks import TaskTables
from testnet.world.attempt import Attempt, LookOnce
from testnet.world.describe import short
from testnet.world.disk import Crashed
from testnet.world.network import Wire
from testnet.world.site import AGENTS, NETWORK, SLOTS, Site

if TYPE_CHECKING:
    from testnet.world.world import World

NONCE_BYTES = 16
ATTESTED_MS = 365 * 24 * 3600 * 1000
ADDRESS = Address("world", 4820)  # the network finds a peer by its key
THINKING_S = 0.5  # a guest, between two host calls, at most
FLUSH_S = 0.003  # until what is at hand was taken in, at most
LIMITS = Limits(result_grace_ms=600_000)


class Process:
    """Construct, then `begin`. It is over when `Site.process` is no longer this."""

    def __init__(self, world: "World", site: Site, epoch: bytes) -> None:
        self.world = world
        self.site = site
        self.epoch = epoch
        self.dice: random.Random = world.dice
        self.live: dict[int, Wire] = {}
        self.current: dict[bytes, int] = {}
        self.attempts: dict[bytes, Attempt] = {}
        self._links = 0
        self._local: list[bytes] = []
        self._flush_planned = False
        self._wake_planned = float("inf")
        self._doing = ""
        authors = {
            key.public_key: Author(key, network=NETWORK, nonce=self._nonce)
            for key in (site.key, *site.agent_keys.values())
        }
        self.tables = TaskTables(site.disk)
        self.view = View(site.disk)
        tasks = Tasks(
            store=self.tables,
            author=authors[site.me],
            policy=site,
            random=self.dice,
            limits=LIMITS,
        )
        with site.disk.transaction():
            journals = Journals(
                JournalTables(site.disk, network=NETWORK),
                me=site.me,
                network=NETWORK,
                run=epoch,
                policy=site,
                authors=authors.get,
                random=self.dice,
                now=self.now(),
            )
        self.mesh = Mesh(
            me=site.me,
            network=NETWORK,
            epoch=epoch,
            database=site.disk,
            tasks=tasks,
            journals=journals,
            voice=self,
            clock=self.now,
        )
        self.keeper = links.Keeper(site.me, self.dice)
        self.memory = Memory(self.mesh, self.tables.calls)
        self.errands = self._errands()
        self.diaries = self._diaries()

    def _diaries(self) -> Diaries:
        finder = Finder(self.mesh, self.site.disk, HashingEmbedder())
        keys = self.site.agent_keys
        return Diaries(self.mesh, self.view, finder, lambda name: keys[name].public_key, self.now)

    def _errands(self) -> LookOnce:
        unused = Switchboard(me=self.site.me, wall_ms=lambda: self.now().wall_ms)
        return LookOnce(
            self.mesh,
            self.tables,
            unused,
            self.now,
            waits=Waits(lambda _: SLOTS),
            scope_of=lambda _originator, _chain, scope: scope,
        )

    def now(self) -> Moment:
        return self.site.moment(self.world.agenda.moment())

    def point(self, where: str) -> None:
        """Here the process dies if its fuse has burnt down."""
        site = self.site
        if site.fuse is not None and site.process is self:
            name = where + self._doing
            if site.fuse_at not in name:
                return
            if site.fuse == 0:
                raise Crashed(name)
            site.fuse -= 1

    def begin(self) -> None:
        """As a node that was started: agents vouched for, links kept, agents ready."""
        self._attest()
        self.mesh.link_up(self.site.me)
        for peer in self.site.trusted:
            self.tell_keeper(links.Kept(peer, (ADDRESS,)))
        for agent in AGENTS:
            self.mesh.tell_tasks(AgentReady(agent))

    def _attest(self) -> None:
        site, now = self.site, self.now()
        for name, key in site.agent_keys.items():
            data = attest(
                site.key,
                key.public_key,
                name=name,
                wasm_cid=wasm_cid(bytes(32)),
                capabilities=[str(granted) for granted in site.specs[name].capabilities],
                network=NETWORK,
                nonce=self._nonce(),
                issued_ms=now.wall_ms,
                until_ms=now.wall_ms + ATTESTED_MS,
            )
            with self.mesh.transaction():
                self.mesh.journals.introduce(key.public_key, node=site.me, attestation=data)

    def _nonce(self) -> bytes:
        return self.dice.randbytes(NONCE_BYTES)

    # --- time -----------------------------------------------------------------------------------

    def rearm(self) -> None:
        """After each event: be woken when the engines or the keeper want it."""
        due = min(self.mesh.deadline, self.keeper.deadline)
        if due < self._wake_planned:
            self._wake_planned = due
            self.world.agenda.at(due, lambda: self.world.on(self, "", self._wake_if_due(due)))

    def _wake_if_due(self, planned: float) -> Callable[[], None]:
        def wake() -> None:
            if self._wake_planned != planned:
                return  # an earlier one was planned since
            self._wake_planned = float("inf")
            now_s = self.world.agenda.now_s
            if self.mesh.deadline <= now_s:
                self.mesh.wake()
                assert self.mesh.deadline > now_s, "wake() must move the deadline on"
            if self.keeper.deadline <= now_s:
                for effect in self.keeper.wake(now_s):
                    self._perform(effect)

        return wake

    def flush_soon(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            pause_s = self.dice.uniform(0.0, FLUSH_S)
            self.world.agenda.after(pause_s, lambda: self.world.on(self, "", self._flush))

    def _flush(self) -> None:
        self._flush_planned = False
        local, self._local = self._local, []
        for body in local:
            self.mesh.message(self.site.me, ENVELOPE, body)
        self.mesh.flush()

    # --- links ----------------------------------------------------------------------------------

    def next_link(self) -> int:
        self._links += 1
        return self._links

    def tell_keeper(self, event: links.Event) -> None:
        for effect in self.keeper.handle(event, self.world.agenda.now_s):
            self._perform(effect)

    def lost(self, number: int) -> None:
        """The far end of a link has closed it, or it went silent."""
        wire = self.live[number]
        self._leave(number)
        self.world.network.close(self, number)
        self.tell_keeper(links.Closed(wire.far(self).site.me, number))

    def _perform(self, effect: links.Effect) -> None:
        match effect:
            case links.Dial(peer, _):
                self.world.network.dial(self, peer)
            case links.CancelDial():
                pass  # the answer will find that nobody waits for it
            case links.Adopt(peer, number):
                self.current[peer] = number
                self.mesh.link_up(peer)
            case links.CloseLink(number):
                if number in self.live:
                    self.lost(number)
            case _:
                assert_never(effect)

    def _leave(self, number: int) -> None:
        peer = self.live[number].far(self).site.me
        if self.current.get(peer) == number:
            del self.current[peer]
            self.mesh.link_down(peer)

    # --- trust ----------------------------------------------------------------------------------

    def distrust(self, peer: bytes) -> None:
        """As `TrustEffects`: links end, running tasks stop, journals are told."""
        self.tell_keeper(links.Forgotten(peer, "it is trusted no more"))
        self.mesh.tell_tasks(TrustLost(peer))
        self.mesh.tell_journals(PolicyChanged())

    def trust(self, peer: bytes) -> None:
        self.tell_keeper(links.Kept(peer, (ADDRESS,)))
        self.mesh.tell_journals(PolicyChanged())

    # --- attempts -------------------------------------------------------------------------------

    def _step_later(self, task_id: bytes, attempt: Attempt) -> None:
        def step() -> None:
            if self.attempts.get(task_id) is attempt:
                attempt.step()
                self._went_on(task_id, attempt)

        what = f"agent works on {short(task_id)}"
        pause_s = self.dice.uniform(0.0, THINKING_S)
        self.world.agenda.after(pause_s, lambda: self.world.on(self, what, step))

    def _went_on(self, task_id: bytes, attempt: Attempt) -> None:
        if attempt.outcome is not None:
            self._ended(task_id, attempt.outcome)
        elif attempt.waits_until_s is None:
            if attempt.is_cancelled and self.dice.random() < 0.5:
                self._ended(task_id, Cancelled())  # its grace is over
            else:
                self._step_later(task_id, attempt)
        else:
            self._look_later(task_id, attempt, attempt.waits_until_s)

    def _look_later(self, task_id: bytes, attempt: Attempt, late_s: float) -> None:
        def look() -> None:
            if self.attempts.get(task_id) is attempt and attempt.waits_until_s == late_s:
                is_late = self.world.agenda.now_s >= late_s
                if attempt.look(is_late=is_late):
                    self._went_on(task_id, attempt)

        self.world.agenda.after(0.0, lambda: self.world.on(self, "", look))
        self.world.agenda.at(late_s, lambda: self.world.on(self, "", look))

    def _ended(self, task_id: bytes, outcome: Outcome) -> None:
        """As `Attempts`: the effects of the task and its result are one transaction."""
        self._doing = " of a result"
        self._commit_end(task_id, outcome)
        self._doing = ""

    def _commit_end(self, task_id: bytes, outcome: Outcome) -> None:
        now = self.now()
        with self.mesh.transaction():
            if isinstance(outcome, Completed):
                self.mesh.journals.commit_staged(task_id, now)
                self.mesh.say(self.mesh.journals.flush(now))
            else:
                self.mesh.journals.drop_staged(task_id)
            # Before the commit: what follows it may start the next attempt.
            del self.attempts[task_id]
            self.mesh.say(self.mesh.tasks.handle(AttemptEnded(task_id, outcome), now))

    def lose_worker(self, task_id: bytes) -> None:
        """The agent's process is gone; the task is tried again."""
        attempt = self.attempts.pop(task_id, None)
        if attempt is not None:
            attempt.stop()
            self.mesh.tell_tasks(AttemptLost(task_id))

    # --- Voice ----------------------------------------------------------------------------------

    def send(self, peer: bytes, message_type: int, body: bytes) -> bool:
        self.point("before speech")
        if peer == self.site.me:
            if message_type == ENVELOPE:
                self._local.append(body)
                self.flush_soon()
            return True
        number = self.current.get(peer)
        if number is None:
            return False
        return self.world.network.carry(self, self.live[number], message_type, body)

    def start(self, attempt: StartAttempt) -> None:
        assert attempt.task_id not in self.attempts, "one attempt at a time"
        self.attempts[attempt.task_id] = fresh = Attempt(self, attempt)
        self.world.oracle.begun(attempt.task_id, fresh.label)
        self._step_later(attempt.task_id, fresh)

    def cancel(self, task_id: bytes) -> None:
        attempt = self.attempts.get(task_id)
        if attempt is not None:
            attempt.is_cancelled = True
            if attempt.waits_until_s is not None:
                self._look_later(task_id, attempt, attempt.waits_until_s)

    def changed(self, task_id: bytes) -> None:
        self.world.oracle.changed(self, task_id)
        text = task_id.hex()
        for waiting_id, attempt in list(self.attempts.items()):
            if text in attempt.waits_for and attempt.waits_until_s is not None:
                self._look_later(waiting_id, attempt, attempt.waits_until_s)

    def grew(self, journal: str) -> None:
        """Nobody here waits for it."""

    def misbehaved(self, peer: bytes, why: str, *, forged: bool) -> None:
        self.world.oracle.misbehaved(self, peer, why, forged=forged)

    def refused(self, peer: bytes, why: str) -> None:
        self.world.trace.note(self.site.name, f"refused {peer.hex()[:6]}: {why}")

    def fork_found(self, fork: ForkFound) -> None:
        self.world.oracle.fork_found(self, fork)

    def revoked(self, author: bytes, revocation: bytes) -> None:
        """Nobody here revokes a key."""

    def for_people(self, peer: bytes, opened: Envelope) -> None:
        """There are no people here."""
