"""The gate played against a node in memory: every effect once, nothing without a record."""

import itertools
import json
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from sandbox.agent_spec import AgentSpec
from sandbox.capability import FUNCTIONS
from sandbox.errors import Nondeterministic, PortRefused, ProtocolBroken
from sandbox.fault import Fault, FaultCode
from sandbox.host import attempt as attempts
from sandbox.host.attempt import Attempt
from sandbox.host.boundary import TOKENS_BURST, TOKENS_PER_S
from sandbox.hostcall import Call
from sandbox.ports import TaskRun
from tests.sandbox.fakes import FRIEND, ME, NOW_MS, PARTS, FakeNode, spec, task

APPEND = ("journal.append", "tag", "text")
SEND = ("a2a.send", "friend/reader", PARTS)
NOW = ("task.now",)
ENDED = '{"id":"…","status":{"state":"TASK_STATE_COMPLETED"}}'


def attempt(node: FakeNode, agent: AgentSpec | None = None, run: TaskRun | None = None) -> Attempt:
    return Attempt(
        node.boundary(random_bytes=lambda n: bytes([7]) * n).desk(agent or spec()), run or task()
    )


class Guest:
    """Calls with consecutive numbers."""

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt
        self._numbers = itertools.count()

    async def __call__(self, function: str, *arguments: str | int) -> str | Fault:
        return await self.attempt.answer(Call(next(self._numbers), function, arguments))


def guest(node: FakeNode, agent: AgentSpec | None = None, run: TaskRun | None = None) -> Guest:
    return Guest(attempt(node, agent, run))


async def test_each_function_that_is_built_does_its_act(tmp_path: Path) -> None:
    node = FakeNode()
    (tmp_path / "note").write_text("hello")
    call = guest(node, spec(filesystem_allowed=(str(tmp_path),)))
    shelf = tmp_path.name
    assert await call(*APPEND) == '{"id": 0}'
    assert await call("journal.read", "", 5) == '{"entries": ["text"]}'
    assert await call("journal.search", "te", 5) == '{"hits": ["text"]}'
    id = await call(*SEND)
    assert isinstance(id, str)
    assert node.state.sent == [(f"{FRIEND}/reader", PARTS)]
    node.ended[id] = ENDED
    assert await call("a2a.wait", json.dumps([id]), 1_000) == ENDED
    assert await call("a2a.wait", "[]", 1_000) == "null"
    assert await call("a2a.cancel", id) == ""
    assert node.state.cancelled == [id]
    assert await call("filesystem.read-file", f"/{shelf}/note") == '{"text":"hello"}'
    listed = await call("filesystem.list-files", f"/{shelf}", "", 5)
    assert json.loads(str(listed))["files"] == [{"name": "note", "kind": "file", "bytes": 5}]
    shelves = await call("filesystem.list-files", "/", "", 5)
    assert json.loads(str(shelves))["files"] == [{"name": shelf, "kind": "directory", "bytes": 0}]
    assert await call("task.progress", "half") == ""
    assert node.state.progress == ["half"]
    assert await call("task.log", "info", "line\nforged") == ""
    assert node.said == ["info: line\nforged"]
    assert await call(*NOW) == str(NOW_MS)
    assert await call("task.random", 4) == "07070707"
    assert await call("task.is-cancelled") == "false"
    call.attempt.cancel(grace_s=1)
    assert await call("task.is-cancelled") == "true"


async def test_an_effect_its_record_and_its_memory_are_one_transaction() -> None:
    node = FakeNode()
    call = guest(node)
    await call(*APPEND)
    assert node.commits == 1
    assert node.events == ["done:journal.append"]
    assert len(node.state.calls) == 1
    node.commit_fails = True
    assert await call(*APPEND) == Fault(FaultCode.UNAVAILABLE, "disk full")
    assert node.state.staged == ["text"]
    assert node.events == ["done:journal.append", "failed:journal.append"]
    assert len(node.state.calls) == 1
    node.commit_fails = False
    await call(*APPEND)
    kept = [node.state.calls[call.attempt.task.id, number].answer for number in range(3)]
    assert kept == [b'o{"id": 0}', b"funavailable disk full", b'o{"id": 2}']


async def test_a_port_that_refuses_leaves_nothing_and_the_guest_learns_why() -> None:
    node = FakeNode()
    node.refuse = PortRefused(FaultCode.UNAVAILABLE, "queue-full")
    call = guest(node)
    for function in (APPEND, SEND, ("task.progress", "x")):
        assert await call(*function) == node.refuse.fault
    assert not node.state.staged + node.state.sent + node.state.progress
    assert set(node.events) == {
        "failed:journal.append",
        "failed:a2a.send",
        "failed:task.progress",
    }


async def test_without_an_audit_log_nothing_happens() -> None:
    node = FakeNode()
    node.audit_full = True
    call = guest(node)
    for name in FUNCTIONS:
        arguments = {"text": "x", "u32": 1}
        fault = await call(name, *(arguments[kind] for kind in FUNCTIONS[name].parameters))
        assert isinstance(fault, Fault)
        assert fault.code is FaultCode.UNAVAILABLE
    assert node.state == type(node.state)()


async def test_every_call_and_every_refusal_is_in_the_audit_log() -> None:
    node = FakeNode()
    call = guest(node, spec(capabilities=frozenset()))
    for name in FUNCTIONS:
        arguments = {"text": "x", "u32": 1}
        await call(name, *(arguments[kind] for kind in FUNCTIONS[name].parameters))
    assert {event.partition(":")[2] for event in node.events} == set(FUNCTIONS)
    for record in node.state.audit:
        allowed = FUNCTIONS[record.function].capability is None
        assert (record.event == "refused") == (not allowed or record.function == "task.log")


async def test_ten_thousand_refusals_are_one_line_a_second_with_the_right_count(
    autojump_clock: trio.testing.MockClock,
) -> None:
    node = FakeNode()
    call = guest(node, spec(capabilities=frozenset()))
    for _ in range(1_000):
        await call(*APPEND)
    call.attempt.desk.ledger.close()
    assert [record.count for record in node.state.audit] == [1, 999]


# Attempts.


async def test_a_second_attempt_gets_the_same_answers_and_acts_no_second_time() -> None:
    node = FakeNode()
    calls = [NOW, APPEND, ("task.random", 8), SEND, ("task.progress", "x")]
    first = guest(node)
    answers = [await first(*call) for call in calls]
    node.now_ms += 60_000
    second = guest(node)
    assert [await second(*call) for call in calls] == answers
    assert len(node.state.staged) == len(node.state.sent) == len(node.state.progress) == 1
    assert second.attempt.sent == first.attempt.sent == {answers[3]: f"{FRIEND}/reader"}


async def test_what_nothing_depended_on_may_differ_in_a_second_attempt() -> None:
    node = FakeNode()
    first = guest(node)
    await first(*NOW)
    assert not node.state.calls
    node.now_ms += 1
    assert await guest(node)(*NOW) == str(node.now_ms)


async def test_another_call_than_the_first_attempt_made_is_nondeterministic() -> None:
    node = FakeNode()
    await guest(node)(*APPEND)
    with pytest.raises(Nondeterministic):
        await guest(node)("journal.append", "tag", "another")
    assert node.state.staged == ["text"]


steps = st.lists(st.sampled_from([NOW, APPEND, SEND, ("task.progress", "x"), ("a2a.cancel", "x")]))


@given(steps, st.data())
def test_wherever_an_attempt_is_cut_off_each_effect_happens_once(
    calls: list[tuple[str, ...]], data: st.DataObject
) -> None:
    async def main() -> None:
        node = FakeNode()
        for _ in range(3):
            cut = data.draw(st.integers(0, len(calls)))
            node.commit_fails = False
            call = guest(node)
            for function in calls[:cut]:
                await call(*function)
        last = guest(node)
        for function in calls:
            await last(*function)
        assert len(node.state.staged) == calls.count(APPEND)
        assert len(node.state.sent) == calls.count(SEND)
        numbers = sorted(number for _, number in node.state.calls)
        assert numbers == list(range(len(numbers)))

    trio.run(main)


async def test_calls_come_in_order_and_as_the_contract_has_them() -> None:
    for call in (Call(1, "task.now", ()), Call(0, "task.no", ()), Call(0, "task.now", ("x",))):
        with pytest.raises(ProtocolBroken):
            await attempt(FakeNode()).answer(call)


# Waiting.


async def test_only_tasks_of_this_task_are_waited_for_or_cancelled() -> None:
    call = guest(FakeNode())
    id = "ab" * 32
    for function in (("a2a.wait", f'["{id}"]', 1), ("a2a.cancel", id)):
        fault = await call(*function)
        assert fault == Fault(FaultCode.INVALID, f"{id} was not sent by this task")


@pytest.mark.parametrize(
    ("target", "chain"),
    [
        ("friend/reader", (f"{FRIEND}/reader",)),
        ("friend/reader", (f"{FRIEND}/x", f"{FRIEND}/reader", f"{ME}/y")),
        ("self/writer", ()),
    ],
)
async def test_waiting_for_whoever_waits_for_us_is_refused(
    target: str, chain: tuple[str, ...]
) -> None:
    agent = spec(peers_allowed=("friend/*", "self/*"))
    call = guest(FakeNode(), agent, task(chain=chain))
    id = await call("a2a.send", target, PARTS)
    fault = await call("a2a.wait", f'["{id}"]', 1_000)
    assert isinstance(fault, Fault)
    assert fault.code is FaultCode.NOT_ALLOWED


async def test_the_clock_stands_still_while_another_agent_works(
    autojump_clock: trio.testing.MockClock,
) -> None:
    node = FakeNode()
    call = guest(node)
    await trio.sleep(10)
    id = await call(*SEND)
    assert isinstance(id, str)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(call, "a2a.wait", f'["{id}"]', 600_000)
        await trio.sleep(100)
        assert call.attempt.deadline_s > 1_000
        node.ended[id] = ENDED
    assert call.attempt.deadline_s - trio.current_time() == pytest.approx(20, abs=0.1)


async def test_waiting_ends_with_the_timeout_and_with_the_life_of_the_task(
    autojump_clock: trio.testing.MockClock,
) -> None:
    call = guest(FakeNode(), run=task(expires_ms=NOW_MS + 5_000))
    id = await call(*SEND)
    assert await call("a2a.wait", f'["{id}"]', 2_000) == "null"
    assert trio.current_time() == 2
    assert await call("a2a.wait", f'["{id}"]', 600_000) == "null"
    assert trio.current_time() == 7


async def test_a_cancelled_task_waits_no_longer_and_has_a_second_left(
    autojump_clock: trio.testing.MockClock,
) -> None:
    node = FakeNode()
    call = guest(node)
    id = await call(*SEND)

    async def cancel() -> None:
        await trio.sleep(3)
        call.attempt.cancel(grace_s=1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel)
        fault = await call("a2a.wait", f'["{id}"]', 600_000)
    assert fault == Fault(FaultCode.CANCELLED, "the task is to end")
    assert call.attempt.deadline_s == 4
    assert await call("journal.search", "x", 1) == fault


async def test_progress_gives_the_whole_clock_again_but_not_beyond_the_life_of_the_task(
    autojump_clock: trio.testing.MockClock,
) -> None:
    node = FakeNode()
    call = guest(node, run=task(expires_ms=NOW_MS + 45_000))
    assert call.attempt.deadline_s == 30
    await trio.sleep(10)
    node.now_ms += 10_000
    await call("task.progress", "x")
    assert call.attempt.deadline_s == 40
    await trio.sleep(20)
    node.now_ms += 20_000
    await call("task.progress", "x")
    assert call.attempt.deadline_s == 45


# Floods.


async def test_a_flood_is_paced_and_its_answers_stay_the_same(
    autojump_clock: trio.testing.MockClock,
) -> None:
    call = guest(FakeNode())
    for _ in range(TOKENS_BURST + int(TOKENS_PER_S)):
        assert await call("task.is-cancelled") == "false"
    assert trio.current_time() == pytest.approx(1, abs=0.1)


async def test_large_texts_pay_by_their_size(autojump_clock: trio.testing.MockClock) -> None:
    call = guest(FakeNode())
    for _ in range(10):
        await call("a2a.wait", "x" * (1 << 20), 0)
    assert trio.current_time() > 1


async def test_a_task_has_a_last_call_and_a_last_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    too_much = Fault(FaultCode.BUDGET_EXCEEDED, "this task has made all the calls it may make")
    monkeypatch.setattr(attempts, "CALLS_PER_TASK_MAX", 2)
    call = guest(node)
    assert [await call(*APPEND) for _ in range(3)][2] == too_much
    assert len(node.state.staged) == 2
    assert "refused:journal.append" in node.events
    monkeypatch.setattr(attempts, "CALLS_PER_TASK_MAX", 100)
    monkeypatch.setattr(attempts, "KEPT_BYTES_MAX", 100)
    call = guest(node, run=task(2))
    assert [await call("task.random", 64) for _ in range(3)][1:] == [too_much, too_much]
    call = guest(node, run=task(3))
    await call("task.random", 64)
    node.audit_full = True
    assert await call("task.random", 64) == too_much


async def test_an_answer_of_the_journal_fits_into_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    node.state.staged = ["x" * (1 << 20)]
    fault = await guest(node)("journal.read", "", 1)
    assert isinstance(fault, Fault)
    assert fault.code is FaultCode.INVALID


async def test_when_the_node_stops_no_call_acts() -> None:
    node = FakeNode()
    boundary = node.boundary()
    call = Guest(Attempt(boundary.desk(spec()), task()))
    boundary.stop("the node is stopping")
    for function in (APPEND, SEND, NOW):
        assert await call(*function) == Fault(FaultCode.CANCELLED, "the node is stopping")
    assert not node.state.staged
