"""The world: sites, the network between them, and time, all decided by one seed."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from sync.errors import SubmitRefused
from sync.proto.task_messages import text_parts
from sync.proto.tasks_sending import Order as TaskOrder
from testnet.world import books
from testnet.world.agenda import Agenda
from testnet.world.disk import Crashed
from testnet.world.faults import Faults
from testnet.world.network import Network
from testnet.world.oracle import Broken, Oracle
from testnet.world.plan import Plan
from testnet.world.process import Process
from testnet.world.site import NOTES, Note, Order, Site
from testnet.world.trace import Trace

EPOCH_BYTES = 16
CALM_S = 240.0  # of fair weather, in which all that is not waiting for a clock must end
LOOK_S = 10.0  # between two looks whether it has
NIGHT_S = 4_200.0  # without links: what was sealed an hour ahead becomes the past
NIGHTS = 2
PERSON_S = 3.0  # until a person tries again, at most


@dataclass(frozen=True, slots=True)
class Report:
    """What happened, for people and for comparing two runs."""

    seed: int
    nodes: int
    plan: str
    steps: int
    seconds: float
    works: int
    notes: int
    crashes: int
    losses: int
    messages: int
    lost: int
    entries: int
    digest: str


class World:
    """Construct, then `run`. Any number of worlds may exist; each is alone."""

    def __init__(self, seed: int, *, nodes: int = 5, plan: Plan | None = None) -> None:
        self.seed = seed
        self.dice = random.Random(seed)  # noqa: S311 - whoever knows the seed knows the world
        self.plan = Plan.of(seed) if plan is None else plan
        self.agenda = Agenda()
        self.trace = Trace()
        self.network = Network(self.agenda, self.dice, self.on, self._find)
        self.oracle = Oracle(self)
        self.crashes = 0
        self.traitor: Site | None = None
        self.twin: Site | None = None
        self.sites = [Site(number, seed, self.plan.durability) for number in range(nodes)]
        for site in self.sites:
            site.employ(self.sites)
            self._plug_in(site)
        self._by_key = {site.me: site for site in self.sites}
        self.faults = Faults(self)

    def run(self) -> Report:
        """Live through the storm, then see in fair weather that every promise was kept.

        Raises:
            Broken: one was not.
        """
        for site in self.sites:
            self.agenda.at(self.dice.uniform(0.0, 1.0), partial(self.boot, site))
        self.faults.plan_storm()
        self._until(self.plan.storm_s)
        self.faults.end()
        # Where no clock jumped and no disk went back, nothing may need hours, or new links.
        nights = 0 if self.plan.is_gentle else NIGHTS
        for night in range(nights + 1):
            until_s = self.agenda.now_s + CALM_S
            while self.agenda.now_s < until_s:
                self._until(self.agenda.now_s + LOOK_S)
                if not self.oracle.unsettled():
                    self.oracle.at_the_end()
                    return self._report()
            if night < nights:
                self._sleep()
        raise Broken(f"does not come to rest: {self.oracle.unsettled()}")

    def on(self, process: Process, what: str, action: Callable[[], None]) -> None:
        """One event of a process, if that is still the one that runs."""
        site = process.site
        if site.process is not process:
            return
        self.trace.now_s = self.agenda.now_s
        if what:
            self.trace.note(site.name, what)
        try:
            action()
        except Crashed as crashed:
            self.kill(site, f"died {crashed}")
            return
        self.trace.steps += 1
        process.rearm()
        self.oracle.after_step(process)

    # --- nodes come and go ----------------------------------------------------------------------

    def boot(self, site: Site, *, epoch: bytes | None = None) -> None:
        if site.process is not None:
            return
        self.trace.now_s = self.agenda.now_s
        site.epochs += 1
        process = Process(self, site, epoch or self.dice.randbytes(EPOCH_BYTES))
        site.process = process
        self.on(process, f"starts, run {process.epoch.hex()[:4]}", process.begin)
        self.serve_person(site)

    def kill(self, site: Site, why: str) -> None:
        """The process is gone; what that costs the disk was decided when its fuse was lit."""
        process = site.process
        if process is None:
            return
        self.trace.now_s = self.agenda.now_s
        how, site.fuse = site.dies_by or "crash", None
        self.trace.note(site.name, f"{why}, by {how}")
        self.crashes += 1
        site.process = None
        self.network.gone(process, silently=how != "crash")
        if how != "crash":
            before = self.oracle.before_loss(site)
            site.disk.cut_power()
            if how == "backup" and site.backups:
                site.disk.restore(self.dice.choice(site.backups))
                site.disk.settle()
            self.oracle.after_loss(site, before)
        self.oracle.audit(site)
        self.agenda.after(self.dice.uniform(0.05, self.plan.down_s_max), lambda: self.boot(site))

    def _plug_in(self, site: Site) -> None:
        def point(where: str) -> None:
            if site.process is not None:
                site.process.point(where)

        site.disk.point = point
        site.disk.is_written_back = lambda: self.dice.random() < self.plan.written_back

    # --- people ---------------------------------------------------------------------------------

    def serve_person(self, site: Site) -> None:
        """The person asks for what the node has not confirmed yet, until it has."""
        process = site.process
        if process is None or not site.desk:
            return

        def ask() -> None:
            for wish in list(site.desk):
                if isinstance(wish, Order):
                    self._submit(process, wish)
                else:
                    self._write(process, wish)
                site.desk.remove(wish)

        pause_s = self.dice.uniform(0.0, PERSON_S)
        self.agenda.after(pause_s, lambda: self.on(process, "is asked by its person", ask))

    def _submit(self, process: Process, order: Order) -> None:
        now, label = process.now(), order.errand.label
        wanted = TaskOrder(
            peer=order.peer,
            agent=order.agent,
            parts=text_parts(json.dumps({**order.errand.to_json(), "drawn": ""})),
            message_id=label,
            expires_ms=None if order.lives_ms is None else now.wall_ms + order.lives_ms,
        )
        mesh = process.mesh
        try:
            with mesh.transaction():
                task_id, effects = mesh.tasks.submit(wanted, now)
                mesh.say(effects)
        except SubmitRefused as refused:
            self.trace.note(process.site.name, f"does not take {label}: {refused}")
            self.oracle.turned_down.add(label)
            return
        self.trace.note(process.site.name, f"takes {label} as task {task_id.hex()[:8]}")
        self.oracle.taken(process.site, order, task_id)
        if order.cancel_after_s is not None:
            self.oracle.works[label].cancelled = True
            self.agenda.after(order.cancel_after_s, lambda: self._cancel(process.site, task_id))

    def _cancel(self, site: Site, task_id: bytes) -> None:
        process = site.process
        if process is None or task_id not in books.sent(site):
            return

        def cancel() -> None:
            with process.mesh.transaction():
                process.mesh.say(process.mesh.tasks.cancel(task_id, process.now()))

        self.on(process, f"cancels {task_id.hex()[:8]}", cancel)

    def _write(self, process: Process, note: Note) -> None:
        site, now, mesh = process.site, process.now(), process.mesh
        if not books.effects(site)[note.text]:
            with mesh.transaction():
                mesh.journals.append(
                    NOTES, site.me, tag="note", text=note.text, originator=site.did, now=now
                )
                mesh.say(mesh.journals.flush(now))
        self.oracle.notes[note.text] = site

    def adopt_twin(self, site: Site, twin: Site, process: Process) -> None:
        """From here on `site` is a traitor with two faces: `twin` goes on where it stands."""
        twin.employ(self.sites)
        twin.disk.restore(site.disk.image())
        twin.disk.settle()
        self._plug_in(twin)
        self.traitor, self.twin = site, twin
        self.trace.note(site.name, "goes on twice")
        for wire in list(self.network.wires):
            if process in (wire.dialler, wire.other) and self.sees_twin(wire.far(process).site):
                self.network.drop(wire)
        self.boot(twin, epoch=process.epoch)
        for face in (site, twin):
            # At once, for an entry that it heard of would be continued, not contradicted.
            speaker = face.process
            assert speaker is not None, "both faces run"
            note = Note(f"only {face.name} says so")
            self.on(speaker, "contradicts itself", partial(self._write, speaker, note))

    # --- who is who -----------------------------------------------------------------------------

    def site_of(self, key: bytes) -> Site:
        return self._by_key[key]

    def is_traitor(self, key: bytes) -> bool:
        return self.traitor is not None and key in set(self.traitor.keys())

    def _find(self, process: Process, peer: bytes) -> Site:
        """Whom `process` reaches under that key: of a traitor, the face shown to it."""
        site = self._by_key[peer]
        if site is self.traitor and self.twin is not None and self.sees_twin(process.site):
            return self.twin
        return site

    def sees_twin(self, site: Site) -> bool:
        return site.index % 2 == 1

    # --- time -----------------------------------------------------------------------------------

    def _until(self, until_s: float) -> None:
        while self.agenda.next_s <= until_s:
            self.agenda.step()
        self.agenda.now_s = until_s

    def _sleep(self) -> None:
        """Let hours pass without a link, so that they cost nothing, then meet again."""
        self.trace.note("world", "sleeps")
        self.faults.isolate()
        self._until(self.agenda.now_s + NIGHT_S)
        self.faults.end()

    def _report(self) -> Report:
        return Report(
            seed=self.seed,
            nodes=len(self.sites),
            plan=str(self.plan),
            steps=self.trace.steps,
            seconds=round(self.agenda.now_s, 1),
            works=len(self.oracle.works),
            notes=len(self.oracle.notes),
            crashes=self.crashes,
            losses=sum(site.losses for site in self.sites),
            messages=self.network.carried,
            lost=self.network.lost,
            entries=len(list(books.entries(self.sites[0]))),
            digest=self.trace.digest,
        )
