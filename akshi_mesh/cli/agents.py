"""`agents …`: who lives here, what each may do and uses, and what its owner tells it."""

from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import agents_new, output
from akshi_mesh.cli.session import Session, command

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import AgentInfo

Name = Annotated[str, typer.Argument(metavar="AGENT")]
MIB = 1 << 20


def register(app: typer.Typer) -> None:
    command(app, "list")(list_agents)
    command(app, "show")(show)
    command(app, "caps")(caps)
    command(app, "start")(start)
    command(app, "stop")(stop)
    command(app, "restart")(restart)
    command(app, "reload")(reload)
    agents_new.register(app)


def list_agents(session: Session) -> None:
    """List the agents of the running node."""
    session.rows(
        session.node().agents(),
        lambda agent: (
            agent["name"],
            _state(agent),
            ",".join(agent["capabilities"]) or "-",
            agent["did"],
        ),
        empty=f"no agents; write [[agents]] in {session.home.config_path}",
    )


def show(session: Session, name: Name) -> None:
    """Show what one agent has used since the node was started, against its limits."""
    node = session.node()
    node.agent_caps(name)  # says who is not known
    agent = next(one for one in node.agents() if one["name"] == name)
    if session.as_json:
        output.say_json(agent)
        return
    calls = sum(agent["calls"].values())
    refused = sum(agent["calls_refused"].values())
    output.say_table(
        [
            ("state", _state(agent)),
            ("module", agent["wasm_cid"] or "-"),
            ("tasks", f"{agent['tasks_completed']} completed, {agent['tasks_failed']} failed"),
            ("now", f"{agent['tasks_running']} running, {agent['tasks_waiting']} waiting"),
            ("memory", f"{agent['memory_bytes'] / MIB:.1f} MiB in its workers"),
            ("fuel", f"{agent['fuel_used']} used, at most {agent['fuel_max']} a task"),
            ("time", f"{agent['run_seconds']:g} s, at most {agent['wall_clock_s_max']:g} s a task"),
            ("calls", f"{calls}, {refused} of them refused"),
            *((f"  {call}", str(count)) for call, count in agent["calls"].items()),
            ("restarts", str(agent["restarts"])),
        ]
    )


def caps(session: Session, name: Name) -> None:
    """Show what an agent may do and with whom, when a person is asked, how often, for how much."""
    answer = session.node().agent_caps(name)
    if session.as_json:
        output.say_json(answer)
        return
    rows = [
        (
            capability,
            "granted",
            " ".join(covers) or "-",
            f"asks {answer['approval'][capability]}",
            answer["rates"].get(capability, "-"),
        )
        for capability, covers in sorted(answer["capabilities"].items())
    ]
    denied = [(capability, "denied", "", "", "") for capability in answer["denied"]]
    output.say_table(rows + denied)
    if answer["budget"]:
        output.say(f"spends {answer['budget']}")


def start(session: Session, name: Name) -> None:
    """Run an agent again; its failures so far count no more."""
    _tell(session, session.node().owned.start(name))


def stop(session: Session, name: Name) -> None:
    """Kill an agent's workers at once; its tasks wait until it is started again."""
    _tell(session, session.node().owned.stop(name))


def restart(session: Session, name: Name) -> None:
    """Give an agent new workers at once; what ran is run again."""
    _tell(session, session.node().owned.restart(name))


def reload(
    session: Session,
    name: Name,
    *,
    cid: Annotated[
        str | None,
        typer.Option(metavar="CID", help="Approve this component, which the file must be."),
    ] = None,
) -> None:
    """Take an agent's file as it is now; what runs finishes first, in the old one."""
    _tell(session, session.node().owned.reload(name, cid=cid))


def _tell(session: Session, agent: "AgentInfo") -> None:
    session.answer(agent, text=f"{agent['name']} {_state(agent)}")


def _state(agent: "AgentInfo") -> str:
    return agent["state"] + (f": {agent['why']}" if agent["why"] else "")
