"""How the parts of a node are joined: engines, then what agents reach, then who listens to whom."""

import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

import trio

from akshi_mesh.agent_ports import AgentLog, Diaries, Errands, Memory
from akshi_mesh.approvals.office import SCHEMA as APPROVALS_SCHEMA
from akshi_mesh.approvals.office import ApprovalOffice, Around
from akshi_mesh.attempts import Attempts
from akshi_mesh.audit.keeper import Keeper
from akshi_mesh.audit.log import SCHEMA as AUDIT_SCHEMA
from akshi_mesh.audit.log import AuditLog
from akshi_mesh.audit.notary import Notary
from akshi_mesh.audit.receipts import SCHEMA as RECEIPTS_SCHEMA
from akshi_mesh.audit.receipts import Receipts
from akshi_mesh.audit.reconciler import Reconciler
from akshi_mesh.audit.trust_notes import noting
from akshi_mesh.config.model import Config
from akshi_mesh.embeddings import embedder_of
from akshi_mesh.finder import Finder
from akshi_mesh.grant_book import SCHEMA as GRANTS_SCHEMA
from akshi_mesh.grant_book import GrantBook
from akshi_mesh.grant_desk import GrantDesk
from akshi_mesh.home import Home
from akshi_mesh.inference.router import Router
from akshi_mesh.mcp.pins import SCHEMA as MCP_SCHEMA
from akshi_mesh.mcp.pins import Pins
from akshi_mesh.mcp.servers import Servers
from akshi_mesh.mcp.transports import environment, http_client
from akshi_mesh.modules import SCHEMA as MODULES_SCHEMA
from akshi_mesh.modules import Modules
from akshi_mesh.parts import Parts
from akshi_mesh.policy import NodePolicy
from akshi_mesh.powers import powers
from akshi_mesh.reserve import Reserve
from akshi_mesh.revocations import SCHEMA as REVOCATIONS_SCHEMA
from akshi_mesh.revocations import Revocations
from akshi_mesh.secrets.start import SCHEMA as SECRETS_SCHEMA
from akshi_mesh.secrets.start import Secrets
from akshi_mesh.secrets.vault import Vault
from akshi_mesh.spend.purse import SCHEMA as SPEND_SCHEMA
from akshi_mesh.stamps import SCHEMA as STAMPS_SCHEMA
from akshi_mesh.stamps import Stamps
from akshi_mesh.switchboard import Switchboard
from akshi_mesh.traces import SCHEMA as TRACES_SCHEMA
from akshi_mesh.traces import Traces
from akshi_mesh.transport.links import Links
from akshi_mesh.trust_book import TrustBook
from akshi_mesh.trust_effects import TrustEffects
from akshi_mesh.upkeep import Upkeep
from akshi_mesh.waits import Waits
from akshi_mesh.whose_work import WhoseWork
from identity.keys import SigningKey
from sandbox.host.boundary import Boundary, Ports
from sandbox.host.compile import Compiler
from sandbox.host.databases import Databases
from sandbox.host.scan import HostReport
from sandbox.host.supervisor import Supervisor
from sandbox.host.zygote import Zygote
from sandbox.outside import SecretsPort
from sync.author import Author
from sync.clock import Moment
from sync.mesh import Mesh
from sync.proto.journals import Journals
from sync.proto.tasks import Tasks
from sync.store.database import Database
from sync.store.journals import Journals as JournalTables
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.journals_view import View
from sync.store.tasks import TaskTables
from sync.store.tasks_schema import SCHEMA as TASKS_SCHEMA

SCHEMAS = (
    *TASKS_SCHEMA,
    *JOURNALS_SCHEMA,
    *AUDIT_SCHEMA,
    *RECEIPTS_SCHEMA,
    STAMPS_SCHEMA,
    REVOCATIONS_SCHEMA,
    *GRANTS_SCHEMA,
    SECRETS_SCHEMA,
    MCP_SCHEMA,
    MODULES_SCHEMA,
    TRACES_SCHEMA,
    *APPROVALS_SCHEMA,
    *SPEND_SCHEMA,
)
NONCE_BYTES = 16
AGENT_GENERATION = 0  # the first key of each agent; rotation would count up
CACHE_KEY = b"akshi-mesh aot 1"

Service = Callable[..., Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Ground:
    """What stands before anything is composed."""

    host: HostReport
    refusal: str | None
    zygote: Zygote
    key: SigningKey
    database: Database
    vault: Vault


def now() -> Moment:
    """Both clocks of this machine."""
    return Moment(mono_s=trio.current_time(), wall_ms=time.time_ns() // 1_000_000)


def compose(config: Config, home: Home, ground: Ground) -> tuple[Parts, list[Service]]:
    """All parts, joined; and the services to start, in order."""
    key, database, started = ground.key, ground.database, now()
    network, me = config.mesh.network, key.public_key
    tables, view = TaskTables(database), View(database)
    grants = GrantBook(database, me=me, network=network)
    trust = TrustBook(home.path, now_ms=lambda: mesh.tasks.clock_high_ms(now()), grants=grants)
    work = WhoseWork(key.did, trust)
    trust.reserve = reserve = Reserve(home.path / "reserve")
    audit = AuditLog(
        database, draw=secrets.token_bytes, wall_ms=lambda: now().wall_ms, reserve=reserve
    )
    trust.precede(noting(audit))
    receipts = Receipts(database, audit, me=me, wall_ms=lambda: now().wall_ms)
    agent_keys = {a.name: key.derive_agent(a.name, AGENT_GENERATION) for a in config.agents}
    random = Random(secrets.randbits(128))  # noqa: S311 - jitter only
    switchboard = Switchboard(me=me, wall_ms=lambda: now().wall_ms)
    policy = NodePolicy(config, me=me, trust=trust)
    keys = [key, *agent_keys.values()]
    mesh = _mesh(ground, network, tables, policy, keys, switchboard, random, receipts)
    grants.load(trust.now_ms())
    grant_desk = GrantDesk(
        key,
        grants,
        trust,
        lambda: effects,
        audit,
        network=network,
        nonce=_nonce,
        wall_ms=lambda: now().wall_ms,
    )
    links = Links(
        key=key,
        network=network,
        trust=lambda peer, _: trust.lookup(peer),
        stamps=Stamps(database, clock_us=lambda: time.time_ns() // 1_000),
        sink=switchboard,
        wall_ms=lambda: now().wall_ms,
        random=random,
        grants=grant_desk,
    )
    held = Secrets.over(
        ground.vault, config, database=database, audit=audit, now_ms=lambda: now().wall_ms
    )
    reach = powers(
        config,
        held.broker,
        database=database,
        audit=audit,
        clock=now,
        reserve=reserve,
    )
    around = Around(
        key=key,
        network=network,
        is_trusted=lambda peer: trust.lookup(peer) is not None,
        send=switchboard.send,
        clock=now,
        stored_ms=tables.clock_high_ms(),
        nonce=_nonce,
        draw=secrets.token_bytes,
    )
    approvals = ApprovalOffice(database, audit, config.approval, around)
    finder = Finder(mesh, database, embedder_of(config.embeddings))
    diaries = Diaries(mesh, view, finder, lambda name: agent_keys[name].public_key, now)
    databases = Databases(home.databases_path, durability=config.mesh.durability)
    errands = Errands(mesh, tables, switchboard, now, Waits(policy.slots), scope_of=work.scope_of)
    ports = Ports(
        Memory(mesh, tables.calls),
        errands,
        diaries,
        audit,
        AgentLog(),
        modules := Modules(database, audit, wall_ms=lambda: now().wall_ms),
        approvals=approvals.desk,
        purse=reach.purse,
        http=reach.fetcher,
        secrets=held.broker,
        bounds=work,
        databases=databases,
        models=Router(config.router, held.broker),
        tools=(tools := _tools(config, home, ground, audit, held.broker)),
    )
    supervisor = _supervisor(config, home, ground, ports, trust)
    revocations = Revocations(
        database, trust, linked=lambda: switchboard.is_linked, is_author=view.is_author
    )
    traces = Traces(database)
    attempts = Attempts(mesh, supervisor, databases, traces, now)
    reconciler = Reconciler(
        key,
        database,
        receipts,
        switchboard.send,
        network=network,
        nonce=_nonce,
        wall_ms=lambda: now().wall_ms,
    )
    switchboard.connect(mesh, links, attempts, revocations, approvals, reconciler=reconciler)
    effects = TrustEffects(me=me, mesh=mesh, links=links, trust=trust)
    trust.listen(effects.changed)
    parts = Parts(
        config=config,
        home=home,
        key=key,
        agent_keys=agent_keys,
        clock=now,
        nonce=_nonce,
        database=database,
        tables=tables,
        view=view,
        finder=finder,
        mesh=mesh,
        trust=trust,
        grants=grant_desk,
        links=links,
        effects=effects,
        switchboard=switchboard,
        supervisor=supervisor,
        audit=audit,
        notary=Notary(database, key, wall_ms=lambda: now().wall_ms),
        reserve=reserve,
        receipts=receipts,
        reconciler=reconciler,
        secrets=held,
        modules=modules,
        traces=traces,
        approvals=approvals,
        purse=reach.purse,
        tools=tools,
        host=ground.host,
        refusal=ground.refusal,
        started=started,
        warnings=[str(problem) for problem in config.notes],
    )
    upkeep = Upkeep(parts)
    return parts, [
        Keeper.over(parts).run,
        tools.run,
        reach.fetcher.run,
        supervisor.run,
        attempts.run,
        switchboard.run,
        upkeep.run,
        effects.run,
        held.broker.run,
        approvals.run,
    ]


def _mesh(  # noqa: PLR0917 - one caller, which names them all
    ground: Ground,
    network: str,
    tables: TaskTables,
    policy: NodePolicy,
    keys: list[SigningKey],
    voice: Switchboard,
    random: Random,
    witness: Receipts,
) -> Mesh:
    """Both engines over one database; `keys` are the node's and its agents'."""
    me, epoch = keys[0].public_key, _nonce()
    authors = {key.public_key: Author(key, network=network, nonce=_nonce) for key in keys}
    with ground.database.transaction():
        journals = Journals(
            JournalTables(ground.database, network=network),
            me=me,
            network=network,
            run=epoch,
            policy=policy,
            authors=authors.get,
            random=secrets.SystemRandom(),
            now=now(),
        )
    return Mesh(
        me=me,
        network=network,
        epoch=epoch,
        database=ground.database,
        tasks=Tasks(
            store=tables, author=authors[me], policy=policy, random=random, witness=witness
        ),
        journals=journals,
        voice=voice,
        clock=now,
    )


def _tools(
    config: Config, home: Home, ground: Ground, audit: AuditLog, secrets: SecretsPort
) -> Servers:
    """The MCP servers of the agents. None of them starts before an agent asks for it."""
    pins = Pins(ground.database, audit, me=str(ground.key.did), wall_ms=lambda: now().wall_ms)
    hidden = [str(path) for path in (home.path, home.socket_path.parent)]
    return Servers(
        config.agents,
        pins,
        hidden=hidden,
        environ=environment(),
        client=http_client(secrets),
        secrets=secrets,
    )


def _supervisor(
    config: Config, home: Home, ground: Ground, ports: Ports, trust: TrustBook
) -> Supervisor:
    """The agents, and the border they call across."""
    boundary = Boundary(
        ports,
        me=str(ground.key.did),
        resolve=lambda petname: _did_of(trust, petname),
        wall_ms=lambda: now().wall_ms,
        random_bytes=secrets.token_bytes,
        risks=config.risks,
        did_of=lambda name: str(ground.key.derive_agent(name, AGENT_GENERATION).did),
        hidden=[str(home.path)],
    )
    cache_key = hashlib.blake2b(CACHE_KEY, key=ground.key.seed, digest_size=32).digest()
    return Supervisor(
        config.agents,
        boundary=boundary,
        zygote=ground.zygote,
        compiler=Compiler(ground.zygote, directory=home.cache_path / "aot", key=cache_key),
        refusal=ground.refusal,
    )


def _did_of(trust: TrustBook, petname: str) -> str | None:
    trusted = trust.store.by_petname(petname)
    return str(trusted.did) if trusted else None


def _nonce() -> bytes:
    return secrets.token_bytes(NONCE_BYTES)
