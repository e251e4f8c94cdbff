"""The promises, held against what is stored: after every step, and when the weather is calm again.

What a power cut or a restored backup may cost is counted, not waved through: the effects and tasks
that were on the disk before and are not after it. Such an effect may be there once more, for its
work is done again while a peer may have had the first; such a task of a sender may be forgotten.
Nothing else may.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.fault import Fault, FaultCode
from sync.proto.journal_events import ForkFound
from sync.proto.task_states import Counted, TaskState
from sync.proto.task_views import TaskView
from testnet.world import books
from testnet.world.describe import short
from testnet.world.guest import Errand
from testnet.world.site import AGENTS, SLOTS, Order, Site

if TYPE_CHECKING:
    from testnet.world.process import Process
    from testnet.world.world import World

AUDIT_STEPS = 400  # between two looks at a whole disk


class Broken(AssertionError):
    """A promise was not kept."""


@dataclass(slots=True)
class Work:
    """One order of a person, and what became of it."""

    order: Order
    sender: Site
    ids: list[bytes] = field(default_factory=list)  # told to the person, who asks once more only
    cancelled: bool = False  # asked to be, by whoever


class Oracle:
    """Raises `Broken` when a promise is not kept."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.works: dict[str, Work] = {}
        self.notes: dict[str, Site] = {}
        self.errands: dict[str, Errand] = {}
        self.turned_down: set[str] = set()
        self.redone: defaultdict[int, Counter[str]] = defaultdict(Counter)  # may be there again
        self.asked: Counter[str] = Counter()  # servers outside, by URL
        self.forgotten: set[bytes] = set()  # tasks that a sender's disk lost
        self._labels: dict[bytes, str] = {}
        self._told: dict[tuple[str, bytes], tuple[str, ...]] = {}
        self._made: dict[tuple[str, bytes, int], bytes] = {}
        self._completed: set[tuple[str, bytes]] = set()
        self._steps = 0

    def check(self, claim: bool, words: str) -> None:
        if not claim:
            raise Broken(words)

    # --- what is told to it ---------------------------------------------------------------------

    def ordered(self, site: Site, order: Order) -> None:
        self.works[order.errand.label] = Work(order, site)
        for errand in order.errand.errands():
            self.errands[errand.label] = errand

    def taken(self, site: Site, order: Order, task_id: bytes) -> None:
        """The node has told the person the id of the task."""
        ids = self.works[order.errand.label].ids
        if task_id not in ids:
            ids.append(task_id)
        self.check(len(ids) == 1 or site.losses > 0, f"{order.errand.label} was made twice")

    def changed(self, process: "Process", task_id: bytes) -> None:
        """What a sender believes of a task, its peer's disk must hold already."""
        found = books.sent(process.site, task_id).get(task_id)
        if found is None or found.counted is not Counted.ACKNOWLEDGED:
            return
        doer = self._world.site_of(found.peer)
        if doer.losses or process.site.losses or self._world.is_traitor(doer.me):
            return
        what = f"{short(task_id)} of {process.site.name}"
        row = books.received(doer, task_id)
        self.check(row is not None, f"{doer.name} acknowledged {what} and has not stored it")
        label = self._labels.get(task_id)
        if found.is_answered and label is not None and row is not None:
            self.check(row, f"{doer.name} answered {what} and has not finished it")
            if books.view(process.site, task_id).state is TaskState.COMPLETED:
                done, errand = books.effects(doer), self.errands[label]
                for number in range(errand.appends):
                    text = f"{label}/{number}"
                    self.check(done[text] == 1, f"{what} is completed without its effect {text}")

    def fault(self, process: "Process", label: str, fault: Fault) -> None:
        """A guest was refused a call, which none here has earned."""
        plan = self._world.plan
        cut_off = fault.code is FaultCode.UNKNOWN  # an act outside that nobody repeats
        is_fair = fault.code is FaultCode.CANCELLED or cut_off or plan.jumps or plan.loses
        words = f"{label} at {process.site.name} is refused: {fault.code.value}, {fault.why}"
        self._world.trace.note(process.site.name, words)
        self.check(is_fair or "expire" in fault.why, words)

    def fetched(self, process: "Process", url: str) -> None:
        """A server outside was asked; no crash makes anybody ask it again."""
        self.asked[url] += 1
        is_excused = process.site.losses > 0 or self._world.is_traitor(process.site.me)
        self.check(
            self.asked[url] == 1 or is_excused,
            f"{process.site.name} asked {url} {self.asked[url]} times",
        )

    def settled(self, process: "Process", task_id: bytes, told: list[str]) -> None:
        """These answers are stored, for something may depend on them: no attempt hears others."""
        before = self._told.get((process.site.name, task_id), ())
        for number, (earlier, now) in enumerate(zip(before, told, strict=False)):
            self.check(earlier == now, f"call {number} of {short(task_id)} is answered otherwise")
        if len(told) > len(before):
            self._told[process.site.name, task_id] = tuple(told)

    def begun(self, task_id: bytes, label: str) -> None:
        self._labels[task_id] = label

    def misbehaved(self, process: "Process", peer: bytes, why: str, *, forged: bool) -> None:
        honest = not self._world.is_traitor(peer) and not self._world.is_traitor(process.site.me)
        self.check(not honest, f"{process.site.name} accuses an honest peer: {why} ({forged=})")

    def fork_found(self, process: "Process", fork: ForkFound) -> None:
        words = f"fork of {fork.author.hex()[:6]} in {fork.journal} at {fork.index}"
        self._world.trace.note(process.site.name, words)
        self.check(self._world.is_traitor(fork.author), f"an honest author is frozen: {words}")

    # --- losses ---------------------------------------------------------------------------------

    def before_loss(self, site: Site) -> tuple[Counter[str], set[bytes]]:
        return books.effects(site), set(books.sent(site))

    def after_loss(self, site: Site, before: tuple[Counter[str], set[bytes]]) -> None:
        site.losses += 1
        lost = before[0] - books.effects(site)
        self.redone[site.index].update(lost)
        forgotten = before[1] - set(books.sent(site))
        self.forgotten |= forgotten
        self._completed = {key for key in self._completed if key[0] != site.name}
        self._made = {key: id for key, id in self._made.items() if key[0] != site.name}
        self._told = {key: told for key, told in self._told.items() if key[0] != site.name}
        self._world.trace.note(
            site.name, f"lost {sum(lost.values())} effects and {len(forgotten)} tasks it had sent"
        )

    # --- after every step -----------------------------------------------------------------------

    def after_step(self, process: "Process") -> None:
        site = process.site
        for ledger in process.mesh.tasks.ledgers():
            self.check(ledger.conserved, f"{site.name} does not balance: {ledger}")
        self.check(len(process.attempts) <= SLOTS * len(AGENTS), f"{site.name} overworks agents")
        self._steps += 1
        if self._steps % AUDIT_STEPS == 0:
            self.audit(site)

    def audit(self, site: Site) -> None:
        """One disk, whole: at a crash, and now and then."""
        for text, times in books.effects(site).items():
            most = 1 + self.redone[site.index][text]
            self.check(
                times <= most or self._world.is_traitor(site.me),
                f"{site.name} wrote {text} {times} times, at most {most} can be explained",
            )
        for task, call, made in books.made(site):
            first = self._made.setdefault((site.name, task, call), made)
            self.check(
                first == made, f"call {call} of {short(task)} made {short(first)} and {short(made)}"
            )
        orphans = books.orphans(site)
        self.check(not orphans, f"{site.name} keeps rows that nothing needs: {orphans}")
        self._nothing_is_taken_back(site)

    def _nothing_is_taken_back(self, site: Site) -> None:
        sent = books.sent(site)
        if site.process is not None:
            for task_id, row in sent.items():
                if row.is_ended and books.view(site, task_id).state is TaskState.COMPLETED:
                    self._completed.add((site.name, task_id))
        for name, task_id in self._completed:
            if name == site.name:
                is_ended = task_id in sent and sent[task_id].is_ended
                self.check(is_ended, f"{short(task_id)} was done and is not")

    # --- when all is calm -----------------------------------------------------------------------

    def unsettled(self) -> str:
        """What is still under way, in words; empty when nothing is."""
        for site in self._world.sites:
            if site.process is None:
                return f"{site.name} is down"
            if site.process.attempts:
                return f"agents at {site.name} work"
            if self._world.is_traitor(site.me):
                continue  # whom it lost with its other face, it may ask in vain
            if site.desk:
                return f"the person at {site.name} waits"
            waiting = [id for id, row in books.sent(site).items() if not row.is_ended]
            if waiting:
                return f"{site.name} waits for {len(waiting)} tasks: {short(waiting[0])}"
            if leftovers := books.leftovers(site):
                return f"{site.name} has leftovers: {leftovers}"
        return self._divergence()

    def _divergence(self) -> str:
        first, *others = [s for s in self._world.sites if not self._world.is_traitor(s.me)]
        mine = books.logs(first)
        for other in others:
            theirs = books.logs(other)
            if mine != theirs:
                differ = set(mine) ^ set(theirs)
                return f"{first.name} and {other.name} differ in {len(differ)} logs"
        return ""

    def at_the_end(self) -> None:
        """Everything that was promised, of everything that happened."""
        for site in self._world.sites:
            self.audit(site)
        honest = [s for s in self._world.sites if not self._world.is_traitor(s.me)]
        views = [list(books.entries(site)) for site in honest]
        self.check(all(view == views[0] for view in views), "honest nodes see different journals")
        for site in honest:
            self._works_have_ended(site)
            self._completed_is_done(site, views[0])
            self._notes_are_kept(site, views[0])
        if self._world.traitor is not None:
            self._traitor_is_frozen(honest)

    def _works_have_ended(self, site: Site) -> None:
        known = books.sent(site)
        for label, work in self.works.items():
            if work.sender is not site or label in self.turned_down:
                continue
            for task_id in work.ids:
                if task_id not in known:
                    self.check(task_id in self.forgotten, f"{label} is gone from {site.name}")
                    continue
                self._end_is_explained(work, books.view(site, task_id))

    def _end_is_explained(self, work: Work, view: TaskView) -> None:
        weather, label = self._world.plan, work.order.errand.label
        words = f"{label} ({short(view.id)}) ended as {view.state}: {view.reason}"
        match view.state:
            case TaskState.COMPLETED:
                self.check(not work.order.errand.fails, words)
            case TaskState.FAILED if work.order.errand.fails and "guest" not in view.reason:
                pass
            case TaskState.CANCELED:
                self.check(work.cancelled or weather.distrusts, words)
            case TaskState.FAILED | TaskState.REJECTED if "expired" in view.reason:
                self.check(work.order.lives_ms is not None or weather.jumps, words)
            case TaskState.REJECTED if "no right" in view.reason:
                self.check(weather.distrusts, words)
            case TaskState.REJECTED:
                self.check("message id" in view.reason and work.sender.losses > 0, words)
            case TaskState.FAILED if "unknown" in view.reason:
                # What one face of a traitor has taken, the other need not know. And a peer that
                # lost a short-lived task after taking it cannot be asked a second time.
                is_fooled = self._world.is_traitor(view.peer) and label[0] == "w"
                had_lost = self._world.site_of(view.peer).losses > 0
                self.check(is_fooled or (had_lost and work.order.lives_ms is not None), words)
            case _:
                self.check(False, words)

    def _completed_is_done(self, site: Site, entries: list[books.Written]) -> None:
        by_author: defaultdict[bytes, Counter[str]] = defaultdict(Counter)
        for entry in entries:
            by_author[entry.author][entry.text] += 1
        for task_id in books.sent(site):
            seen, label = books.view(site, task_id), self._labels.get(task_id)
            if label is None or self._world.is_traitor(seen.peer):
                continue
            doer = self._world.site_of(seen.peer)
            done = by_author[doer.agent_keys[seen.agent].public_key]
            for number in range(self.errands[label].appends):
                text = f"{label}/{number}"
                may_be_lost = self.redone[doer.index][text] > 0
                if seen.state is TaskState.COMPLETED:
                    self.check(
                        done[text] >= 1 or may_be_lost, f"{text} is reported done, and is not"
                    )
                else:
                    self.check(
                        not done[text] or doer.losses + site.losses > 0,
                        f"{text} was done and reported as {seen.state}: {seen.reason}",
                    )

    def _notes_are_kept(self, site: Site, entries: list[books.Written]) -> None:
        times = Counter(entry.text for entry in entries if entry.author == site.me)
        for text, writer in self.notes.items():
            if writer is site:
                lost = self.redone[site.index][text]
                self.check(times[text] >= 1 or lost > 0, f"{text} of {site.name} is lost")
                self.check(times[text] <= 1 + lost, f"{text} of {site.name} is there twice")

    def _traitor_is_frozen(self, honest: list[Site]) -> None:
        traitor = self._world.traitor
        assert traitor is not None
        keys = set(traitor.keys())
        frozen = [
            [fact for fact in books.logs(site) if fact[1] in keys and fact[6] is not None]
            for site in honest
        ]
        self.check(bool(frozen[0]), "nobody noticed the forked author")
        self.check(all(facts == frozen[0] for facts in frozen), "frozen at different places")
