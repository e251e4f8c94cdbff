"""How the parts of a node are joined: what it is to its peers, what it is to its agents."""

from collections.abc import Awaitable, Callable

from akshi_mesh.audit.keeper import Keeper
from akshi_mesh.audit.notary import Notary
from akshi_mesh.compose_agents import Inward, inward
from akshi_mesh.compose_mesh import Outward, outward
from akshi_mesh.config.model import Config
from akshi_mesh.ground import Ground, nonce, now, wall_ms
from akshi_mesh.home import Home
from akshi_mesh.parts import Parts
from akshi_mesh.upkeep import Upkeep

Service = Callable[..., Awaitable[object]]


def compose(config: Config, home: Home, ground: Ground) -> tuple[Parts, list[Service]]:
    """All parts, joined; and the services to start, in order."""
    mesh = outward(config, home, ground)
    agents = inward(config, home, ground, mesh)
    mesh.switchboard.connect(
        mesh.mesh,
        mesh.links,
        agents.attempts,
        mesh.revocations,
        agents.approvals,
        reconciler=mesh.reconciler,
    )
    parts = _parts(config, home, ground, mesh, agents)
    return parts, [
        Keeper.over(parts).run,
        agents.tools.run,
        agents.fetcher.run,
        agents.supervisor.run,
        agents.attempts.run,
        mesh.switchboard.run,
        Upkeep(parts).run,
        mesh.effects.run,
        agents.secrets.broker.run,
        agents.approvals.run,
    ]


def _parts(config: Config, home: Home, ground: Ground, mesh: Outward, agents: Inward) -> Parts:
    """What commands ask."""
    return Parts(
        config=config,
        home=home,
        key=ground.key,
        agent_keys=mesh.agent_keys,
        clock=now,
        nonce=nonce,
        database=ground.database,
        tables=mesh.tables,
        view=mesh.view,
        finder=agents.finder,
        mesh=mesh.mesh,
        trust=mesh.trust,
        grants=mesh.grants,
        links=mesh.links,
        effects=mesh.effects,
        switchboard=mesh.switchboard,
        supervisor=agents.supervisor,
        audit=mesh.audit,
        notary=Notary(ground.database, ground.key, wall_ms=wall_ms),
        reserve=mesh.reserve,
        receipts=mesh.receipts,
        reconciler=mesh.reconciler,
        secrets=agents.secrets,
        modules=agents.modules,
        traces=agents.traces,
        approvals=agents.approvals,
        purse=agents.purse,
        tools=agents.tools,
        host=ground.host,
        refusal=ground.refusal,
        started=now(),
        warnings=[str(problem) for problem in config.notes],
    )
