"""`trust add|list|show|remove|revoked|accept-fork`: whom this node trusts, and for what.

With a running node each change goes through it and holds at once; without one it is written
to the trust file, under the home's lock.
"""

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.cli.spans import until_ms
from akshi_mesh.errors import UsageError

if TYPE_CHECKING:
    from akshi_mesh.api.shapes import TrustedInfo

Who = Annotated[str, typer.Argument(metavar="WHO", help="A DID, or the name given with --name.")]
REVOCATION_BYTES_MAX = 64 * 1024
JOURNALS = "akshi-node journal list"


def register(app: typer.Typer) -> None:
    command(app, "add")(add)
    command(app, "list")(list_trusted)
    command(app, "show")(show)
    command(app, "remove")(remove)
    command(app, "revoked")(revoked)
    command(app, "accept-fork")(accept_fork)


def add(
    session: Session,
    did: Annotated[
        str, typer.Argument(metavar="DID", help="Or the name of one that is trusted already.")
    ],
    *,
    name: Annotated[str | None, typer.Option(help="What to call it here.")] = None,
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Where to dial it.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(metavar="RIGHT", help="a2a:AGENT or journal:NAME, * for any; repeatable."),
    ] = None,
    cap: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CAP",
            help="What agents may use for its tasks: filesystem, http_fetch:HOST, …; repeatable.",
        ),
    ] = None,
    spend: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="Money a day, such as 2.00EUR/day.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="When it ends: 7d or 2027-01-31.")
    ] = None,
) -> None:
    """Trust a node, or give one that is trusted more rights.

    Alone it lets that node connect and nothing else. With --allow a2a:AGENT it may task that
    agent, which for its tasks uses no capability that was not given with --cap.
    """
    from akshi_mesh.cli import trust_file

    end_ms = None if until is None else until_ms(until, now_ms=_now_ms())
    rights, caps = tuple(allow or ()), tuple(cap or ())
    with session.node_or_lock() as node:
        did = trust_file.did_of_name(session.home.path, did)
        add_it = partial(trust_file.add, session.home.path) if node is None else node.trust_add
        trusted = add_it(
            did,
            name=name,
            address=address,
            allow=rights,
            until_ms=end_ms,
            caps=caps,
            spend=spend,
        )
    session.answer(trusted, text=_sentence(trusted))
    if not trusted["allow"] and not session.as_json:
        output.hint(f"to task every agent here: akshi-node trust add {did} --allow 'a2a:*'")
        output.hint(f"to share every journal: akshi-node trust add {did} --allow 'journal:*'")
    if _tasks_in_vain(trusted) and not session.as_json:
        output.hint(
            f"agents use nothing for its tasks; allow: akshi-node trust add {did} --cap CAP"
        )


def list_trusted(session: Session) -> None:
    """List whom this node trusts."""
    from akshi_mesh.cli import trust_file

    session.require_home()
    session.rows(
        trust_file.everybody(session.home.path, now_ms=_now_ms()),
        lambda trusted: (
            trusted["name"] or "-",
            trusted["did"],
            trusted["address"] or "-",
            ",".join(trusted["allow"]) or "-",
            _uses(trusted),
            _state(trusted),
        ),
        empty="nobody is trusted; add a node: akshi-node trust add DID",
    )


def show(session: Session, who: Who) -> None:
    """Show one trusted node."""
    from akshi_mesh.cli import trust_file

    session.require_home()
    trusted = trust_file.one(session.home.path, who, now_ms=_now_ms())
    if session.as_json:
        output.say_json(trusted)
        return
    output.say_table(
        [
            ("did    ", trusted["did"]),
            ("name   ", trusted["name"] or "-"),
            ("address", trusted["address"] or "-"),
            ("allow  ", " ".join(trusted["allow"]) or "to connect, nothing else"),
            ("may use", _uses(trusted)),
            ("state  ", _state(trusted)),
        ]
    )


def remove(session: Session, who: Who) -> None:
    """Trust a node no more; its link is closed and its tasks are cancelled."""
    from akshi_mesh.cli import trust_file

    with session.node_or_lock() as node:
        if node is None:
            trust_file.remove(session.home.path, who, network=session.config().mesh.network)
        else:
            node.trust_remove(who)
    session.answer({"removed": who}, text=f"no longer trusted: {who}")


def revoked(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A node's revocation.cbor.")],
) -> None:
    """Take a node's own revocation: it is dropped for good."""
    from akshi_mesh.cli import trust_file

    data = _revocation(file)
    with session.node_or_lock() as node:
        if node is None:
            did = trust_file.revoke(session.home.path, data, network=session.config().mesh.network)
        else:
            did = node.trust_revoked(data)["did"]
    session.answer({"revoked": did}, text=f"revoked for good: {did}")


def accept_fork(session: Session, who: Who) -> None:
    """Let a node that forked a journal back into view, from its later epochs on."""
    from akshi_mesh.api.errors import NotKnown
    from akshi_mesh.cli import trust_file
    from akshi_mesh.journal_book import has_forked_in

    with session.node_or_lock() as node:
        if node is None:
            author = trust_file.named(session.home.path, who)
            if not has_forked_in(session.home.database_path, author):
                raise NotKnown(f"{who} has forked no journal that is here", hint=JOURNALS)
            trust_file.accept_fork(session.home.path, who)
        else:
            node.trust_accept_fork(who)
    session.answer({"accepted": who}, text=f"fork accepted: {who}")


def _revocation(file: Path) -> bytes:
    """The bytes of a file that looks like a revocation; who signed it is checked later."""
    from identity import envelope
    from identity.errors import IdentityError

    try:
        with file.open("rb") as opened:
            data = opened.read(REVOCATION_BYTES_MAX)
    except OSError as failure:
        raise UsageError(f"{file}: {(failure.strerror or 'unreadable').lower()}") from failure
    try:
        kind = envelope.peek(data).kind
    except IdentityError as malformed:
        raise UsageError(f"{file}: not a revocation") from malformed
    if kind != envelope.Kind.REVOCATION:
        raise UsageError(f"{file}: not a revocation")
    return data


def _sentence(trusted: "TrustedInfo") -> str:
    rights = ", ".join(trusted["allow"]) or "it may connect and nothing else"
    end = "" if trusted["until_ms"] is None else f", until {output.when(trusted['until_ms'])}"
    uses = f"; its tasks may use {_uses(trusted)}" if trusted["caps"] else ""
    return f"trusted: {trusted['did']}: {rights}{uses}{end}"


def _tasks_in_vain(trusted: "TrustedInfo") -> bool:
    return not trusted["caps"] and any(right.startswith("a2a:") for right in trusted["allow"])


def _uses(trusted: "TrustedInfo") -> str:
    spend = [f"spend {trusted['spend']}"] if trusted["spend"] else []
    caps = [cap for cap in trusted["caps"] if not (spend and cap == "spend")]
    return ",".join([*caps, *spend]) or "-"


def _state(trusted: "TrustedInfo") -> str:
    if trusted["until_ms"] is None or trusted["state"] != "trusted":
        return trusted["state"]
    return f"until {output.when(trusted['until_ms'])}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
