"""`status` and `peers`: what a running node is doing."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.approvals import list_approvals
from akshi_mesh.cli.session import Session, command

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import AgentInfo, NodeStatus, PeerInfo, TaskCounts

MIB = 1 << 20


def register(app: typer.Typer) -> None:
    command(app, "status")(status)
    command(app, "peers")(peers)


def status(
    session: Session,
    *,
    approvals: Annotated[
        bool, typer.Option("--approvals", help="Only what waits for a person.")
    ] = False,
) -> None:
    """Show the running node at a glance."""
    if approvals:
        list_approvals(session)
        return
    now = session.node().status()
    if session.as_json:
        output.say_json(now)
        return
    output.say_table(_facts(now))
    for peer in now["peers"]:
        output.say_table([_peer_row(peer)], indent="peer     ")
    for agent in now["agents"]:
        state = f"{agent['state']}: {agent['why']}" if agent["why"] else agent["state"]
        waiting = f"{agent['tasks_running']} running, {agent['tasks_waiting']} waiting"
        row = (agent["name"], state, waiting, _used(agent))
        output.say_table([row], indent="agent    ")
    for journal in now["journals"]:
        entries = output.plural(journal["entries"], "entry")
        frozen = f", {journal['frozen']} frozen by a fork" if journal["frozen"] else ""
        output.say_table(
            [(journal["name"], journal["scope"], entries + frozen)], indent="journal  "
        )
    for warning in now["warnings"]:
        output.note(warning)


def _used(agent: "AgentInfo") -> str:
    calls, refused = (sum(counts.values()) for counts in (agent["calls"], agent["calls_refused"]))
    return (
        f"{agent['memory_bytes'] / MIB:.1f} MiB, {agent['fuel_used']} fuel, "
        f"{agent['run_seconds']:g} s, {calls} calls ({refused} refused)"
    )


def _facts(now: "NodeStatus") -> list[tuple[str, str]]:
    up_s = max(0.0, time.time() - now["started_ms"] / 1000)
    sandbox = now["sandbox"]
    why = f" ({sandbox['why']})" if sandbox["why"] else ""
    refusals = ", ".join(f"{name} {count}" for name, count in sorted(now["refusals"].items()))
    return [
        ("node   ", now["did"]),
        ("home   ", now["home"]),
        ("listens", f"{now['listen'] or 'nowhere'}, network {now['network']}"),
        ("up     ", f"{output.lasted(up_s)}, ready in {now['start_to_ready_s']:.2f} s"),
        ("sandbox", f"{sandbox['level']}, at least {sandbox['minimum']} is asked for{why}"),
        ("tasks  ", _counts(now["tasks"])),
        ("refused", refusals or "nothing"),
        ("people ", _waiting(now["approvals_waiting"])),
    ]


def _waiting(count: int) -> str:
    return f"approvals waiting: {count}" + (" (akshi-node approvals list)" if count else "")


def _counts(counts: "TaskCounts") -> str:
    return (
        f"{counts['sent']} sent = {counts['acknowledged']} acknowledged + {counts['queued']} queued"
        f" + {counts['expired']} expired + {counts['refused']} refused"
    )


def peers(session: Session) -> None:
    """List the peers of the running node and the state of each link."""
    session.rows(
        session.node().peers(),
        _peer_row,
        empty="no peers; add one: akshi-node trust add DID --address HOST:PORT",
    )


def _peer_row(peer: "PeerInfo") -> tuple[str, ...]:
    state = f"{peer['state']}: {peer['why']}" if peer["why"] else peer["state"]
    queued = peer["tasks"]["queued"]
    waiting = f"{output.plural(queued, 'task')} queued" if queued else "-"
    return (peer["name"] or peer["did"], peer["address"] or "-", waiting, state)
