"""`fsck`: read every store whole, say what is lost, and with `--repair` put it right."""

import time
from typing import Annotated

import typer

from akshi_mesh.cli.progress import progress
from akshi_mesh.cli.report import tell_report
from akshi_mesh.cli.session import Session, command
from akshi_mesh.errors import Refused


class NodeRuns(Refused):
    """A store is not repaired under the hands of the node that uses it."""

    hint = "akshi-node stop"


def register(app: typer.Typer) -> None:
    command(app, "fsck")(fsck)


def fsck(
    session: Session,
    *,
    repair: Annotated[
        bool, typer.Option("--repair", help="Keep what is proven, drop the rest, say what.")
    ] = False,
) -> None:
    """Check every page, root and record of this node's store.

    A repair keeps the damaged file beside the new one. Journal entries that were lost are
    fetched back from the peers that hold them, once the node runs again.
    """
    from akshi_mesh.fsck import check_store, repair_store

    network = session.config().mesh.network
    with session.node_or_lock() as node, progress("reading every page"):
        if node is not None:
            if repair:
                raise NodeRuns("the node is running")
            report = node.fsck()
        elif repair:
            now_ms = time.time_ns() // 1_000_000
            report = repair_store(session.home.database_path, network=network, now_ms=now_ms)
        else:
            report = check_store(session.home.database_path, network=network)
    tell_report(session, report, what="fsck")
