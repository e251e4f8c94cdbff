"""`secrets set|list|rotate|rm|revoke|restore`: credentials that agents use and never see.

A value comes from a terminal without echo, or from stdin; never from an argument or a variable of
this command. With a running node every change goes through its socket and holds from the next
call on; without one it is made under the lock of the home.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from akshi_mesh.api.shapes_secrets import SecretInfo

Name = Annotated[str, typer.Argument(metavar="NAME", help="What the secret is called here.")]
AgentOption = Annotated[
    str | None, typer.Option(metavar="AGENT", help="Only this agent; else every one.")
]

# What must not be there: caught here, so that no message repeats it.
Typed = Annotated[list[str] | None, typer.Argument(hidden=True)]


def register(app: typer.Typer) -> None:
    command(app, "set")(set_secret)
    command(app, "list")(list_secrets)
    command(app, "rotate")(rotate)
    command(app, "rm")(remove)
    command(app, "revoke")(revoke)
    command(app, "restore")(restore)


def set_secret(
    session: Session,
    name: Name,
    typed: Typed = None,
    *,
    endpoint: Annotated[
        list[str] | None,
        typer.Option(metavar="URL", help="https://HOST[:PORT][/PATH] it goes to; repeatable."),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(metavar="METHOD", help="Only with GET, POST, …; repeatable.")
    ] = None,
    header: Annotated[
        str | None, typer.Option(metavar="HEADER", help="Instead of Authorization.")
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Around the value: 'Bearer {}', 'Basic {base64}', '{}'."),
    ] = None,
    agent: AgentOption = None,
    key: Annotated[
        str | None,
        typer.Option(
            metavar="WHERE",
            help="Of a new box: keep its key in keyring, systemd, file or passphrase.",
        ),
    ] = None,
) -> None:
    """Keep a secret, read from the terminal or stdin, for one place.

    Without --endpoint it is for the places that [[secrets]] names, or that it had before.
    """
    from akshi_mesh.cli.passphrase import ask_value

    _refuse_typed(typed)
    session.require_home()
    value = ask_value(name)
    with _desk(session) as desk:
        rows = desk.set(
            name,
            value,
            endpoints=tuple(endpoint or ()),
            methods=tuple(method or ()),
            header=header,
            format=format,
            agent=agent,
            key=key,
        )
    _tell(session, rows, "kept")


def _refuse_typed(typed: list[str] | None) -> None:
    if typed:
        raise UsageError(
            "a value is read from the terminal or stdin, and never from what is typed as a command",
            hint="it stands in your shell's history now: take another value",
        )


def list_secrets(session: Session) -> None:
    """List secrets and where they go; values are never shown."""
    with _desk(session) as desk:
        rows = desk.listed()
    session.rows(
        rows, _row, empty="no secrets; keep one: akshi-node secrets set NAME --endpoint URL"
    )
    if not session.as_json:
        for why in sorted({row["why"] for row in rows if row["why"]}):
            output.note(why)


def rotate(session: Session, name: Name, typed: Typed = None) -> None:
    """Give a secret a new value; the old one is still looked for in answers for 24 hours."""
    from akshi_mesh.cli.passphrase import ask_value

    _refuse_typed(typed)
    session.require_home()
    value = ask_value(name)
    with _desk(session) as desk:
        rows = desk.rotate(name, value)
    _tell(session, rows, "rotated")


def remove(session: Session, name: Name) -> None:
    """Forget a secret and all its values."""
    with _desk(session) as desk:
        desk.remove(name)
    session.answer({"removed": name}, text=f"forgotten: {name}")


def revoke(
    session: Session,
    name: Name,
    *,
    agent: AgentOption = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Only there; else everywhere.")
    ] = None,
) -> None:
    """From the next call on, refuse what would carry a secret."""
    with _desk(session) as desk:
        rows = desk.revoke(name, agent=agent, endpoint=endpoint)
    _tell(session, rows, "revoked")


def restore(
    session: Session,
    name: Name,
    *,
    agent: AgentOption = None,
    endpoint: Annotated[
        str | None, typer.Option(metavar="URL", help="Only there; else everywhere.")
    ] = None,
) -> None:
    """Take back a `revoke` with the same options; without options, all of a secret's."""
    with _desk(session) as desk:
        rows = desk.restore(name, agent=agent, endpoint=endpoint)
    _tell(session, rows, "restored")


class _Secrets(Protocol):
    """The desk, here or behind the socket of a running node."""

    def set(
        self,
        name: str,
        value: str,
        *,
        endpoints: "Sequence[str]",
        methods: "Sequence[str]",
        header: str | None,
        format: str | None,
        agent: str | None,
        key: str | None,
    ) -> "list[SecretInfo]": ...

    def rotate(self, name: str, value: str) -> "list[SecretInfo]": ...

    def remove(self, name: str) -> object: ...

    def listed(self) -> "list[SecretInfo]": ...

    def revoke(
        self, name: str, *, agent: str | None, endpoint: str | None
    ) -> "list[SecretInfo]": ...

    def restore(
        self, name: str, *, agent: str | None, endpoint: str | None
    ) -> "list[SecretInfo]": ...


@contextmanager
def _desk(session: Session) -> Iterator[_Secrets]:
    from akshi_mesh.secrets.offline import offline_desk

    with session.node_or_lock() as node:
        if node is not None:
            yield node.secrets
        else:
            with offline_desk(session.home, session.last_config()) as desk:
                yield desk


def _tell(session: Session, rows: "Sequence[SecretInfo]", what: str) -> None:
    for row in rows:
        session.answer(row, text=f"{what}: {_sentence(row)}")
        if row["key"] == "file" and what == "kept" and not session.as_json:
            output.note(
                "the key of the secrets is a file beside them: it protects copies of the box"
            )


def _sentence(row: "SecretInfo") -> str:
    who = row["agent"] or "every agent"
    state = "" if row["state"] == "ready" else f" ({row['state']})"
    return f"{row['name']} for {who} at {row['endpoint']}, as {row['header']}{state}"


def _row(row: "SecretInfo") -> "Sequence[str]":
    return (
        row["name"],
        row["agent"] or "*",
        ",".join(row["methods"]) if len(row["methods"]) < 7 else "*",
        row["endpoint"],
        row["header"],
        row["state"],
        f"revoked for {','.join(row['revoked'])}" if row["revoked"] else "-",
        output.plural(row["uses"], "use"),
        row["key"] or row["source"],
    )
