"""How fast a node that has nothing gets a whole journal: fetched, verified, stored on disk.

    a node process with a full journal ══ link ══ a node in this process, empty

From the moment the link is live to the moment the last entry can be read here: names and
digests exchanged, stretches asked for and sent, each checkpoint's signature checked, every
entry parsed and hashed, every root compared, every row committed.
"""

import secrets
import time

import trio

from akshi_mesh.ground import SCHEMAS
from akshi_mesh.parts import Parts
from bench.figure import Promise, Sample
from bench.local_node import befriend, local_node, wait_linked, wait_until, workshop
from identity.envelope import NETWORK
from identity.files import load_node_key
from sync.author import Author
from sync.clock import Moment
from sync.proto.journals import Journals
from sync.store.database import Database
from sync.store.journals import Journals as JournalTables
from testnet.agents import mesh_journal
from testnet.processes import NodeProcess

ENTRIES = 20_000
TEXT = "x" * 100
JOURNAL = "notes"
ALLOW = (f"journal:{JOURNAL}",)


class _Everything:
    """A journal policy that a writer alone at home needs."""

    def mesh_journals(self) -> list[str]:
        return [JOURNAL]

    def may_sync(self, peer: bytes, journal: str) -> bool:  # noqa: ARG002 - the protocol's names
        return True

    def author_admitted(self, journal: str, node: bytes) -> bool:  # noqa: ARG002 - as above
        return True


def measure() -> Sample:
    with workshop() as path:
        here = NodeProcess.create("a", path / "a", mesh_journal(JOURNAL))
        there = NodeProcess.create("b", path / "b", mesh_journal(JOURNAL))
        write_entries(there, ENTRIES)
        there.launch()
        try:
            there.wait_ready()
            return Sample(ENTRIES / trio.run(_seconds, here, there))
        finally:
            there.stop()


def write_entries(node: NodeProcess, count: int) -> None:
    """Give a node that does not run yet a journal, as if it had written it."""
    key = load_node_key(node.home.path)
    author = Author(key, network=NETWORK, nonce=lambda: secrets.token_bytes(16))
    now = Moment(0.0, time.time_ns() // 1_000_000)
    database = Database.open(str(node.home.database_path), schemas=SCHEMAS)
    with database.transaction():
        engine = Journals(
            JournalTables(database, network=NETWORK),
            me=key.public_key,
            network=NETWORK,
            run=secrets.token_bytes(16),
            policy=_Everything(),
            authors={key.public_key: author}.get,
            random=secrets.SystemRandom(),
            now=now,
        )
        for _ in range(count):
            engine.append(
                JOURNAL, key.public_key, tag="n", text=TEXT, originator=str(key.did), now=now
            )
        engine.flush(now)
    database.close()


async def _seconds(here: NodeProcess, there: NodeProcess) -> float:
    async with local_node(here) as parts:
        there.client.trust_add(str(parts.did), allow=ALLOW)
        await befriend(parts, there.did, there.address, allow=ALLOW)
        await wait_linked(parts, there.did)
        began = time.perf_counter()
        await wait_until(lambda: _entries_here(parts) == ENTRIES)
        return time.perf_counter() - began


def _entries_here(parts: Parts) -> int:
    return sum(log.visible for log in parts.view.logs(JOURNAL))


PROMISE = Promise(
    "catch_up_entries_per_s",
    "entries/s",
    must=50_000,
    stretch=100_000,
    measure=measure,
    bigger_is_better=True,
)
