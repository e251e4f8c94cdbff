"""Promise 1, fail closed: what is not granted is refused at once with a reason, and counted."""

import json
import sys
from collections.abc import Iterator

import pytest

from tests.promises import world
from tests.promises.world import ALL_CAPABILITIES, HOSTILE, Node, agent

WORKING = {"journal": "ok", "a2a": "ok", "filesystem": "ok"}
FUNCTIONS = {
    "inference": "inference.prompt",
    "journal": "journal.read",
    "database": "database.query",
    "http-fetch": "http-fetch.fetch",
    "a2a": "a2a.wait",
    "mcp": "mcp.list-tools",
    "filesystem": "filesystem.list-files",
    "spend": "spend.balance",
}


@pytest.fixture(scope="module")
def host() -> Iterator[Node]:
    """A node whose agents have much, little and nothing."""
    with world.directory() as directory:
        (directory / "shelf").mkdir()
        agents = [
            agent("bare", "every"),
            agent("full", "every", capabilities=ALL_CAPABILITIES, files=[str(directory / "shelf")]),
            agent("blind", "every", capabilities=["filesystem"], files=[]),
            agent("lonely", "relay", capabilities=["a2a"], peers=[]),
            agent("fenced", "relay", capabilities=["a2a"], peers=["self/bare"]),
            agent("echo", "echo"),
            agent("greedy", HOSTILE / "foreign_wasi.wasm"),
            agent("curious", HOSTILE / "foreign_function.wasm"),
            agent("written", HOSTILE / "textual.wat"),
        ]
        node = world.node(directory, "host", "".join(agents))
        with world.running(node):
            yield node


def heard(task: dict[str, object]) -> dict[str, str]:
    assert task["state"] == "TASK_STATE_COMPLETED", task
    answers: dict[str, str] = json.loads(str(task["text"]))
    return answers


def test_each_capability_that_is_not_granted_is_denied_and_the_agent_lives_on(host: Node) -> None:
    """Promise 1: all eight are refused at once, the audit log has each kind, the next task runs."""
    first = host.ask("self/bare", "try all")
    assert heard(first) == dict.fromkeys(FUNCTIONS, "capability-denied")
    assert heard(host.ask("self/bare", "and again")) == heard(first)
    lines = host.must("audit", "tail", "--agent", "bare", "-n", "100", "--json").objects
    refused = {line["function"]: line for line in lines if line["event"] == "refused"}
    assert set(refused) == set(FUNCTIONS.values())
    assert {line["code"] for line in refused.values()} == {"capability-denied"}
    assert all(line["task_id"] and line["detail"] for line in refused.values())
    shown = [
        line.split() for line in host.must("audit", "tail", "--agent", "bare").out.splitlines()
    ]
    assert all(
        any(fn in w and "capability-denied" in w for w in shown) for fn in FUNCTIONS.values()
    )
    agents = {line["name"]: line for line in host.must("agents", "list", "--json").objects}
    assert (agents["bare"]["state"], agents["bare"]["restarts"]) == ("ready", 0)


def test_the_count_of_refusals_is_right_though_equal_ones_share_a_line(host: Node) -> None:
    """Promise 1: every refusal is counted."""
    before = counted(host, "blind")
    for _ in range(5):
        host.ask("self/blind", "try")
    world.wait_until(lambda: counted(host, "blind") == before + 5 * 7, "count of 35 refusals")


def counted(host: Node, agent_name: str) -> int:
    lines = host.must("audit", "tail", "--agent", agent_name, "-n", "1000", "--json").objects
    denied = [line for line in lines if line["code"] == "capability-denied"]
    return sum(line["count"] for line in denied)


def test_a_capability_alone_reaches_no_server_no_model_and_no_money(host: Node) -> None:
    """Promise 1: what was granted without an endpoint, a route, a server or a budget says so."""
    answers = heard(host.ask("self/full", "try all"))
    nowhere = dict.fromkeys(("http-fetch", "mcp", "spend"), "not-allowed")
    assert answers == {"inference": "unavailable", "database": "ok"} | nowhere | WORKING


def test_an_empty_allowlist_blocks_all(host: Node) -> None:
    """Promise 1: the capability alone reaches no file and no agent, local ones included."""
    assert heard(host.ask("self/blind", "try"))["filesystem"] == "not-allowed"
    for target in ("self/echo", f"{host.did}/echo"):
        task = host.ask("self/lonely", f"{target} hello")
        assert task["state"] == "TASK_STATE_FAILED"
        assert "not in [agents.peers] allowed of agent lonely" in str(task["why"])
    caps = host.must("agents", "caps", "lonely").out
    assert "nobody: [agents.peers] allowed is empty" in caps


def test_local_agents_are_not_exempt_from_the_allowlist(host: Node) -> None:
    """Promise 1: an agent tasks the local agents that are listed, and no other."""
    assert host.ask("self/fenced", "self/bare hello")["state"] == "TASK_STATE_COMPLETED"
    refused = host.ask("self/fenced", "self/echo hello")
    assert refused["state"] == "TASK_STATE_FAILED"
    assert "self/echo is not in [agents.peers] allowed of agent fenced" in str(refused["why"])
    lines = host.must("audit", "tail", "--agent", "fenced", "-n", "100", "--json").objects
    assert any(
        (line["event"], line["function"], line["code"]) == ("refused", "a2a.send", "not-allowed")
        for line in lines
    )


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("greedy", "wasi:cli/environment@0.2.0"),
        ("curious", "sign"),
        ("written", "text"),
    ],
)
def test_a_component_that_wants_more_is_refused_at_load_and_told_by_name(
    host: Node, name: str, named: str
) -> None:
    """Promise 1: an unknown import, an unknown function, the text form: refused, never run."""
    world.wait_until(lambda: agent_state(host, name)["state"] == "stopped", f"end of {name}")
    assert named in agent_state(host, name)["why"]
    task = host.ask(f"self/{name}", "hello")
    assert task["state"] == "TASK_STATE_FAILED"
    assert named in str(task["why"])
    status = host.must("status").out
    assert named in next(
        line for line in status.splitlines() if line.startswith(f"agent    {name}")
    )


def agent_state(host: Node, name: str) -> dict[str, str]:
    return next(a for a in host.must("agents", "list", "--json").objects if a["name"] == name)


# A node on a host whose kernel has no seccomp filters.
WITHOUT_JAIL = (
    "from sandbox.worker import seccomp\n"
    "seccomp.available = lambda: False\n"
    "from akshi_mesh.cli.main import main\n"
    "raise SystemExit(main())\n"
)


def test_below_the_least_isolation_no_agent_starts_and_status_says_so() -> None:
    """Promise 1: where the jail is missing, the node runs and its agents do not."""
    with world.directory() as directory:
        node = world.node(directory, "open", agent("echo", "echo"))
        node.process.command = (sys.executable, "-c", WITHOUT_JAIL)
        with world.running(node):
            status = node.must("status").out
            (shown,) = (line for line in status.splitlines() if line.startswith("agent"))
            assert "echo  stopped" in shown
            assert "does not allow seccomp filters" in shown
            assert "process, at least jail is asked for" in status
            task = node.type("task", "send", "self/echo", "hello")
            assert task.code == 5
            assert "does not allow seccomp filters" in task.err
            assert world.children(node.pid) == [], "not even the zygote"
            hint = 'minimum = "process"'
            assert hint in node.events("sandbox.missing")[0]["hint"]
