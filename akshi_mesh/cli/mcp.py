"""`mcp list|show|approve`: servers of tools, and what a person approved of them."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.errors import Refused, UsageError
from akshi_mesh.inert import inert

if TYPE_CHECKING:
    from akshi_mesh.api.shapes_mcp import McpToolInfo

ServerName = Annotated[str, typer.Argument(metavar="AGENT/SERVER", help="As `mcp list` says it.")]
LINE_CHARS_MAX = 400  # of one line of a definition


class NotApproved(Refused):
    """The person looked and said no."""


def register(app: typer.Typer) -> None:
    command(app, "list")(list_servers)
    command(app, "show")(show)
    command(app, "approve")(approve)


def list_servers(session: Session) -> None:
    """List the MCP servers of all agents, whether they run, and what waits for a person."""
    session.rows(
        session.node().mcp.listed(),
        lambda info: (
            f"{info['agent']}/{info['server']}",
            info["state"],
            output.plural(info["approved"], "tool"),
            f"{info['waiting']} to approve" if info["waiting"] else "",
            info["trouble"] or info["where"],
        ),
        empty="no agent has an mcp server",
    )


def show(
    session: Session,
    server: ServerName,
    tool: Annotated[str | None, typer.Argument(metavar="[TOOL]")] = None,
) -> None:
    """Ask a server for its tools, or show the definition of one as it was last seen."""
    agent, name = _split(server)
    mcp = session.node().mcp
    if tool is None:
        session.rows(
            mcp.look(agent, name),
            lambda info: (info["tool"], info["state"], output.when(info["at_ms"])),
            empty="the server has no tool that the configuration names",
        )
        return
    info = mcp.show(agent, name, tool)
    if session.as_json:
        output.say_json(info)
        return
    _print(info)


def approve(
    session: Session,
    server: ServerName,
    tool: Annotated[str, typer.Argument(metavar="TOOL")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; it was looked at.")] = False,
) -> None:
    """Look at the definition of a tool that is new or has changed, and approve it."""
    agent, name = _split(server)
    mcp = session.node().mcp
    info = mcp.show(agent, name, tool)
    if not session.as_json:
        _print(info)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody can be asked here", hint="look at it, then add --yes")
        if not typer.confirm("Approve this definition?"):
            raise NotApproved("not approved")
    approved = mcp.approve(info)
    session.answer(approved, text=f"{agent}/{name} {tool} is approved as shown")


def _split(text: str) -> tuple[str, str]:
    agent, slash, server = text.partition("/")
    if not slash or not agent or not server:
        raise UsageError(f"want AGENT/SERVER, not {text[:80]!r}", hint="akshi-node mcp list")
    return agent, server


def _print(info: "McpToolInfo") -> None:
    """Both definitions, harmless for the terminal; every line of them is indented."""
    print(f"{info['agent']}/{info['server']} {info['tool']}: {info['state']}")
    for title, text in (("approved", info["approved"]), ("offered now", info["offered"])):
        if text is not None:
            print(f"{title}:")
            for line in json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines():
                shown = inert(line)
                print(f"    {shown[:LINE_CHARS_MAX]}{'…' if len(shown) > LINE_CHARS_MAX else ''}")
    sys.stdout.flush()
