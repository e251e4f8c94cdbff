"""Agents under supervision, with real processes: what one does, no other feels."""

import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from sandbox.agent_spec import AgentSpec
from sandbox.errors import AgentBusy
from sandbox.host import agent_runner
from sandbox.host.agent_runner import Condition
from sandbox.host.boundary import Boundary
from sandbox.host.compile import Compiler
from sandbox.host.supervisor import Supervisor
from sandbox.host.zygote import Zygote
from sandbox.ports import Cancelled, Completed, Failed, Interrupted, Outcome, TaskRun
from tests.sandbox.fakes import FRIEND, STRANGER, FakeNode, spec, task

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only")

ROOT = Path(__file__).parents[3]
HOSTILE = str(ROOT / "tests" / "agents" / "hostile.wasm")
ECHO = str(ROOT / "examples" / "agents" / "echo.wasm")
RELAY = str(ROOT / "examples" / "agents" / "relay.wasm")
WAIT_S = 10.0  # until something is noticed; a test that needs it has failed


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home") / "aot"


@dataclass
class World:
    """A supervisor and what is below it."""

    node: FakeNode
    boundary: Boundary
    zygote: Zygote
    supervisor: Supervisor

    async def run(self, text: str, number: int = 1, **facts: object) -> Outcome:
        facts.setdefault("agent", "hostile")
        with trio.fail_after(WAIT_S):
            return await self.supervisor.run_task(self.task(text, number, **facts))

    def task(self, text: str, number: int = 1, **facts: object) -> TaskRun:
        message = f'{{"messageId":"m{number}","role":"ROLE_USER","parts":[{{"text":"{text}"}}]}}'
        expires_ms = self.node.now_ms + 3_600_000
        return task(number, **{"message_json": message, "expires_ms": expires_ms} | facts)

    def status(self, name: str = "hostile") -> agent_runner.AgentStatus:
        return {status.name: status for status in self.supervisor.status()}[name]

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        with trio.fail_after(WAIT_S):
            while not condition():
                await trio.sleep(0.002)


Start = Callable[..., "trio.abc.AsyncResource"]


@pytest.fixture
async def start(nursery: trio.Nursery, cache: Path) -> AsyncIterator[Callable[..., object]]:
    node = FakeNode()
    node.now_ms = time.time_ns() // 1_000_000
    zygote = Zygote()

    async def start(*specs: AgentSpec, **options: object) -> World:
        await nursery.start(zygote.run)
        boundary = node.boundary(random_bytes=os.urandom)
        compiler = Compiler(zygote, directory=cache, key=bytes(32))
        supervisor = Supervisor(
            specs or (hostile(), echo()),
            boundary=boundary,
            zygote=zygote,
            compiler=compiler,
            **options,  # type: ignore[arg-type]
        )
        await nursery.start(supervisor.run)
        return World(node, boundary, zygote, supervisor)

    yield start
    nursery.cancel_scope.cancel()


def hostile(**changes: object) -> AgentSpec:
    return spec(**{"name": "hostile", "wasm_path": HOSTILE, "wall_clock_s": 0.5} | changes)


def echo(**changes: object) -> AgentSpec:
    return spec(**{"name": "echo", "wasm_path": ECHO} | changes)


async def test_a_task_is_run_and_the_next_one_finds_the_worker_warm(start: ...) -> None:
    world = await start(echo())
    for number in range(3):
        outcome = await world.run(f"hi {number}", number, agent="echo")
        assert outcome == Completed(f'[{{"text":"hi {number}"}}]')
    pids = {worker.pid for worker in world.zygote.workers}
    await world.run("hi", 9, agent="echo")
    assert {worker.pid for worker in world.zygote.workers} == pids
    assert world.status("echo").condition is Condition.READY
    assert world.status("echo").completed == 4
    admitted = [r for r in world.node.state.audit if r.event == "admitted"]
    assert {record.agent for record in admitted} == {"echo"}


@pytest.mark.parametrize(
    ("attack", "code"),
    [
        ("spin", "timeout"),
        ("recurse", "trapped"),
        ("trap", "trapped"),
        ("badutf8-call", "trapped"),
        ("badutf8-result", "trapped"),
        ("wild-call", "trapped"),
        ("wild-result", "trapped"),
        ("wild-text", "trapped"),
        ("wrong-case", "trapped"),
        ("late", "timeout"),
        ("flood", "timeout"),
        ("exit-early", "invalid-result"),
        ("not-json", "invalid-result"),
        ("not-parts", "invalid-result"),
        ("many-parts", "invalid-result"),
        ("huge-result", "invalid-result"),
        ("no-such-attack", "guest-error"),
    ],
)
async def test_what_a_guest_does_wrong_ends_its_task_and_not_the_agent(
    start: ..., attack: str, code: str
) -> None:
    world = await start()
    outcome = await world.run(attack)
    assert isinstance(outcome, Failed)
    assert outcome.code == code, outcome
    assert await world.run("hi", 3, agent="echo") == Completed('[{"text":"hi"}]')
    killed = [record.code for record in world.node.state.audit if record.event == "killed"]
    assert killed == (["timeout"] if code == "timeout" else [])
    assert world.status().condition is not Condition.STOPPED
    assert world.status().restarts == 0


async def test_fuel_ends_a_spinning_guest_too(start: ...) -> None:
    world = await start(hostile(fuel=1_000_000))
    outcome = await world.run("spin")
    assert isinstance(outcome, Failed)
    assert outcome.code == "out-of-fuel"


async def test_memory_ends_where_the_limit_is_and_the_guest_lives_on(start: ...) -> None:
    world = await start(hostile(memory_mb=2))
    assert await world.run("grow") == Completed('[{"text":"32"}]')


async def test_refusals_do_not_end_an_agent_and_are_counted(start: ...) -> None:
    world = await start(hostile(capabilities=frozenset(), wall_clock_s=5.0))
    assert await world.run("deny 500") == Completed('[{"text":"500"}]')
    with trio.fail_after(WAIT_S):
        world.supervisor.stop_now()
        await world.zygote.wait_none()
    refused = [r for r in world.node.state.audit if r.event == "refused"]
    assert {record.code for record in refused} == {"capability-denied"}


async def test_a_neighbour_works_on_while_a_guest_floods(start: ...) -> None:
    """What it costs in time is the bench's matter; here: it works, and in turn."""
    world = await start(hostile(wall_clock_s=2.0), echo())
    outcomes: list[Outcome] = []

    async def attack(number: int, text: str) -> None:
        outcomes.append(await world.run(text, number))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack, 1, "flood-log")
        for number in range(2, 50):
            outcome = await world.run("hi", number, agent="echo")
            assert outcome == Completed('[{"text":"hi"}]')
    assert [outcome.code for outcome in outcomes if isinstance(outcome, Failed)] == ["timeout"]


# Whose worker.


async def test_a_worker_serves_one_originator(start: ...) -> None:
    world = await start(echo())

    async def pids_after(originator: str, number: int, sender: str = FRIEND) -> set[int]:
        facts = {"agent": "echo", "originator": originator, "sender": sender}
        await world.run("hi", number, **facts)
        return {warm.worker.pid for warm in world.supervisor._runners["echo"]._warm}

    friends = await pids_after(FRIEND, 1)
    assert await pids_after(FRIEND, 2) == friends
    both = await pids_after(STRANGER, 3)
    assert len(both) == 2
    assert friends < both
    # A stranger who says that it works for the friend does not get the friend's worker.
    assert both < await pids_after(FRIEND, 4, sender=f"{STRANGER}/liar")


async def test_an_agent_may_share_its_worker_between_originators(start: ...) -> None:
    world = await start(echo(share_originators=True))
    for number, originator in enumerate([FRIEND, STRANGER, FRIEND]):
        await world.run("hi", number, agent="echo", originator=originator)
    assert len(world.supervisor._runners["echo"]._warm) == 1


async def test_workers_of_many_originators_do_not_pile_up(start: ...) -> None:
    world = await start(echo())
    for number in range(12):
        await world.run("hi", number, agent="echo", originator=f"{FRIEND}/{number}")
    assert world.status("echo").workers <= 1 + agent_runner.IDLE_EXTRA + 1


async def test_tasks_run_in_turn_as_many_at_once_as_there_are_workers(start: ...) -> None:
    world = await start(hostile(workers=2, wall_clock_s=0.4))
    most = 0

    async def attack(number: int) -> None:
        await world.run("spin", number)

    async with trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(attack, number)
        while world.status().failed < 4:
            await trio.sleep(0.01)
            most = max(most, world.status().running)
    assert most == 2


async def test_more_tasks_than_the_queue_holds_are_refused(start: ...) -> None:
    world = await start(hostile(queue=1))
    async with trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(world.run, "spin", number)
        await world.wait_until(lambda: world.status().running == 1)
        assert world.status().waiting == 1
        with pytest.raises(AgentBusy):
            await world.supervisor.run_task(world.task("spin", 3, agent="hostile"))


# Ends.


async def test_an_unknown_agent_is_said_to_be_unknown(start: ...) -> None:
    world = await start()
    outcome = await world.run("hi", agent="nobody")
    assert outcome == Failed("agent-stopped", "no agent nobody on this node")


async def test_a_cancelled_task_is_killed_when_it_does_not_listen(start: ...) -> None:
    world = await start(hostile(wall_clock_s=60.0))
    outcomes: list[Outcome] = []

    async def attack() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack)
        await world.wait_until(lambda: world.status().running == 1)
        assert world.supervisor.cancel(task(1).id)
        assert not world.supervisor.cancel(task(2).id)
    assert outcomes == [Cancelled()]


async def test_a_task_cancelled_while_it_waits_never_starts(start: ...) -> None:
    world = await start(hostile(wall_clock_s=0.3))
    outcomes: dict[int, Outcome] = {}

    async def run(number: int) -> None:
        outcomes[number] = await world.run("spin", number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, 1)
        await world.wait_until(lambda: world.status().running == 1)
        nursery.start_soon(run, 2)
        await world.wait_until(lambda: world.status().waiting == 1)
        assert world.supervisor.cancel(task(2).id)
    assert outcomes[2] == Cancelled()


async def test_stop_means_stop_at_once_and_the_tasks_stay_due(start: ...) -> None:
    world = await start(hostile(workers=4, wall_clock_s=60.0), echo())
    outcomes: list[Outcome] = []

    async def attack(number: int) -> None:
        outcomes.append(await world.run("spin", number))

    async with trio.open_nursery() as nursery:
        for number in range(6):
            nursery.start_soon(attack, number)
        await world.wait_until(lambda: world.status().running == 4)
        world.supervisor.stop_now("the operator said stop")
        await world.zygote.wait_none()
    assert sorted(outcome.why for outcome in outcomes if isinstance(outcome, Interrupted)) == [
        *["the node stops"] * 4,
        *["the operator said stop"] * 2,
    ]
    assert world.boundary.stopped == "the operator said stop"
    assert await world.run("hi", 9, agent="echo") == Interrupted("the operator said stop")
    assert world.status().condition is Condition.STOPPED


async def test_a_worker_that_breaks_its_jail_stops_the_agent_and_is_on_record(start: ...) -> None:
    world = await start(hostile(wall_clock_s=60.0), echo())
    outcomes: list[Outcome] = []

    async def attack() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack)
        await world.wait_until(lambda: world.status().running == 1)
        (session,) = world.supervisor._runners["hostile"].sessions.values()
        # What the kernel does to a worker that makes a system call outside of the list.
        os.kill(session.worker.pid, signal.SIGSYS)
    (outcome,) = outcomes
    assert isinstance(outcome, Failed)
    assert outcome.code == "violation"
    assert world.status().condition is Condition.STOPPED
    assert world.status().why.startswith("violation: ")
    assert [r.agent for r in world.node.state.audit if r.event == "violation"] == ["hostile"]
    assert [event for event, _ in world.node.notes] == ["agent.violation"]
    refused = await world.run("hi", 2)
    assert isinstance(refused, Failed)
    assert refused.code == "agent-stopped"
    assert await world.run("hi", 3, agent="echo") == Completed('[{"text":"hi"}]')


async def test_a_worker_killed_from_outside_is_replaced_after_a_pause_and_given_up_in_the_end(
    start: ...,
) -> None:
    world = await start(hostile(wall_clock_s=60.0, max_restarts=2, restart_backoff_s=0.05))
    outcomes: list[Outcome] = []

    async def attack(number: int) -> None:
        outcomes.append(await world.run("spin", number))

    for number in range(3):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attack, number)
            await world.wait_until(lambda: world.status().running == 1)
            (session,) = world.supervisor._runners["hostile"].sessions.values()
            os.kill(session.worker.pid, signal.SIGKILL)
        assert isinstance(outcomes[-1], Failed)
        assert outcomes[-1].code == "worker-fault"
    assert world.status().restarts == 2
    assert world.status().condition is Condition.STOPPED
    assert world.status().why.startswith("gave up after 3 failures")


async def test_a_dead_zygote_costs_an_attempt_and_not_the_task(start: ...) -> None:
    world = await start(hostile(wall_clock_s=0.5))
    outcomes: list[Outcome] = []

    async def attack() -> None:
        outcomes.append(await world.run("spin"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(attack)
        await world.wait_until(lambda: world.status().running == 1)
        (session,) = world.supervisor._runners["hostile"].sessions.values()
        parent = int(Path(f"/proc/{session.worker.pid}/stat").read_text().split()[3])
        os.kill(parent, signal.SIGKILL)
    assert isinstance(outcomes[0], Failed)
    assert outcomes[0].code == "timeout"  # of the second attempt
    assert world.status().restarts == 0


async def test_a_file_that_is_no_component_stops_its_agent_and_says_why(
    start: ..., tmp_path: Path
) -> None:
    (tmp_path / "bad.wasm").write_bytes(b"no wasm")
    bad = spec(name="bad", wasm_path=str(tmp_path / "bad.wasm"))
    gone = spec(name="gone", wasm_path=str(tmp_path / "gone.wasm"))
    foreign = spec(name="foreign", wasm_path=str(ROOT / "tests" / "agents" / "foreign_wasi.wasm"))
    world = await start(bad, gone, foreign, echo())
    for name in ("bad", "gone", "foreign"):
        outcome = await world.run("hi", agent=name)
        assert isinstance(outcome, Failed)
        assert outcome.code == "agent-stopped"
        assert outcome.why
        assert world.status(name).condition is Condition.STOPPED
        assert world.status(name).why == outcome.why
    assert "wasi" in world.status("foreign").why
    assert await world.run("hi", 3, agent="echo") == Completed('[{"text":"hi"}]')


async def test_below_the_minimum_no_agent_starts_and_status_says_so(start: ...) -> None:
    world = await start(echo(), refusal="jail missing: no seccomp in this kernel")
    outcome = await world.run("hi", agent="echo")
    assert outcome == Failed("agent-stopped", "jail missing: no seccomp in this kernel")
    assert world.status("echo").condition is Condition.STOPPED
    assert world.zygote.workers == []


async def test_an_agent_that_cannot_be_recorded_does_not_start(start: ...) -> None:
    world = await start(echo())
    world.node.audit_full = True
    other = Supervisor(
        [echo(name="late")],
        boundary=world.boundary,
        zygote=world.zygote,
        compiler=world.supervisor._compiler,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(other.run)
        with trio.fail_after(WAIT_S):
            outcome = await other.run_task(world.task("hi", agent="late"))
        nursery.cancel_scope.cancel()
    assert isinstance(outcome, Failed)
    assert "audit log" in outcome.why


async def test_a_task_that_nobody_waits_for_any_more_takes_its_worker_along(start: ...) -> None:
    world = await start(hostile(wall_clock_s=60.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.run, "spin")
        await world.wait_until(lambda: world.status().running == 1)
        (session,) = world.supervisor._runners["hostile"].sessions.values()
        nursery.cancel_scope.cancel()
    with trio.fail_after(WAIT_S):
        assert (await session.worker.wait()).signal == signal.SIGKILL


async def test_agents_wait_for_each_other_and_the_clock_stands_still(start: ...) -> None:
    """The relay sends, waits longer than its wall clock, and answers with what came."""
    relay = spec(name="relay", wasm_path=RELAY, wall_clock_s=0.3, peers_allowed=("friend/*",))
    world = await start(relay)
    answer = '[{"text":"from afar"}]'

    async def far_away() -> None:
        await world.wait_until(lambda: len(world.node.state.sent) == 1)
        await trio.sleep(0.6)
        id = next(iter(world.node.state.calls.values())).answer[1:].decode()
        world.node.ended[id] = (
            f'{{"id":"{id}","status":{{"state":"TASK_STATE_COMPLETED"}},'
            f'"artifacts":[{{"artifactId":"a","parts":{answer}}}]}}'
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(far_away)
        outcome = await world.run("friend/reader question", agent="relay")
    assert outcome == Completed(answer)
