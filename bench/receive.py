"""How many signed envelopes a node takes in, against how many signatures its core can verify.

The receiver is a whole node in this process, the sender a process of its own that has sealed
its envelopes before. Counted is all that this process does from the socket on: record read and
opened, message cut, structure, signature, payload, audience and time checked, handed to the
task engine in a transaction, and its flushes. The envelopes are receipts of 300 bytes about
something that was never offered, so that the engine reads them and stores nothing.

Both rates are per second of this process's CPU time: it has one thread that works, so this is
"one core", and the sender's work and the machine's other users are not in it.
"""

import time

import nacl.bindings as sodium
import trio

from akshi_mesh.parts import Parts
from bench.figure import Promise, Sample
from bench.local_node import befriend, local_node, wait_until, workshop
from bench.peer import Peer, peer_process, receipts
from identity.did import Did
from identity.files import load_node_key
from identity.keys import SigningKey
from testnet.processes import NodeProcess

ENVELOPES = 8_000
VERIFICATIONS = 2_500  # before, and as many after


def measure() -> Sample:
    with workshop() as path:
        node = NodeProcess.create("a", path / "a", "")
        key = load_node_key(node.home.path)
        with peer_process(key.public_key, flood=ENVELOPES) as peer:
            return trio.run(_rates, node, peer)


async def _rates(node: NodeProcess, peer: Peer) -> Sample:
    did = str(Did(peer.key))
    async with local_node(node) as parts:
        before = _verify_cpu_s()
        await befriend(parts, did, str(peer.address), allow=())
        cpu_s = await _cpu_s_until_all_came(parts)
        after = _verify_cpu_s()
    return Sample(ENVELOPES / cpu_s, 2 * VERIFICATIONS / (before + after))


async def _cpu_s_until_all_came(parts: Parts) -> float:
    began = time.process_time()
    await wait_until(lambda: bool(parts.switchboard.refusals))  # the last one is not for us
    return time.process_time() - began


def _verify_cpu_s() -> float:
    """CPU time of checking as many signatures, over as many bytes, with libsodium alone."""
    key = SigningKey(bytes(32))
    (data,) = receipts(key, key.public_key, 1)
    message = data[:-64]
    signed = key.sign(message) + message
    began = time.process_time()
    for _ in range(VERIFICATIONS):
        sodium.crypto_sign_open(signed, key.public_key)
    return time.process_time() - began


PROMISE = Promise(
    "receive_signed_vs_verify_limit",
    "envelopes/s",
    must=0.75,
    stretch=0.9,
    measure=measure,
    bigger_is_better=True,
)
