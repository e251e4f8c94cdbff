"""The other end of a link, in a process of its own: ``python -m bench.peer KEY [FLOOD]``.

Trusts the node with the public key KEY (hex) and nobody else. Says one line of JSON when it
listens: its key, and the ports of its link and of a bare TCP echo. Echoes every message that
comes over a link. With FLOOD it first seals as many floods of 1,000 envelopes, and each
empty message makes it send one. Ends when its standard input does.
"""

import contextlib
import json
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import trio

from akshi_mesh.stamps import SCHEMA as STAMPS_SCHEMA
from akshi_mesh.stamps import Stamps
from akshi_mesh.transport.address import Address
from akshi_mesh.transport.links import Links
from akshi_mesh.transport.wire import ENVELOPE
from identity.envelope import NETWORK, Kind
from identity.keys import SigningKey
from sync.author import Author
from sync.clock import Moment
from sync.proto.task_bodies import Receipt, dump_receipts
from sync.proto.task_states import Disposition
from sync.store.database import Database

ANYWHERE = Address("127.0.0.1", 0)
# Makes the envelope about 300 bytes long.
PADDING = "x" * 41
FLOOD_ENVELOPES = 1_000


@dataclass(slots=True)
class Ears:
    """A sink that does what it was told to when a link is up, or a message has come."""

    on_message: Callable[[bytes, int, bytes], None] = lambda *_: None
    on_up: Callable[[bytes], None] = lambda _: None
    on_down: Callable[[], None] = lambda: None
    room: trio.Event = field(default_factory=trio.Event)

    def link_up(self, peer: bytes) -> None:
        self.on_up(peer)

    def link_down(self, peer: bytes, why: str) -> None:  # noqa: ARG002 - the protocol's names
        self.on_down()

    def link_room(self, peer: bytes) -> None:  # noqa: ARG002 - the protocol's name
        self.room.set()

    async def messages(self, peer: bytes, messages: Sequence[tuple[int, bytes]]) -> None:
        for message_type, body in messages:
            self.on_message(peer, message_type, body)

    def note(self, event: str, **facts: str | int | float) -> None:
        print(event, facts, file=sys.stderr)


@contextlib.asynccontextmanager
async def running_links(
    key: SigningKey, trusted: bytes, ears: Ears, directory: Path
) -> AsyncIterator[tuple[Links, Address]]:
    """Links as a node has them, stamps on disk included."""
    database = Database.open(str(directory / f"{key.did}.db"), schemas=[STAMPS_SCHEMA])
    links = Links(
        key=key,
        network=NETWORK,
        trust=lambda peer, _: True if peer == trusted else None,
        stamps=Stamps(database, clock_us=lambda: time.time_ns() // 1_000),
        sink=ears,
        wall_ms=lambda: time.time_ns() // 1_000_000,
        random=Random(1),
    )
    try:
        async with trio.open_nursery() as nursery:
            address = await nursery.start(partial(links.run, listen=ANYWHERE))
            yield links, address
            nursery.cancel_scope.cancel()
    finally:
        database.close()


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that runs this module."""

    key: bytes
    address: Address
    bare: Address


@contextlib.contextmanager
def peer_process(trusted: bytes, *, flood: int = 0) -> Iterator[Peer]:
    """Start one that trusts the key `trusted`; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.peer", trusted.hex(), str(flood)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdin is not None, "asked for"
        assert process.stdout is not None, "asked for"
        said = json.loads(process.stdout.readline())
        here = partial(Address, "127.0.0.1")
        yield Peer(bytes.fromhex(said["key"]), here(said["link"]), here(said["bare"]))
        process.stdin.close()
        process.wait()


def receipts(key: SigningKey, audience: bytes, count: int = FLOOD_ENVELOPES) -> list[bytes]:
    """Signed envelopes of about 300 bytes for `audience`; the last names another reader."""
    author = Author(key, network=NETWORK, nonce=lambda: secrets.token_bytes(16))
    now = Moment(0.0, time.time_ns() // 1_000_000)
    sealed: list[bytes] = []
    for number in range(count):
        line = Receipt(secrets.token_bytes(32), Disposition.ACCEPTED, PADDING)
        reader = audience if number < count - 1 else key.public_key
        sealed.append(author.seal(Kind.RECEIPT, dump_receipts([line]), now=now, audience=reader)[1])
    return sealed


async def _send_all(links: Links, ears: Ears, peer: bytes, sealed: list[bytes]) -> None:
    for data in sealed:
        while not links.send(peer, ENVELOPE, data):
            ears.room = trio.Event()
            await ears.room.wait()


async def _echo(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
    async for data in stream:
        await stream.send_all(data)


async def _serve(trusted: bytes, flood: int, directory: Path) -> None:
    key, ears = SigningKey(secrets.token_bytes(32)), Ears()
    floods = [receipts(key, trusted) for _ in range(flood)]
    async with (
        running_links(key, trusted, ears, directory) as (links, address),
        trio.open_nursery() as nursery,
    ):

        def answer(peer: bytes, kind: int, body: bytes) -> None:
            if not body:
                nursery.start_soon(_send_all, links, ears, peer, floods.pop())
            elif not flood:
                is_sent = links.send(peer, kind, body)
                assert is_sent, "a link with one message on its way has room"

        ears.on_message = answer
        (bare,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, _echo, [bare])
        ports = {"link": address.port, "bare": bare.socket.getsockname()[1]}
        print(json.dumps({"key": key.public_key.hex(), **ports}), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="akshi-bench-", ignore_cleanup_errors=True) as path:
        trio.run(_serve, bytes.fromhex(sys.argv[1]), int(sys.argv[2]), Path(path))


if __name__ == "__main__":
    main()
