"""The tree of commands. A command of a higher layer joins by entry point, when it is asked for.

Every module here registers functions and imports nothing slow: what a command needs, it
imports when it runs.
"""

from importlib import metadata
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from akshi_mesh.cli import (
    agents,
    approvals,
    audit,
    config_check,
    doctor,
    first,
    fsck,
    grant,
    journal,
    mcp,
    run,
    secrets,
    spend,
    status,
    task,
    trust,
    why,
)
from akshi_mesh.cli.session import (
    ConfigOption,
    DebugOption,
    HomeOption,
    JsonOption,
    group,
    open_session,
)
from akshi_mesh.errors import UsageError

ENTRY_POINTS = "akshi_mesh.commands"


class RootGroup(TyperGroup):
    """Our commands, then those of installed packages, which are loaded only when needed."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for entry in metadata.entry_points(group=ENTRY_POINTS):
            if entry.name == cmd_name:
                joined = get_command(entry.load())
                joined.name = entry.name
                return joined
        return None

    def list_commands(self, ctx: Any) -> list[str]:
        joined = sorted(entry.name for entry in metadata.entry_points(group=ENTRY_POINTS))
        return [*super().list_commands(ctx), *joined]


app = typer.Typer(
    cls=RootGroup,
    help="A peer-to-peer mesh node that hosts jailed WebAssembly agents.",
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    ctx: typer.Context,
    *,
    peer: run.PeerOption = None,
    listen: run.ListenOption = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    config: ConfigOption = None,
    home: HomeOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,  # noqa: ARG001 - main reads it from what was typed
) -> None:
    """A peer-to-peer mesh node that hosts jailed WebAssembly agents.

    Without a command, --peer, --listen and -c start the node as `akshi-node run` does.
    """
    if version:
        typer.echo(metadata.version("akshi-mesh"))
        raise typer.Exit
    if ctx.invoked_subcommand is not None:
        if peer or listen:
            raise UsageError("--peer and --listen belong after the command: akshi-node run")
        return
    if not (peer or listen or config or home):
        typer.echo(ctx.get_help())
        raise typer.Exit(2)
    run.run_node_here(
        open_session(home, config, as_json=json), peers=tuple(peer or ()), listen=listen
    )


def _join(name: str, help_text: str, module: Any) -> None:
    commands = group(help_text)
    module.register(commands)
    app.add_typer(commands, name=name)


first.register(app)
run.register(app)
status.register(app)
doctor.register(app)
_join("config", "The configuration file.", config_check)
_join("trust", "Whom this node trusts, and for what.", trust)
_join("grant", "Signed grants that live a day and may be handed on.", grant)
_join("agents", "The agents of this node.", agents)
_join("approvals", "What agents ask a person, and the answers.", approvals)
_join("task", "Tasks for agents, here and elsewhere.", task)
_join("journal", "Journals: append, read, search, verify.", journal)
why.register(app)
fsck.register(app)
_join("spend", "What agents spend, and the switch that ends it.", spend)
_join("mcp", "Servers of tools, and what was approved of them.", mcp)
_join("secrets", "Credentials that agents use and never see.", secrets)
_join("audit", "The record of what agents did and were refused.", audit)
