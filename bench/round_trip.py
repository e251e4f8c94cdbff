"""200 bytes there and back over an encrypted link, against the same bytes over bare trio TCP.

Both ends are the same two processes; the two are measured in turns, so that whatever else the
machine does slows both. Median of each.
"""

import secrets
import socket
import statistics
import time
from pathlib import Path

import trio

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.bell import Bell
from akshi_mesh.transport.links import Links
from akshi_mesh.transport.wire import ENVELOPE
from bench.figure import Promise, Sample
from bench.local_node import WAIT_S, workshop
from bench.peer import Ears, peer_process, running_links
from identity.keys import SigningKey

SIZE = 200
TURNS = 12
TRIPS_A_TURN = 150
WARM_UP = 50


def measure() -> Sample:
    key = SigningKey(secrets.token_bytes(32))
    with workshop() as path, peer_process(key.public_key) as peer:
        linked, bare = trio.run(_medians_us, key, peer.key, peer.address, peer.bare, path)
    return Sample(linked, bare)


async def _medians_us(
    key: SigningKey, peer: bytes, address: Address, bare: Address, path: Path
) -> tuple[float, float]:
    ears, is_up = Ears(), trio.Event()
    ears.on_up = lambda _: is_up.set()
    async with running_links(key, peer, ears, path) as (links, _):
        links.keep(peer, [address])
        with trio.fail_after(WAIT_S):
            await is_up.wait()
        stream = await trio.open_tcp_stream(bare.host, bare.port)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        over_link: list[float] = []
        over_tcp: list[float] = []
        await _over_tcp(stream, WARM_UP)
        await _over_link(links, ears, peer, WARM_UP)
        for _ in range(TURNS):
            over_tcp += await _over_tcp(stream, TRIPS_A_TURN)
            over_link += await _over_link(links, ears, peer, TRIPS_A_TURN)
        await stream.aclose()
    return statistics.median(over_link) * 1e6, statistics.median(over_tcp) * 1e6


async def _over_tcp(stream: trio.SocketStream, trips: int) -> list[float]:
    data, took_s = secrets.token_bytes(SIZE), []
    for _ in range(trips):
        began = time.perf_counter()
        await stream.send_all(data)
        left = SIZE
        while left:
            left -= len(await stream.receive_some(left))
        took_s.append(time.perf_counter() - began)
    return took_s


async def _over_link(links: Links, ears: Ears, peer: bytes, trips: int) -> list[float]:
    """Each echo sets off the next message where it is heard, as a node's handlers do."""
    data, all_back = secrets.token_bytes(SIZE), Bell()
    took_s: list[float] = []
    began = 0.0

    def send() -> None:
        nonlocal began
        began = time.perf_counter()
        links.send(peer, ENVELOPE, data)

    def heard(_peer: bytes, _type: int, _body: bytes) -> None:
        took_s.append(time.perf_counter() - began)
        if len(took_s) < trips:
            send()
        else:
            all_back.ring()

    ears.on_message = heard
    send()
    await all_back.wait()
    return took_s


PROMISE = Promise("rtt_vs_raw_trio", "µs", must=1.7, stretch=1.4, measure=measure)
