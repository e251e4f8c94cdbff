"""How many signed envelopes a node takes in, against how many signatures its core can verify.

The receiver is a whole node in this process, the sender a process of its own that has sealed
its envelopes before. Counted is all that this process does from the socket until an envelope
is open: record read and decrypted, message cut, credit given back, structure, header,
signature, payload, audience and times checked, its place in a transaction. What an engine
makes of it then is another number (`tasks_per_s_16`), so here the task engine takes it and
does nothing. The envelopes are receipts of 293 bytes.

Both rates are per second of this process's CPU time: it has one thread that works, so this is
"one core", and the sender's work and the machine's other users are not in it.
"""

import time
from typing import cast

import nacl.bindings as sodium
import trio

from akshi_mesh.parts import Parts
from akshi_mesh.transport.wire import ENVELOPE
from bench.figure import Promise, Sample
from bench.local_node import befriend, local_node, wait_linked, wait_until, workshop
from bench.peer import FLOOD_ENVELOPES, Peer, peer_process, receipts
from identity.did import Did
from identity.files import load_node_key
from identity.keys import SigningKey
from sync.clock import Moment
from sync.proto.task_events import Effect, EnvelopeArrived, Event
from sync.proto.tasks import Tasks
from testnet.processes import NodeProcess

FLOODS = 8
VERIFICATIONS = 400  # between two floods: both rates see the same machine
LOOK_S = 0.005  # looking whether all have come costs CPU time too


class _Idle:
    """The task engine, but for what it does with envelopes."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def handle(self, event: Event, now: Moment) -> list[Effect]:
        return [] if isinstance(event, EnvelopeArrived) else self._tasks.handle(event, now)

    def __getattr__(self, name: str) -> object:
        return getattr(self._tasks, name)


def measure() -> Sample:
    with workshop() as path:
        node = NodeProcess.create("a", path / "a", "")
        key = load_node_key(node.home.path)
        with peer_process(key.public_key, flood=FLOODS) as peer:
            return trio.run(_rates, node, peer)


async def _rates(node: NodeProcess, peer: Peer) -> Sample:
    did = str(Did(peer.key))
    async with local_node(node) as parts:
        await befriend(parts, did, str(peer.address), allow=())
        await wait_linked(parts, did)
        parts.mesh.tasks = cast(Tasks, _Idle(parts.mesh.tasks))
        receiving_s = 0.0
        verifying_s = _verify_cpu_s()
        for number in range(FLOODS):
            receiving_s += await _receive_cpu_s(parts, peer, floods=number + 1)
            verifying_s += _verify_cpu_s()
    rate = FLOODS * FLOOD_ENVELOPES / receiving_s
    return Sample(rate, (FLOODS + 1) * VERIFICATIONS / verifying_s)


async def _receive_cpu_s(parts: Parts, peer: Peer, *, floods: int) -> float:
    """CPU time of taking in the next flood; its last envelope is not for us, and is counted."""
    began = time.process_time()
    parts.links.send(peer.key, ENVELOPE, b"")
    refused = parts.switchboard.refusals
    await wait_until(lambda: sum(refused.values()) == floods, poll_s=LOOK_S)
    return time.process_time() - began


def _verify_cpu_s() -> float:
    """CPU time of checking signatures over as many bytes with libsodium alone."""
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
