"""`grant make|use|list|show|drop`: signed grants that live a day, and may be handed on."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.cli.spans import until_ms
from akshi_mesh.errors import UsageError

if TYPE_CHECKING:
    from akshi_mesh.api.shapes_grants import GrantInfo

GrantId = Annotated[str, typer.Argument(metavar="ID", help="Its id, or the first digits.")]
TEXT_BYTES_MAX = 64 * 1024
SHORT_DIGITS = 12


def register(app: typer.Typer) -> None:
    command(app, "make")(make)
    command(app, "use")(use)
    command(app, "list")(list_grants)
    command(app, "show")(show)
    command(app, "drop")(drop)


def make(
    session: Session,
    did: Annotated[str, typer.Argument(metavar="DID", help="Who gets it.")],
    *,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="RIGHT", help="a2a:AGENT or journal:NAME, * for any; repeatable."),
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(metavar="CAP", help="What agents may use for it; repeatable."),
    ] = None,
    spend: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Money a day, such as 2.00EUR/day.")
    ] = None,
    until: Annotated[
        str, typer.Option(metavar="TIME", help="When it ends; at most a day from now.")
    ] = "24h",
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="DID", help="Hand on a part of what this node gave us."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there.")
    ] = None,
) -> None:
    """Give a node a signed grant, and print it as one word to be passed on.

    Its holder needs to be on no list here. It lives a day at most, and may be handed on three
    times, only ever narrower.
    """
    grant = session.node().grants.make(
        did,
        allow=tuple(allow or ()),
        caps=tuple(cap or ()),
        spend=spend,
        until_ms=until_ms(until, now_ms=_now_ms()),
        source=source,
    )
    if out is not None:
        try:
            out.write_text(grant["text"] + "\n")
        except OSError as failure:
            raise UsageError(f"{out}: {(failure.strerror or 'unusable').lower()}") from failure
    session.answer(grant, text=f"written: {out}" if out else grant["text"])
    if not session.as_json:
        output.hint(f"there: akshi-node grant use {out or '-'}")


def use(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `grant make` gave; - reads.")],
) -> None:
    """Keep a grant that this node was given, and show it to its issuer."""
    from identity.errors import MalformedGrant
    from identity.grants import grant_bytes

    try:
        chain = grant_bytes(_read(file))
    except MalformedGrant as malformed:
        raise UsageError(str(malformed)) from malformed
    grant = session.node().grants.use(chain)
    session.answer(grant, text=f"held: {_sentence(grant)}")


def list_grants(session: Session) -> None:
    """List the grants that were given, are held, and were shown."""
    session.rows(
        session.node().grants.listed(),
        lambda grant: (
            grant["id"][:SHORT_DIGITS],
            grant["side"],
            grant["holder"] if grant["side"] != "held" else grant["issuer"],
            _what(grant),
            output.when(grant["until_ms"]) if grant["state"] == "in force" else grant["state"],
        ),
        empty="no grants; give one: akshi-node grant make DID --allow a2a:AGENT",
    )


def show(session: Session, grant_id: GrantId) -> None:
    """Show one grant."""
    grant = session.node().grants.show(grant_id)
    if session.as_json:
        output.say_json(grant)
        return
    output.say_table(
        [
            ("id     ", grant["id"]),
            ("side   ", grant["side"]),
            ("issuer ", grant["issuer"]),
            ("through", " ".join(grant["through"]) or "-"),
            ("holder ", grant["holder"]),
            ("allow  ", " ".join(grant["allow"]) or "to connect, nothing else"),
            ("may use", _uses(grant)),
            ("until  ", output.when(grant["until_ms"])),
            ("state  ", grant["state"]),
        ]
    )


def drop(session: Session, grant_id: GrantId) -> None:
    """Withdraw a grant that was given or shown, or forget one that is held."""
    done = session.node().grants.drop(grant_id)
    session.answer(done, text=done["note"])


def _read(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(TEXT_BYTES_MAX)
        with Path(file).open(encoding="ascii") as opened:
            return opened.read(TEXT_BYTES_MAX)
    except OSError as failure:
        raise UsageError(f"{file}: {(failure.strerror or 'unreadable').lower()}") from failure
    except UnicodeDecodeError as failure:
        raise UsageError(f"{file}: not a grant") from failure


def _sentence(grant: "GrantInfo") -> str:
    return f"{_what(grant)} at {grant['issuer']}, until {output.when(grant['until_ms'])}"


def _what(grant: "GrantInfo") -> str:
    return f"{','.join(grant['allow']) or 'connect'}; may use {_uses(grant)}"


def _uses(grant: "GrantInfo") -> str:
    spend = [f"spend {grant['spend']}"] if grant["spend"] else []
    caps = [cap for cap in grant["caps"] if not (spend and cap == "spend")]
    return ", ".join([*caps, *spend]) or "nothing"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
