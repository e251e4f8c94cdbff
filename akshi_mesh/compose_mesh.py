"""Who is trusted, what is stored and what is said to whom: the node without its agents."""

import secrets
import time
from dataclasses import dataclass
from random import Random

from akshi_mesh.audit.log import AuditLog
from akshi_mesh.audit.receipts import Receipts
from akshi_mesh.audit.reconciler import Reconciler
from akshi_mesh.audit.trust_notes import noting
from akshi_mesh.config.model import Config
from akshi_mesh.grant_book import GrantBook
from akshi_mesh.grant_desk import GrantDesk
from akshi_mesh.ground import Ground, nonce, now, wall_ms
from akshi_mesh.home import Home
from akshi_mesh.policy import NodePolicy
from akshi_mesh.reserve import Reserve
from akshi_mesh.revocations import Revocations
from akshi_mesh.stamps import Stamps
from akshi_mesh.switchboard import Switchboard
from akshi_mesh.transport.links import Links
from akshi_mesh.trust_book import TrustBook
from akshi_mesh.trust_effects import TrustEffects
from akshi_mesh.whose_work import WhoseWork
from identity.keys import SigningKey
from sync.author import Author
from sync.mesh import Mesh
from sync.proto.journals import Journals
from sync.proto.tasks import Tasks
from sync.store.journals import Journals as JournalTables
from sync.store.journals_view import View
from sync.store.tasks import TaskTables

AGENT_GENERATION = 0  # the first key of each agent; rotation would count up


@dataclass(frozen=True, slots=True)
class Outward:
    """The node as its peers know it."""

    tables: TaskTables
    view: View
    agent_keys: dict[str, SigningKey]
    reserve: Reserve
    audit: AuditLog
    receipts: Receipts
    trust: TrustBook
    work: WhoseWork
    policy: NodePolicy
    switchboard: Switchboard
    mesh: Mesh
    links: Links
    grants: GrantDesk
    effects: TrustEffects
    revocations: Revocations
    reconciler: Reconciler


def outward(config: Config, home: Home, ground: Ground) -> Outward:
    """Trust first, then the engines that ask it, then the links that carry what they say."""
    key, database, network = ground.key, ground.database, config.mesh.network
    me, tables, view = key.public_key, TaskTables(ground.database), View(ground.database)
    book = GrantBook(database, me=me, network=network)
    trust = TrustBook(home.path, now_ms=lambda: mesh.tasks.clock_high_ms(now()), grants=book)
    trust.reserve = reserve = Reserve(home.path / "reserve")
    audit = AuditLog(database, draw=secrets.token_bytes, wall_ms=wall_ms, reserve=reserve)
    trust.precede(noting(audit))
    receipts = Receipts(database, audit, me=me, wall_ms=wall_ms)
    agent_keys = {a.name: key.derive_agent(a.name, AGENT_GENERATION) for a in config.agents}
    switchboard, policy = (
        Switchboard(me=me, wall_ms=wall_ms),
        NodePolicy(config, me=me, trust=trust),
    )
    random = Random(secrets.randbits(128))  # noqa: S311 - jitter only
    authors = [Author(k, network=network, nonce=nonce) for k in (key, *agent_keys.values())]
    epoch = nonce()
    journals = _journals(ground, network, policy, authors, epoch)
    tasks = Tasks(store=tables, author=authors[0], policy=policy, random=random, witness=receipts)
    mesh = _mesh(ground, network, tasks, journals, switchboard, epoch)
    book.load(trust.now_ms())
    grants = GrantDesk(
        key, book, trust, lambda: effects, audit, network=network, nonce=nonce, wall_ms=wall_ms
    )
    links = _links(ground, network, trust, switchboard, random, grants)
    effects = TrustEffects(me=me, mesh=mesh, links=links, trust=trust)
    trust.listen(effects.changed)
    return Outward(
        tables=tables,
        view=view,
        agent_keys=agent_keys,
        reserve=reserve,
        audit=audit,
        receipts=receipts,
        trust=trust,
        work=WhoseWork(key.did, trust),
        policy=policy,
        switchboard=switchboard,
        mesh=mesh,
        links=links,
        grants=grants,
        effects=effects,
        revocations=_revocations(ground, trust, switchboard, view),
        reconciler=_reconciler(ground, network, receipts, switchboard),
    )


def _journals(
    ground: Ground, network: str, policy: NodePolicy, authors: list[Author], epoch: bytes
) -> Journals:
    by_key = {author.public_key: author for author in authors}
    with ground.database.transaction():
        return Journals(
            JournalTables(ground.database, network=network),
            me=ground.key.public_key,
            network=network,
            run=epoch,
            policy=policy,
            authors=by_key.get,
            random=secrets.SystemRandom(),
            now=now(),
        )


def _mesh(  # noqa: PLR0917 - one caller, which names them all
    ground: Ground,
    network: str,
    tasks: Tasks,
    journals: Journals,
    voice: Switchboard,
    epoch: bytes,
) -> Mesh:
    """Both engines over one database."""
    return Mesh(
        me=ground.key.public_key,
        network=network,
        epoch=epoch,
        database=ground.database,
        tasks=tasks,
        journals=journals,
        voice=voice,
        clock=now,
    )


def _links(  # noqa: PLR0917 - one caller, which names them all
    ground: Ground,
    network: str,
    trust: TrustBook,
    sink: Switchboard,
    random: Random,
    grants: GrantDesk,
) -> Links:
    return Links(
        key=ground.key,
        network=network,
        trust=lambda peer, _: trust.lookup(peer),
        stamps=Stamps(ground.database, clock_us=lambda: time.time_ns() // 1_000),
        sink=sink,
        wall_ms=wall_ms,
        random=random,
        grants=grants,
    )


def _revocations(
    ground: Ground, trust: TrustBook, switchboard: Switchboard, view: View
) -> Revocations:
    return Revocations(
        ground.database, trust, linked=lambda: switchboard.is_linked, is_author=view.is_author
    )


def _reconciler(
    ground: Ground, network: str, receipts: Receipts, switchboard: Switchboard
) -> Reconciler:
    return Reconciler(
        ground.key,
        ground.database,
        receipts,
        switchboard.send,
        network=network,
        nonce=nonce,
        wall_ms=wall_ms,
    )
