"""`init` and `whoami`: a node's first two questions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from akshi_mesh.cli import output
from akshi_mesh.cli.session import Session, command
from akshi_mesh.errors import UsageError
from akshi_mesh.home import Home

if TYPE_CHECKING:
    from identity.did import Did

# All of it commented out: a file that grants something is written by its owner.
TEMPLATE = """\
# Everything is off until it is written here. docs/reference/runtime-toml.md has every key.

#[mesh]
#listen = "127.0.0.1:4820"
#peers = ["did:key:z6Mk...@192.0.2.7:4820"]

#[[agents]]
#name = "reader"
#wasm_path = "reader.wasm"

#[agents.capabilities]
#a2a = true
#journal = true
#filesystem = true

#[agents.peers]
#allowed = ["self/*"]

#[agents.filesystem]
#allowed = ["shelf"]
"""


class HomeTaken(UsageError):
    """There is a key already, and a key is never overwritten: it is the node's name."""

    def __init__(self, home: Path) -> None:
        super().__init__(f"{home} holds a node already", hint="akshi-node whoami")


def register(app: typer.Typer) -> None:
    command(app, "init")(init)
    command(app, "whoami")(whoami)


def init(
    session: Session,
    *,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal the key; asks twice, on this terminal.")
    ] = False,
) -> None:
    """Make the home of a new node: its key, its revocation, its API token."""
    from akshi_mesh.cli.passphrase import ask_new
    from identity.errors import FileExists
    from identity.files import NODE_KEY, create_node_key, write_private

    home = session.home
    if (home.security / NODE_KEY).exists():
        raise HomeTaken(home.path)
    sealed_with = ask_new() if passphrase else None  # before anything is made
    home.create()
    with home.lock():
        try:
            key = create_node_key(home.path, sealed_with)
        except FileExists as failure:
            raise HomeTaken(home.path) from failure
        home.api_token()
        if not home.config_path.exists():
            write_private(home.config_path, TEMPLATE.encode())
    did = str(key.did)
    session.answer(
        {"did": did, "home": str(home.path), "revocation": str(home.revocation_path)},
        text=f"{did}\nhome {home.path}",
    )
    output.hint(f"keep a copy of {home.revocation_path} elsewhere: it takes this key back")


def whoami(session: Session) -> None:
    """Print this node's DID."""
    session.require_home()
    did = str(did_of(session.home))
    session.answer({"did": did}, text=did)


def did_of(home: Home) -> "Did":
    """Whose home this is; asks for no passphrase."""
    from identity import envelope
    from identity.did import Did
    from identity.errors import PassphraseNeeded
    from identity.files import load_node_key, load_revocation

    try:
        return load_node_key(home.path).did
    except PassphraseNeeded:
        # The revocation beside the key is signed by it, and needs no passphrase to be read.
        return Did(envelope.peek(load_revocation(home.path)).author)
