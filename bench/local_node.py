"""A whole node inside the measuring process: nothing lies between the clock and its engines.

It is composed by `akshi_mesh.compose`, so it is the product's node without its HTTP API,
whose millisecond a request would be all that a measurement sees.
"""

import contextlib
import gc
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import trio

from akshi_mesh.compose import compose
from akshi_mesh.config.load import load_config
from akshi_mesh.control.status import NodeControl
from akshi_mesh.ground import SCHEMAS, Ground
from akshi_mesh.parts import Parts
from akshi_mesh.secrets.start import open_vault
from identity.did import Did
from identity.files import load_node_key
from sandbox.host.scan import scan
from sandbox.host.zygote import Zygote
from sync.proto.task_events import AgentReady
from sync.store.database import Database
from testnet.processes import NodeProcess

WAIT_S = 20.0  # for what should take milliseconds; beyond it the measurement has failed
POLL_S = 0.001


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """A directory for the homes of one measurement."""
    with tempfile.TemporaryDirectory(prefix="akshi-bench-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@contextlib.asynccontextmanager
async def local_node(node: NodeProcess) -> AsyncIterator[Parts]:
    """Run the node of this home here, listening on a port of the kernel's choice."""
    config = load_config(node.config, home=node.home.path)
    config = config.with_command_line(listen="127.0.0.1:0", peers=())
    zygote = Zygote()
    key = load_node_key(node.home.path)
    database = Database.open(
        str(node.home.database_path), schemas=SCHEMAS, durability=config.mesh.durability
    )
    ground = Ground(scan(), None, zygote, key, database, open_vault(node.home))
    try:
        async with trio.open_nursery() as nursery:
            if config.agents:
                await nursery.start(zygote.run)
            parts, services = compose(config, node.home, ground)
            for service in services:
                await nursery.start(service)
            parts.bound = await nursery.start(partial(parts.links.run, listen=config.mesh.listen))
            for spec in config.agents:
                parts.mesh.tell_tasks(AgentReady(spec.name))
            gc.freeze()  # as `run_node` does when it is ready
            yield parts
            gc.unfreeze()
            parts.supervisor.stop_now()
            nursery.cancel_scope.cancel()
    finally:
        database.close()


async def befriend(parts: Parts, did: str, address: str | None, *, allow: tuple[str, ...]) -> None:
    """Trust `did` as an operator would, and dial it if its address is given."""
    await NodeControl(parts, stopping=lambda: None).trust_add(
        did, name=None, address=address, allow=list(allow), until_ms=None
    )


async def wait_linked(parts: Parts, did: str) -> None:
    """Return when a link to `did` is live."""
    peer = Did.parse(did).public_key
    await wait_until(lambda: peer in parts.switchboard.is_linked)


async def wait_until(condition: Callable[[], bool], *, poll_s: float = POLL_S) -> None:
    """Return soon after `condition` has come true. An event would change what is measured."""
    with trio.fail_after(WAIT_S):
        while not condition():  # noqa: ASYNC110 - see above
            await trio.sleep(poll_s)
