"""What a node does beside its work: checkpoints, the search index, the audit log, attestations.

Each is small or happens in a thread; none is in the way of a message.
"""

import hashlib
from functools import partial
from pathlib import Path
from typing import NoReturn

import structlog
import trio

from akshi_mesh.parts import Parts
from identity.attestation import attest
from sync.errors import StoreBusy, StoreFull, StoreReadOnly

log = structlog.get_logger()

TICK_S = 0.5
COMMITS_A_CHECKPOINT = 2_000  # about 8 MiB of log
DAY_MS = 24 * 3600 * 1000
ATTESTED_MS = 365 * DAY_MS  # an agent's old entries are believed that long after the last start


class Upkeep:
    """A service: construct, then ``await nursery.start(upkeep.run)``."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._checkpoint_at = COMMITS_A_CHECKPOINT

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Until cancelled."""
        task_status.started()
        is_attested = False
        while True:
            try:
                if not is_attested:
                    await self._attest_agents()
                    is_attested = True
                await trio.sleep(TICK_S)
                await self._tick()
            except (StoreFull, StoreReadOnly, StoreBusy) as trouble:
                log.error("store.trouble", why=str(trouble), hint=trouble.hint)
                await trio.sleep(10 * TICK_S)

    async def _tick(self) -> None:
        parts = self._parts
        if parts.finder.is_behind:
            await parts.finder.feed()
        if parts.database.commits >= self._checkpoint_at:
            self._checkpoint_at = parts.database.commits + COMMITS_A_CHECKPOINT
            await trio.to_thread.run_sync(parts.database.checkpoint)

    async def _attest_agents(self) -> None:
        """Vouch for each agent's key, so that peers keep what it writes."""
        parts = self._parts
        for spec in parts.config.agents:
            try:
                cid = await trio.to_thread.run_sync(partial(_cid_of, Path(spec.wasm_path)))
            except OSError as failure:
                log.warning("agent.unread", agent=spec.name, why=str(failure))
                continue
            key, now = parts.agent_keys[spec.name], parts.clock()
            data = attest(
                parts.key,
                key.public_key,
                name=spec.name,
                wasm_cid=cid,
                capabilities=[str(capability) for capability in spec.capabilities],
                network=parts.config.mesh.network,
                nonce=parts.nonce(),
                issued_ms=now.wall_ms,
                until_ms=now.wall_ms + ATTESTED_MS,
            )
            with parts.mesh.transaction():
                parts.mesh.journals.introduce(key.public_key, node=parts.me, attestation=data)


def _cid_of(path: Path) -> str:
    from identity.cid import wasm_cid

    return wasm_cid(hashlib.sha256(path.read_bytes()).digest())
