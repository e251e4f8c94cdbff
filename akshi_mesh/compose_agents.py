"""What agents reach: the inventory of every power behind the gate, in one place."""

import hashlib
import os
import secrets
from dataclasses import dataclass

from akshi_mesh.agent_ports import AgentLog, Diaries, Errands, Memory
from akshi_mesh.approvals.office import ApprovalOffice, Around
from akshi_mesh.attempts import Attempts
from akshi_mesh.compose_mesh import AGENT_GENERATION, Outward
from akshi_mesh.config.model import Config
from akshi_mesh.embeddings import embedder_of
from akshi_mesh.finder import Finder
from akshi_mesh.ground import Ground, nonce, now, wall_ms
from akshi_mesh.home import Home
from akshi_mesh.inference.router import Router
from akshi_mesh.mcp.pins import Pins
from akshi_mesh.mcp.servers import Servers
from akshi_mesh.mcp.transports import environment, http_client
from akshi_mesh.modules import Modules
from akshi_mesh.secrets.start import Secrets
from akshi_mesh.spend.purse import Purse
from akshi_mesh.spend.rails import Rail
from akshi_mesh.spend.switch import SWITCH_VARIABLE, is_switched_on
from akshi_mesh.traces import Traces
from akshi_mesh.waits import Waits
from sandbox.host.boundary import Boundary, Ports
from sandbox.host.compile import Compiler
from sandbox.host.databases import Databases
from sandbox.host.supervisor import Supervisor
from sandbox.net.fetcher import Fetcher
from sandbox.outside import SecretsPort

CACHE_KEY = b"akshi-mesh aot 1"


@dataclass(frozen=True, slots=True)
class Inward:
    """The node as its agents know it."""

    secrets: Secrets
    approvals: ApprovalOffice
    purse: Purse
    fetcher: Fetcher
    tools: Servers
    finder: Finder
    modules: Modules
    traces: Traces
    supervisor: Supervisor
    attempts: Attempts


def inward(config: Config, home: Home, ground: Ground, mesh: Outward) -> Inward:
    """Every port of the sandbox, then the agents behind them."""
    held = Secrets.over(
        ground.vault, config, database=ground.database, audit=mesh.audit, now_ms=wall_ms
    )
    approvals = ApprovalOffice(
        ground.database, mesh.audit, config.approval, _around(config, ground, mesh)
    )
    purse = _purse(config, ground, mesh, held.broker)
    fetcher = Fetcher(held.broker, payments=purse)
    tools = _tools(config, home, ground, mesh, held.broker)
    finder = Finder(mesh.mesh, ground.database, embedder_of(config.embeddings))
    modules = Modules(ground.database, mesh.audit, wall_ms=wall_ms)
    databases = Databases(home.databases_path, durability=config.mesh.durability)
    keys, waits = mesh.agent_keys, Waits(mesh.policy.slots)
    ports = Ports(
        Memory(mesh.mesh, mesh.tables.calls),
        Errands(mesh.mesh, mesh.tables, mesh.switchboard, now, waits, scope_of=mesh.work.scope_of),
        Diaries(mesh.mesh, mesh.view, finder, lambda name: keys[name].public_key, now),
        mesh.audit,
        AgentLog(),
        modules,
        approvals=approvals.desk,
        purse=purse,
        http=fetcher,
        secrets=held.broker,
        bounds=mesh.work,
        databases=databases,
        models=Router(config.router, held.broker),
        tools=tools,
    )
    supervisor, traces = (
        _supervisor(config, home, ground, mesh, ports),
        Traces(ground.database, are_kept=config.telemetry.traces),
    )
    return Inward(
        secrets=held,
        approvals=approvals,
        purse=purse,
        fetcher=fetcher,
        tools=tools,
        finder=finder,
        modules=modules,
        traces=traces,
        supervisor=supervisor,
        attempts=Attempts(mesh.mesh, supervisor, databases, traces, now),
    )


def _around(config: Config, ground: Ground, mesh: Outward) -> Around:
    """What questions to people need of the mesh."""
    return Around(
        key=ground.key,
        network=config.mesh.network,
        is_trusted=lambda peer: mesh.trust.lookup(peer) is not None,
        send=mesh.switchboard.send,
        clock=now,
        stored_ms=mesh.tables.clock_high_ms(),
        nonce=nonce,
        draw=secrets.token_bytes,
    )


def _purse(config: Config, ground: Ground, mesh: Outward, broker: SecretsPort) -> Purse:
    budgets = {spec.name: spec.spend for spec in config.agents}
    return Purse(
        ground.database,
        mesh.audit,
        policy_of=budgets.get,
        wall_ms=wall_ms,
        rails=_rails(config, broker),
        node_cap=config.spend.daily,
        forced=is_switched_on(os.environ.get(SWITCH_VARIABLE)),
        reserve=mesh.reserve,
    )


def _rails(config: Config, broker: SecretsPort) -> dict[str, Rail]:
    """Who pays. The client that asks them is loaded where there is one to ask."""
    if not config.spend.rails:
        return {}
    from akshi_mesh.spend.webhook import WebhookRail

    return {rail.name: WebhookRail(rail, broker) for rail in config.spend.rails}


def _tools(
    config: Config, home: Home, ground: Ground, mesh: Outward, broker: SecretsPort
) -> Servers:
    """The MCP servers of the agents. None of them starts before an agent asks for it."""
    pins = Pins(ground.database, mesh.audit, me=str(ground.key.did), wall_ms=wall_ms)
    hidden = [str(path) for path in (home.path, home.socket_path.parent)]
    return Servers(
        config.agents,
        pins,
        hidden=hidden,
        environ=environment(),
        client=http_client(broker),
        secrets=broker,
    )


def _supervisor(
    config: Config, home: Home, ground: Ground, mesh: Outward, ports: Ports
) -> Supervisor:
    """The agents, and the border they call across."""
    boundary = Boundary(
        ports,
        me=str(ground.key.did),
        resolve=lambda petname: _did_of(mesh, petname),
        wall_ms=wall_ms,
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


def _did_of(mesh: Outward, petname: str) -> str | None:
    trusted = mesh.trust.store.by_petname(petname)
    return str(trusted.did) if trusted else None
