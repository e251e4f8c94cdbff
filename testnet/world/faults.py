"""What the dice do to a world: work, crashes, partitions, clocks, trust; then fair weather."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from testnet.world.guest import Errand, Step
from testnet.world.site import BOSS, WORKER, Note, Order, Site
from testnet.world.weather import CALM, Weather

if TYPE_CHECKING:
    from testnet.world.world import World

HOUR_MS = 3_600_000
JUMPS_MS = (HOUR_MS, -HOUR_MS, 200_000, -200_000)
FUSE_MAX = 40  # points of a process between the decision that it dies and its death
FUSE_S = 20.0  # an idle process reaches few points: then it dies here
SHORT_LIFE_MS = (1_000, 60_000)
AFTER_FORK = "after the fork"


class Faults:
    """Plans on the agenda what will happen; draws only the world's dice."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._dice = world.dice
        self._is_over = False

    def plan_storm(self) -> None:
        world, plan = self._world, self._world.plan
        world.network.weather = Weather(
            loss=self._dice.choice((0.0, 0.02, 0.15)),
            duplicate=self._dice.choice((0.0, 0.05)),
            delay_max_s=self._dice.choice((0.02, 0.3, 2.0)),
        )
        for number in range(plan.works):
            self._sometime(partial(self._order, number))
        for number in range(plan.notes):
            self._sometime(partial(self._note, number))
        for _ in range(plan.crashes):
            self._sometime(self._light_a_fuse)
        for _ in range(plan.partitions):
            self._sometime(self._partition)
        for _ in range(plan.drops):
            self._sometime(self._drop_a_link)
            self._sometime(self._lose_a_worker)
        for site in world.sites:
            for _ in range(3 if "backup" in plan.dies_by else 0):
                self._sometime(site.back_up)
        for _ in range(3 if plan.jumps else 0):
            self._sometime(self._jump)
        for _ in range(4 if plan.distrusts else 0):
            self._sometime(self._distrust)
        if plan.forked:
            world.agenda.at(plan.storm_s * self._dice.uniform(0.2, 0.6), self._fork)

    def end(self) -> None:
        """Fair weather: everybody runs, reaches and trusts everybody, and knows the time."""
        world = self._world
        if not self._is_over and world.traitor is not None:
            self._trouble_the_traitor(world.traitor)
        self._is_over = True
        world.network.weather = CALM
        world.network.map.heal()
        for site in self._faces():
            site.fuse, site.skew_ms = None, 0
            for other in world.sites:
                if other.me != site.me and other.me not in site.trusted:
                    self._trust(site, other)
        if world.plan.loses:
            # New links all around: a hello that was lost would have told of a new run, which
            # has to be told of what its disk has lost. Else retries must do without.
            for wire in list(world.network.wires):
                world.network.drop(wire)

    def isolate(self) -> None:
        """Everybody alone, as at night."""
        network = self._world.network
        network.map.island = {site.index: site.index for site in self._faces()}
        network.partitioned()

    # --- work -----------------------------------------------------------------------------------

    def _order(self, number: int) -> None:
        site, target = self._anybody(), self._anybody()
        agent = self._dice.choice((BOSS, BOSS, WORKER))
        impatient = self._world.plan.impatient
        order = Order(self._errand(f"w{number}", agent), target.me, agent)
        if impatient and self._dice.random() < 0.2:
            order.lives_ms = self._dice.randint(*SHORT_LIFE_MS)
        if impatient and self._dice.random() < 0.2:
            order.cancel_after_s = self._dice.uniform(0.0, 10.0)
        self._world.oracle.ordered(site, order)
        site.desk.append(order)
        self._world.serve_person(site)

    def _errand(self, label: str, agent: str) -> Errand:
        dice, steps = self._dice, list[Step]()
        for number in range(dice.randint(1, 6)):
            verb = dice.choice(
                ("append", "append", "progress", "fetch", "random", "read", "send", "send", "wait")
            )
            if verb == "send" and agent == BOSS:
                target = f"{self._anybody().did}/{WORKER}"
                steps += [Step("random")] * dice.randrange(2)
                steps.append(Step("send", target, self._errand(f"{label}.{number}", WORKER)))
            elif verb != "send":
                steps.append(Step(verb))
        if agent == BOSS and dice.random() < 0.8:
            steps.append(Step("wait"))
        steps.append(Step("append"))
        if dice.random() < 0.05:
            steps.append(Step("fail"))
        return Errand(label, tuple(steps))

    def _note(self, number: int) -> None:
        site = self._anybody()
        site.desk.append(Note(f"note {number} of {site.name}"))
        self._world.serve_person(site)

    # --- trouble --------------------------------------------------------------------------------

    def _light_a_fuse(self) -> None:
        site = self._anybody()
        if site is self._world.traitor or site.fuse is not None:
            return
        # Everywhere alike, or where little time is spent and much can go wrong.
        site.fuse_at = self._dice.choice(("", "a host call", "speech", "of a result", "outside"))
        site.fuse = self._dice.randrange(12 if site.fuse_at else FUSE_MAX)
        site.dies_by = self._dice.choice(self._world.plan.dies_by)

        def out_of_patience() -> None:
            if site.fuse is not None:
                self._world.kill(site, "died idle")

        self._world.agenda.after(FUSE_S, out_of_patience)

    def _partition(self) -> None:
        network = self._world.network
        network.map.split(len(self._world.sites), self._dice)
        self._world.trace.note("world", f"splits {network.map.island}")
        network.partitioned()
        self._world.agenda.after(self._dice.uniform(2.0, 50.0), self._heal)

    def _heal(self) -> None:
        if not self._is_over:
            self._world.network.map.heal()

    def _drop_a_link(self) -> None:
        if self._world.network.wires:
            self._world.network.drop(self._dice.choice(self._world.network.wires))

    def _lose_a_worker(self) -> None:
        process = self._anybody().process
        if process is not None and process.attempts:
            task_id = self._dice.choice(list(process.attempts))
            self._world.on(process, "loses a worker", lambda: process.lose_worker(task_id))

    def _jump(self) -> None:
        site = self._anybody()
        site.skew_ms = self._dice.choice(JUMPS_MS)
        self._world.trace.note(site.name, f"has a clock {site.skew_ms / 1000:+.0f} s off")

        def back() -> None:
            site.skew_ms = 0

        self._world.agenda.after(self._dice.uniform(5.0, 60.0), back)

    def _distrust(self) -> None:
        site, other = self._anybody(), self._anybody()
        if site is other or other.me not in site.trusted:
            return
        del site.trusted[other.me]
        process = site.process
        if process is not None:
            what = f"trusts {other.name} no more"
            self._world.on(process, what, lambda: process.distrust(other.me))
        self._world.agenda.after(self._dice.uniform(3.0, 40.0), lambda: self._trust(site, other))

    def _trust(self, site: Site, other: Site) -> None:
        if other.me in site.trusted:
            return
        site.trusted[other.me] = None
        process = site.process
        if process is not None:
            what = f"trusts {other.name} again"
            self._world.on(process, what, lambda: process.trust(other.me))

    def _fork(self) -> None:
        """One site goes on twice from here, under one key and one run, each half seeing one."""
        world = self._world
        site = world.sites[0]
        process = site.process
        if process is None:
            world.agenda.after(1.0, self._fork)
            return
        site.fuse = None
        twin = Site(site.index, world.seed, site.durability, name=f"{site.name}b")
        world.adopt_twin(site, twin, process)

    def _trouble_the_traitor(self, traitor: Site) -> None:
        """Proven to be forked, it is still a peer: links and tasks go on."""
        for site in self._world.sites:
            if site is not traitor:
                errand = Errand(f"{AFTER_FORK} {site.index}", (Step("now"), Step("append")))
                order = Order(errand, traitor.me, WORKER)
                self._world.oracle.ordered(site, order)
                site.desk.append(order)
                self._world.serve_person(site)

    # --- dice -----------------------------------------------------------------------------------

    def _sometime(self, action: Callable[[], None]) -> None:
        at_s = self._dice.uniform(2.0, self._world.plan.storm_s)
        self._world.agenda.at(at_s, action)

    def _anybody(self) -> Site:
        return self._dice.choice(self._world.sites)

    def _faces(self) -> list[Site]:
        twin = self._world.twin
        return [*self._world.sites, *([twin] if twin is not None else [])]
