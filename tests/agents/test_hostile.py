"""The hostile agents do what they are for, so that tests against a node mean something."""

import re
from pathlib import Path

import pytest
from wasmtime import Config, Engine, Store, WasmtimeError
from wasmtime.component import Component, Linker

from sandbox.worker import contract
from tests.agents.fakes import Journal, Shelf, task_own
from tests.agents.harness import HOSTILE, Agent, Host, task_json

FUEL = 20_000_000


def host() -> Host:
    handlers = {**Shelf({"a": "x"}).handlers(), **Journal().handlers(), **task_own()}
    return Host({**handlers, "task.log": lambda *_: ""}, fuel=FUEL)


ENDS = {
    "spin": "all fuel consumed",
    "recurse": "call stack exhausted",
    "huge-result": "all fuel consumed",
    "badutf8-call": "invalid utf-8",
    "badutf8-result": "invalid utf-8",
    "wild-call": "out of bounds",
    "wild-result": "out of bounds",
    "wild-text": "out of bounds",
    "misaligned-result": "not aligned",
    "wrong-case": "discriminant 7 out of range",
    "wild-realloc": "realloc return: beyond end of memory",
    "calling-realloc": "cannot leave component instance",
    "trap": "unreachable",
}
FLOODS = {
    "flood": "task.is-cancelled",
    "flood-journal": "journal.append",
    "flood-log": "task.log",
    "flood-progress": "task.progress",
}
ANSWERS = {
    "grow": '[{"text":"256"}]',
    "exit-early": "",
    "not-json": '[{"text":',
    "not-parts": '{"text":[]}',
    "many": '[{"text":"lives on"}]',
    "deny 500": '[{"text":"500"}]',
    "count": '[{"text":"1"}]',
}
SEEN_ELSEWHERE = {"late", "huge-call", "many-parts", "nondeterministic"}


@pytest.mark.parametrize(("attack", "end"), ENDS.items())
def test_an_attack_ends_in_a_trap(hostile: Agent, attack: str, end: str) -> None:
    with pytest.raises(WasmtimeError, match=end):
        host().run_task(hostile, task_json(attack))


@pytest.mark.parametrize(("attack", "call"), FLOODS.items())
def test_a_flood_is_one_call_over_and_over(hostile: Agent, attack: str, call: str) -> None:
    flooded = host()
    flooded.fuel = 200_000
    with pytest.raises(WasmtimeError, match="all fuel consumed"):
        flooded.run_task(hostile, task_json(attack))
    assert {name for name, _ in flooded.calls} == {call}
    assert len(flooded.calls) > 500


@pytest.mark.parametrize(("attack", "answer"), ANSWERS.items())
def test_an_attack_that_comes_back_as_an_answer(hostile: Agent, attack: str, answer: str) -> None:
    """`count` is always 1: a fresh store has no memory of the last task."""
    asked = host()
    assert asked.run_task(hostile, task_json(attack)) == answer
    assert asked.run_task(hostile, task_json(attack)) == answer


def test_late_spins_after_its_answer_when_the_host_lets_it(hostile: Agent) -> None:
    with pytest.raises(WasmtimeError, match="all fuel consumed"):
        host().run_task(hostile, task_json("late"))


def test_huge_call_hands_over_six_mebibytes(hostile: Agent) -> None:
    asked = host()
    asked.run_task(hostile, task_json("huge-call"))
    [(_, (_, text))] = asked.calls
    assert isinstance(text, str)
    assert len(text) == 6 << 20


def test_many_parts_is_json_with_too_many_parts(hostile: Agent) -> None:
    assert host().run_task(hostile, task_json("many-parts")).count('{"text":""}') == 50_000


def test_nondeterministic_calls_differ_with_the_limit_of_memory(hostile: Agent) -> None:
    """The only way found for two attempts to differ: the node was configured anew between them."""
    calls = []
    for mebibytes in (8, 16):
        asked = host()
        asked.memory_bytes = mebibytes << 20
        asked.run_task(hostile, task_json("nondeterministic"))
        calls.append(asked.calls)
    assert calls[0] != calls[1]


def test_each_attack_is_tried_here() -> None:
    source = (HOSTILE / "hostile.zig").read_text()
    listed = re.search(r"const Attack = enum \{(.*?)\};", source, re.DOTALL)
    assert listed
    attacks = set(re.findall(r"[a-z0-9-]+", listed[1]))
    tried = {attack.split()[0] for attack in (*ENDS, *FLOODS, *ANSWERS)} | SEEN_ELSEWHERE
    assert attacks == tried


@pytest.mark.parametrize(
    ("name", "named"), [("foreign_wasi", "wasi:cli/environment"), ("foreign_function", "task.sign")]
)
def test_a_foreign_import_is_refused_by_name(name: str, named: str) -> None:
    engine = Engine()
    component = Component(engine, (HOSTILE / f"{name}.wasm").read_bytes())
    with pytest.raises(contract.Refused, match=named):
        contract.check(component, engine)


def test_slow_start_spins_while_it_is_instantiated() -> None:
    config = Config()
    config.consume_fuel = True
    engine = Engine(config)
    store = Store(engine)
    store.set_fuel(1_000_000)
    component = Component(engine, (HOSTILE / "slow_start.wasm").read_bytes())
    with pytest.raises(WasmtimeError, match="all fuel consumed"):
        Linker(engine).instantiate(store, component)


def test_the_textual_agent_would_run_if_text_were_let_in() -> None:
    [answer] = Host().run(Agent(Path(HOSTILE, "textual.wat")), "hello")
    assert answer == "loaded from text"
