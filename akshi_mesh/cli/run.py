"""`run` and `stop`: a node's life."""

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.home import HomeBusy

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import AgentInfo, NodeStatus

PeerOption = Annotated[
    list[str] | None,
    typer.Option("--peer", metavar="DID[@HOST:PORT]", help="Dial this peer; may be repeated."),
]
ListenOption = Annotated[
    str | None,
    typer.Option("--listen", metavar="HOST:PORT", help="Listen there, or `off`."),
]

# The node answers at once; one that hangs is killed, because stop means stop.
STOP_ANSWER_S = 1.0
STOP_END_S = 1.0
POLL_S = 0.005
# Another command may hold the lock for the moment it needs to look.
LOCK_PATIENCE_S = 0.5


def register(app: typer.Typer) -> None:
    command(app, "run")(run)
    command(app, "stop")(stop)


def run(session: Session, *, peer: PeerOption = None, listen: ListenOption = None) -> None:
    """Run the node until it is stopped."""
    run_node_here(session, peers=tuple(peer or ()), listen=listen)


def run_node_here(session: Session, *, peers: tuple[str, ...], listen: str | None) -> None:
    """Run the node of this home, or have the one that runs already dial `peers`."""
    config = session.config().with_command_line(listen=listen, peers=peers)
    for known in config.notes:
        output.note(str(known))
    session.require_home()
    try:
        with session.home.lock(patience_s=LOCK_PATIENCE_S):
            from akshi_mesh.cli.passphrase import ask
            from akshi_mesh.logs import configure_logs, hush
            from akshi_mesh.node import run_node

            def ready(status: "NodeStatus") -> None:
                try:
                    _tell_ready(session, status)
                except BrokenPipeError:  # who started us has gone; the node outlives that
                    hush(sys.stdout)

            session.home.remember_config(config.source)
            configure_logs(config.telemetry)
            run_node(
                config,
                session.home,
                token=session.home.api_token(),
                passphrase=ask,
                ready=ready,
            )
    except HomeBusy:
        if not peers or listen is not None:
            raise
        _dial_from_the_one_that_runs(session, peers)


def _tell_ready(session: Session, status: "NodeStatus") -> None:
    listening = f"listens on {status['listen']}" if status["listen"] else "does not listen"
    names = ", ".join(map(_agent, status["agents"])) or "none"
    session.answer(
        status,
        text=f"node {status['did']} {listening}\n"
        f"agents {names} (isolation: {status['sandbox']['level']})\n"
        f"ready in {status['start_to_ready_s']:.2f} s",
    )


def _agent(agent: "AgentInfo") -> str:
    """Its name, and what keeps it from running."""
    return f"{agent['name']} ({agent['state']}: {agent['why']})" if agent["why"] else agent["name"]


def _dial_from_the_one_that_runs(session: Session, peers: tuple[str, ...]) -> None:
    node = session.node()
    for peer in peers:
        added = node.add_peer(peer)
        at = f" at {added['address']}" if added["address"] else ""
        session.answer(added, text=f"the node that runs here dials {added['did']}{at}")


def stop(session: Session) -> None:
    """Stop the node and every agent, now. Nothing in flight is waited for."""
    from akshi_mesh.api.client import Client, NoNode

    if not session.home.exists:
        session.answer({"stopped": False}, text="nothing is running")
        return
    session.home.check()
    began = time.monotonic()
    holder = _holder(session)
    if holder is None:
        session.answer({"stopped": False}, text="nothing is running")
        return
    try:
        note = Client.at(session.home).stop(timeout_s=STOP_ANSWER_S)["note"]
    except NoNode:
        note = ""
        _signal(session, signal.SIGTERM)  # its watchman hears it, also where its loop hangs
    killed = False
    while _holder(session) is not None:
        if time.monotonic() - began > STOP_END_S and not killed:
            killed = _signal(session, signal.SIGKILL)
        time.sleep(POLL_S)
    how = "killed a node that did not answer" if killed else (note or "stopped")
    session.answer({"stopped": True, "killed": killed, "note": note}, text=how)


def _holder(session: Session) -> int | None:
    """The process that holds the lock; None if nobody does. 0 if it has not said who it is."""
    try:
        with session.home.lock():
            return None
    except HomeBusy as busy:
        return busy.pid or 0


def _signal(session: Session, number: signal.Signals) -> bool:
    """Tell the holder of the lock to end; SIGKILL is for certain, zygote and workers with it."""
    pid = _holder(session)
    if not pid:
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Only if the same process still holds the lock: then the descriptor is the node's.
        if _holder(session) == pid:
            signal.pidfd_send_signal(descriptor, number)
            return True
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return False
