"""The composition root: every part of a node is made here, joined here, started here.

Order matters, and is this: the zygote is executed before the key is read, so that no worker
descends from a process that held it. Then key, database, engines; then agents, links and last
the API, whose socket says that the node is ready.
"""

import gc
import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata

import structlog
import trio

from akshi_mesh.api.errors import Denied
from akshi_mesh.api.server import Api
from akshi_mesh.api.shapes import NodeStatus
from akshi_mesh.compose import compose
from akshi_mesh.config.model import Config
from akshi_mesh.control.status import NodeControl
from akshi_mesh.ground import SCHEMAS, Ground
from akshi_mesh.home import Home
from akshi_mesh.parts import Parts
from akshi_mesh.secrets.start import open_vault
from akshi_mesh.watchman import Watchman
from identity.errors import PassphraseNeeded
from identity.files import load_node_key
from identity.keys import SigningKey
from sandbox.errors import JailMissing
from sandbox.host.scan import HostReport, scan
from sandbox.host.zygote import Zygote
from sandbox.worker import libc
from sync.errors import DatabaseDamaged
from sync.proto.task_events import AgentReady
from sync.store.database import Database

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Start:
    """What a node is started with."""

    config: Config
    home: Home
    token: str
    passphrase: Callable[[], str]
    ready: Callable[[NodeStatus], None]
    began_s: float


def run_node(
    config: Config,
    home: Home,
    *,
    token: str,
    passphrase: Callable[[], str],
    ready: Callable[[NodeStatus], None],
) -> None:
    """Run the node of `home` until it is stopped. The caller holds the home's lock.

    Args:
        config: checked; its paths are absolute.
        home: exists and is ours.
        token: what callers of the API must show.
        passphrase: asked once if the key is sealed.
        ready: called when everything runs and the API answers.

    Raises:
        OperatorError and the errors of the packages: what keeps it from running.
    """
    _harden()
    watchman = Watchman()
    trio.run(_main, Start(config, home, token, passphrase, ready, time.perf_counter()), watchman)


async def _main(start: Start, watchman: Watchman) -> None:
    config, host = start.config, scan()
    log.info("host.scanned", level=host.level, why=host.why, kernel=host.kernel, kvm=host.kvm)
    refusal = _refusal(config, host)
    async with trio.open_nursery() as outer:
        zygote = Zygote(jail_required=config.sandbox.minimum == "jail")
        if config.agents and refusal is None:
            await outer.start(zygote.run)
        key = _load_key(start.home, start.passphrase)
        vault = open_vault(start.home)
        vault.silence()
        database = Database.open(
            str(start.home.database_path), schemas=SCHEMAS, durability=config.mesh.durability
        )
        try:
            await _serve(start, Ground(host, refusal, zygote, key, database, vault), watchman)
        finally:
            database.close()
            outer.cancel_scope.cancel()


async def _serve(start: Start, ground: Ground, watchman: Watchman) -> None:
    async with trio.open_nursery() as nursery:
        parts, services = compose(start.config, start.home, ground)

        def stop(signalled: str) -> None:
            log.info("node.signalled", signal=signalled)
            parts.supervisor.stop_now()
            nursery.cancel_scope.cancel()

        nursery.start_soon(_watch, watchman, stop)
        for service in services:
            await nursery.start(service)
        listen = start.config.mesh.listen
        parts.bound = await nursery.start(partial(parts.links.run, listen=listen))
        _keep_links(parts)
        control = NodeControl(parts, stopping=watchman.arm)
        damage, found = trio.open_memory_channel[DatabaseDamaged](math.inf)
        nursery.start_soon(_end_of_damage, found)
        api = Api(
            control,
            token=start.token,
            version=metadata.version("akshi-mesh"),
            ended=nursery.cancel_scope.cancel,
            damaged=damage.send_nowait,
        )
        await nursery.start(api.run, start.home.socket_path)
        # What was made so far stays for the node's life; the collector need not look at it
        # again and again (measured: 4 % of a busy node's time).
        gc.freeze()
        parts.ready_s = round(time.perf_counter() - start.began_s, 3)
        log.info("node.ready", did=str(parts.did), listen=str(parts.bound), seconds=parts.ready_s)
        start.ready(await control.status())


def _load_key(home: Home, passphrase: Callable[[], str]) -> SigningKey:
    try:
        return load_node_key(home.path)
    except PassphraseNeeded:
        return load_node_key(home.path, passphrase())


def _refusal(config: Config, host: HostReport) -> str | None:
    """Why no agent may start here, or None."""
    try:
        host.require(config.sandbox.minimum)
    except JailMissing as missing:
        log.error("sandbox.missing", why=str(missing), hint=missing.hint)
        return str(missing)
    return None


def _keep_links(parts: Parts) -> None:
    """Dial whom the configuration and the trust store name.

    Raises:
        Denied: a configured peer is not trusted; dialling never trusts.
    """
    for trusted in parts.trust.store:
        parts.effects.keep(trusted.public_key, trusted.address)
    for wanted in parts.config.mesh.peers:
        if parts.trust.lookup(wanted.peer.public_key) is None:
            raise Denied(f"not trusted: {wanted.peer}", hint=f"akshi-node trust add {wanted.peer}")
        if wanted.address is not None:
            parts.links.keep(wanted.peer.public_key, [wanted.address])
    for spec in parts.config.agents:
        # Also where none may start: its tasks then fail with the reason, and do not wait mute.
        parts.mesh.tell_tasks(AgentReady(spec.name))


async def _end_of_damage(found: trio.MemoryReceiveChannel[DatabaseDamaged]) -> None:
    """End the node over what a request has found: wrong data is served to nobody."""
    raise await found.receive()


async def _watch(watchman: Watchman, stop: Callable[[str], None]) -> None:
    with watchman.watching(stop):
        await trio.sleep_forever()


def _harden() -> None:
    """No core dump, and no debugger of the same user: both would carry the key away."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
