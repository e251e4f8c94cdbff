"""The composition root: every part of a node is made here, joined here, started here.

Order matters, and is this: the zygote is executed before the key is read, so that no worker
descends from a process that held it. Then key, database, engines; then agents, links and last
the API, whose socket says that the node is ready.
"""

import hashlib
import resource
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from random import Random

import structlog
import trio

from akshi_mesh.agent_ports import AgentLog, Diaries, Errands, Memory
from akshi_mesh.api.errors import Denied
from akshi_mesh.api.server import Api
from akshi_mesh.api.shapes import NodeStatus
from akshi_mesh.attempts import Attempts
from akshi_mesh.audit_log import SCHEMA as AUDIT_SCHEMA
from akshi_mesh.audit_log import AuditLog
from akshi_mesh.config.model import Config
from akshi_mesh.control.status import NodeControl
from akshi_mesh.home import Home
from akshi_mesh.parts import Parts
from akshi_mesh.policy import NodePolicy
from akshi_mesh.revocations import SCHEMA as REVOCATIONS_SCHEMA
from akshi_mesh.revocations import Revocations
from akshi_mesh.stamps import SCHEMA as STAMPS_SCHEMA
from akshi_mesh.stamps import Stamps
from akshi_mesh.switchboard import Switchboard
from akshi_mesh.transport.links import Links
from akshi_mesh.trust_book import TrustBook
from akshi_mesh.trust_effects import TrustEffects
from akshi_mesh.upkeep import Upkeep
from identity.errors import PassphraseNeeded
from identity.files import load_node_key
from identity.keys import SigningKey
from sandbox.errors import JailMissing
from sandbox.host.boundary import Boundary, Ports
from sandbox.host.compile import Compiler
from sandbox.host.scan import HostReport, scan
from sandbox.host.supervisor import Supervisor
from sandbox.host.zygote import Zygote
from sandbox.worker import libc
from sync.author import Author
from sync.clock import Moment
from sync.mesh import Mesh
from sync.proto.journals import Journals
from sync.proto.task_events import AgentReady
from sync.proto.tasks import Tasks
from sync.store.database import Database
from sync.store.journals import Journals as JournalTables
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.journals_view import View
from sync.store.search import Search
from sync.store.tasks import TaskTables
from sync.store.tasks_schema import SCHEMA as TASKS_SCHEMA

log = structlog.get_logger()

SCHEMAS = (*TASKS_SCHEMA, *JOURNALS_SCHEMA, AUDIT_SCHEMA, STAMPS_SCHEMA, REVOCATIONS_SCHEMA)
NONCE_BYTES = 16
AGENT_GENERATION = 0  # the first key of each agent; rotation would count up
CACHE_KEY = b"akshi-mesh aot 1"


@dataclass(frozen=True, slots=True)
class Start:
    """What a node is started with."""

    config: Config
    home: Home
    token: str
    passphrase: Callable[[], str]
    ready: Callable[[NodeStatus], None]
    began_s: float


@dataclass(frozen=True, slots=True)
class Ground:
    """What stands before anything is composed."""

    host: HostReport
    refusal: str | None
    zygote: Zygote
    key: SigningKey
    database: Database


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
    trio.run(_main, Start(config, home, token, passphrase, ready, time.perf_counter()))


def now() -> Moment:
    """Both clocks of this machine."""
    return Moment(mono_s=trio.current_time(), wall_ms=time.time_ns() // 1_000_000)


async def _main(start: Start) -> None:
    config, host = start.config, scan()
    log.info("host.scanned", level=host.level, why=host.why, kernel=host.kernel, kvm=host.kvm)
    refusal = _refusal(config, host)
    async with trio.open_nursery() as outer:
        zygote = Zygote(jail_required=config.sandbox.minimum == "jail")
        if config.agents and refusal is None:
            await outer.start(zygote.run)
        key = _load_key(start.home, start.passphrase)
        database = Database.open(
            str(start.home.database_path), schemas=SCHEMAS, durability=config.mesh.durability
        )
        try:
            await _serve(start, Ground(host, refusal, zygote, key, database))
        finally:
            database.close()
            outer.cancel_scope.cancel()


async def _serve(start: Start, ground: Ground) -> None:
    async with trio.open_nursery() as nursery:
        parts, services = _compose(start, ground)
        nursery.start_soon(_stop_on_signal, nursery.cancel_scope, parts.supervisor)
        for service in services:
            await nursery.start(service)
        listen = start.config.mesh.listen
        parts.bound = await nursery.start(partial(parts.links.run, listen=listen))
        _keep_links(parts)
        control = NodeControl(parts)
        api = Api(
            control,
            token=start.token,
            version=metadata.version("akshi-mesh"),
            ended=nursery.cancel_scope.cancel,
        )
        await nursery.start(api.run, start.home.socket_path)
        parts.ready_s = round(time.perf_counter() - start.began_s, 3)
        log.info("node.ready", did=str(parts.did), listen=str(parts.bound), seconds=parts.ready_s)
        start.ready(await control.status())


def _compose(start: Start, ground: Ground) -> tuple[Parts, list[Callable[..., Awaitable[object]]]]:
    """All parts, joined; and the services to start, in order."""
    config, home, key, database = start.config, start.home, ground.key, ground.database
    network, me, started = config.mesh.network, key.public_key, now()
    tables = TaskTables(database)
    trust = TrustBook(home.path, now_ms=lambda: max(now().wall_ms, tables.clock_high_ms()))
    policy = NodePolicy(config, me=me, trust=trust)
    agent_keys = {a.name: key.derive_agent(a.name, AGENT_GENERATION) for a in config.agents}
    nonce = partial(secrets.token_bytes, NONCE_BYTES)
    authors = {
        owner.public_key: Author(owner, network=network, nonce=nonce)
        for owner in (key, *agent_keys.values())
    }
    random, epoch = Random(secrets.randbits(128)), nonce()  # noqa: S311 - jitter only
    tasks = Tasks(store=tables, author=authors[me], policy=policy, random=random)
    with database.transaction():
        journals = Journals(
            JournalTables(database, network=network),
            me=me,
            network=network,
            run=epoch,
            policy=policy,
            authors=authors.get,
            random=secrets.SystemRandom(),
            now=started,
        )
    switchboard = Switchboard(me=me, wall_ms=lambda: now().wall_ms)
    mesh = Mesh(
        me=me,
        network=network,
        epoch=epoch,
        database=database,
        tasks=tasks,
        journals=journals,
        voice=switchboard,
        clock=now,
    )
    links = Links(
        key=key,
        network=network,
        trust=lambda peer, _: trust.lookup(peer),
        stamps=Stamps(database, clock_us=lambda: time.time_ns() // 1_000),
        sink=switchboard,
        wall_ms=lambda: now().wall_ms,
        random=random,
    )
    audit = AuditLog(database, draw=secrets.token_bytes)
    view, search = View(database), Search(database)
    boundary = Boundary(
        Ports(
            memory=Memory(mesh, tables.calls),
            tasks=Errands(mesh, tables, switchboard, now),
            journals=Diaries(mesh, view, search, lambda name: agent_keys[name].public_key, now),
            audit=audit,
            log=AgentLog(),
        ),
        me=str(key.did),
        resolve=lambda petname: _did_of(trust, petname),
        wall_ms=lambda: now().wall_ms,
        random_bytes=secrets.token_bytes,
        hidden=[str(home.path)],
    )
    cache_key = hashlib.blake2b(CACHE_KEY, key=key.seed, digest_size=32).digest()
    supervisor = Supervisor(
        config.agents,
        boundary=boundary,
        zygote=ground.zygote,
        compiler=Compiler(ground.zygote, directory=home.cache_path / "aot", key=cache_key),
        refusal=ground.refusal,
    )
    attempts = Attempts(mesh, supervisor, now)
    revocations = Revocations(database, trust, linked=lambda: switchboard.is_linked)
    switchboard.connect(mesh, links, attempts, revocations)
    effects = TrustEffects(me=me, mesh=mesh, links=links)
    trust.listen(effects.changed)
    parts = Parts(
        config=config,
        home=home,
        key=key,
        agent_keys=agent_keys,
        clock=now,
        nonce=nonce,
        database=database,
        tables=tables,
        view=view,
        search=search,
        mesh=mesh,
        trust=trust,
        links=links,
        effects=effects,
        switchboard=switchboard,
        supervisor=supervisor,
        audit=audit,
        host=ground.host,
        refusal=ground.refusal,
        started=started,
        warnings=[str(problem) for problem in config.notes],
    )
    upkeep = Upkeep(parts, effects)
    return parts, [supervisor.run, attempts.run, switchboard.run, upkeep.run]


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


def _did_of(trust: TrustBook, petname: str) -> str | None:
    trusted = trust.store.by_petname(petname)
    return str(trusted.did) if trusted else None


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
        if parts.refusal is None:
            parts.mesh.tell_tasks(AgentReady(spec.name))


async def _stop_on_signal(scope: trio.CancelScope, supervisor: Supervisor) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
        async for number in signals:
            log.info("node.signalled", signal=signal.Signals(number).name)
            supervisor.stop_now()
            scope.cancel()


def _harden() -> None:
    """No core dump, and no debugger of the same user: both would carry the key away."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc.prctl(libc.PR_SET_DUMPABLE, 0)
