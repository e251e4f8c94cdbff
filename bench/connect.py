"""From the wish for a link to a link that is live: TCP, handshake, both sides authenticated.

Everything that `Links` does for a dial is in it: the stamp that is stored before it is used, the
address that is looked up, the task that holds the link. Median of the dials of a round.
"""

import secrets
import statistics
import time
from pathlib import Path

import trio
import trio.testing

from akshi_mesh.transport.address import Address
from akshi_mesh.transport.bell import Bell
from bench.figure import Promise, Sample
from bench.local_node import WAIT_S, workshop
from bench.peer import Ears, peer_process, running_links
from identity.keys import SigningKey

DIALS = 60


def measure() -> Sample:
    key = SigningKey(secrets.token_bytes(32))
    with workshop() as path, peer_process(key.public_key) as peer:
        return Sample(trio.run(_median_ms, key, peer.key, peer.address, path))


async def _median_ms(key: SigningKey, peer: bytes, address: Address, path: Path) -> float:
    ears, up, down = Ears(), Bell(), Bell()
    ears.on_up = lambda _: up.ring()
    ears.on_down = down.ring
    took_s: list[float] = []
    async with running_links(key, peer, ears, path) as (links, _):
        with trio.fail_after(WAIT_S):
            for _ in range(DIALS):
                began = time.perf_counter()
                links.keep(peer, [address])
                await up.wait()
                took_s.append(time.perf_counter() - began)
                links.forget(peer, "measured")
                await trio.testing.wait_all_tasks_blocked()
    return statistics.median(took_s) * 1e3


PROMISE = Promise("connect_ms", "ms", must=2.0, stretch=1.0, measure=measure)
