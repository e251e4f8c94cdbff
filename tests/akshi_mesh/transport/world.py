"""Nodes for these tests: a sink that writes down what it hears, stamps in memory, a network
of memory streams in virtual time."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import trio
from trio.testing import memory_stream_pair

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.errors import Unreachable
from akshi_mesh.transport.links import Links
from akshi_mesh.transport.ports import GrantDesk, NoGrants
from identity.keys import SigningKey

NETWORK = "akshi"
WALL_MS = 1_800_000_000_000


def key_of(number: int) -> SigningKey:
    return SigningKey.from_seed(bytes([number]) * 32)


class MemoryStamps:
    """As a database would keep them, and how often it was written."""

    def __init__(self, clock_us: int = WALL_MS * 1000) -> None:
        self.clock_us = clock_us
        self.sent: dict[bytes, int] = {}
        self.seen: dict[bytes, int] = {}
        self.writes = 0

    def next_stamp(self, peer: bytes, *, above: int) -> int:
        self.sent[peer] = max(self.clock_us, self.sent.get(peer, 0) + 1, above + 1)
        return self.sent[peer]

    def accept(self, peer: bytes, stamp: int) -> bool:
        if stamp <= self.seen.get(peer, 0):
            return False
        self.seen[peer] = stamp
        self.writes += 1
        return True

    def highest(self, peer: bytes) -> int:
        return self.seen.get(peer, 0)


class Ears:
    """A sink that remembers, and can be made slow for one kind of message."""

    def __init__(self) -> None:
        self.events: list[tuple[str, bytes]] = []
        self.downs: list[str] = []
        self.notes: list[tuple[str, dict[str, str | int | float]]] = []
        self.heard_messages: list[tuple[bytes, int, bytes]] = []
        self.heard = trio.Event()
        self.hold: dict[int, trio.Event] = {}
        self.on_message: Callable[[bytes, int, bytes], None] = lambda *_: None

    def link_up(self, peer: bytes) -> None:
        self._happened("up", peer)

    def link_down(self, peer: bytes, why: str) -> None:
        self.downs.append(why)
        self._happened("down", peer)

    def link_room(self, peer: bytes) -> None:
        self._happened("room", peer)

    async def messages(self, peer: bytes, messages: Sequence[tuple[int, bytes]]) -> None:
        for message_type, body in messages:
            if message_type in self.hold:
                await self.hold[message_type].wait()
            self.heard_messages.append((peer, message_type, body))
            self.on_message(peer, message_type, body)
            self._wake()

    def note(self, event: str, **facts: str | int | float) -> None:
        self.notes.append((event, facts))
        self._wake()

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.heard.wait()

    async def wait_up(self, count: int = 1) -> None:
        await self.wait_until(lambda: sum(what == "up" for what, _ in self.events) >= count)

    async def wait_down(self, count: int = 1) -> None:
        await self.wait_until(lambda: len(self.downs) >= count)

    async def wait_messages(self, count: int) -> None:
        await self.wait_until(lambda: len(self.heard_messages) >= count)

    async def wait_note(self, event: str) -> dict[str, str | int | float]:
        await self.wait_until(lambda: any(name == event for name, _ in self.notes))
        return next(facts for name, facts in self.notes if name == event)

    def _happened(self, what: str, peer: bytes) -> None:
        self.events.append((what, peer))
        self._wake()

    def _wake(self) -> None:
        self.heard.set()
        self.heard = trio.Event()


@dataclass
class Node:
    """Links of one key, with what it trusts and hears."""

    number: int
    trusted: set[bytes] = field(default_factory=set)
    stamps: MemoryStamps = field(default_factory=MemoryStamps)
    wall_ms: int = WALL_MS
    desk: GrantDesk = field(default_factory=NoGrants)

    def __post_init__(self) -> None:
        self.key = key_of(self.number)
        self.pk = self.key.public_key
        self.did = str(self.key.did)
        self.ears = Ears()
        self.links = self.make({})

    def make(self, network: "dict[int, Node]", nursery: trio.Nursery | None = None) -> Links:
        async def connect(address: Address) -> trio.abc.Stream:
            if address.port not in network or nursery is None:
                raise Unreachable(f"{address}: connection refused")
            ours, theirs = memory_stream_pair()
            nursery.start_soon(network[address.port].links.accept, theirs, "127.0.0.1")
            return ours

        kind = {"connect": connect} if network else {}
        return Links(
            key=self.key,
            network=NETWORK,
            trust=lambda peer, _now_ms: True if peer in self.trusted else None,
            stamps=self.stamps,
            sink=self.ears,
            wall_ms=lambda: self.wall_ms,
            random=random.Random(self.number),
            grants=self.desk,
            **kind,  # type: ignore[arg-type]
        )


def trusting(*numbers: int) -> list[Node]:
    """Nodes that all trust each other."""
    nodes = [Node(number) for number in numbers]
    for node in nodes:
        node.trusted = {other.pk for other in nodes if other is not node}
    return nodes


async def start_virtual(nursery: trio.Nursery, nodes: list[Node]) -> None:
    """Run them in one network of memory streams; a node's port is its number."""
    network = {node.number: node for node in nodes}
    for node in nodes:
        node.links = node.make(network, nursery)
        await nursery.start(partial(node.links.run, listen=None))


def at(node: Node) -> list[Address]:
    return [Address("127.0.0.1", node.number)]


async def start_real(nursery: trio.Nursery, node: Node) -> Address:
    """Run it on a loopback port of the system's choice."""
    address = await nursery.start(partial(node.links.run, listen=Address("127.0.0.1", 0)))
    assert isinstance(address, Address)
    return address
