"""The configuration of a node, once everything in it has been checked."""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from akshi_mesh.config.errors import Problem
from akshi_mesh.inference.routes import RouterSpec
from akshi_mesh.transport.address import Address, PeerAddress
from identity.did import Did
from sandbox.agent_spec import AgentSpec
from sandbox.endpoint import Url
from sandbox.risk import RiskTable
from sandbox.risk_defaults import DEFAULTS
from sandbox.secrets import SecretSource
from sandbox.spend import Money

LISTEN_DEFAULT = Address("127.0.0.1", 4820)
NETWORK_DEFAULT = "akshi"
RETENTION_DAYS_DEFAULT = 365
RETENTION_DAYS_MAX = 36_500
AGENTS_MAX = 64
JOURNALS_MAX = 1_024  # guess: names are dealt out by people
PEERS_MAX = 1_024  # as many as discovery may ever find
WEBHOOK_TIMEOUT_S = 30.0

LogLevel = Literal["trace", "debug", "info", "warn", "error"]
LogFormat = Literal["pretty", "json", "compact"]
SandboxLevel = Literal["jail", "process"]
Scope = Literal["local", "mesh"]
Durability = Literal["normal", "power"]


@dataclass(frozen=True, slots=True)
class MeshConfig:
    """Where we listen (None: nowhere), in which network, and whom we dial."""

    listen: Address | None = LISTEN_DEFAULT
    network: str = NETWORK_DEFAULT
    peers: tuple[PeerAddress, ...] = ()
    durability: Durability = "normal"


@dataclass(frozen=True, slots=True)
class JournalConfig:
    """Whether the entries of one journal leave this node."""

    name: str
    scope: Scope = "local"


@dataclass(frozen=True, slots=True)
class TelemetryConfig:
    """How much is logged, and in which form; `traces` is whether tasks can be replayed."""

    log_level: LogLevel = "info"
    log_format: LogFormat = "pretty"
    traces: bool = True


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """The least isolation under which agents may start."""

    minimum: SandboxLevel = "jail"


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """How long the audit log keeps what its records say; that they were there, for ever."""

    audit_retention_days: int = RETENTION_DAYS_DEFAULT


@dataclass(frozen=True, slots=True)
class ApprovalConfig:
    """Who beside this node may answer what its agents ask; each must be trusted, too."""

    operators: tuple[Did, ...] = ()


@dataclass(frozen=True, slots=True)
class WebhookSpec:
    """A rail that asks an endpoint of the operator's to pay."""

    name: str
    url: Url
    timeout_s: float = WEBHOOK_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class SpendConfig:
    """What holds for all agents: the node's daily cap, and the rails beside the ledger."""

    daily: Money | None = None
    rails: tuple[WebhookSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """All of runtime.toml. `source` is the file it came from, None if there was none.

    `notes` are the things that are not wrong but that the owner wants to know.
    """

    mesh: MeshConfig = field(default_factory=MeshConfig)
    sandbox: SandboxConfig = field(default_factory=SandboxConfig)
    telemetry: TelemetryConfig = field(default_factory=TelemetryConfig)
    agents: tuple[AgentSpec, ...] = ()
    journals: tuple[JournalConfig, ...] = ()
    notes: tuple[Problem, ...] = ()
    source: str | None = None
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    approval: ApprovalConfig = field(default_factory=ApprovalConfig)
    spend: SpendConfig = field(default_factory=SpendConfig)
    secrets: tuple[SecretSource, ...] = ()
    risks: RiskTable = DEFAULTS
    router: RouterSpec = field(default_factory=RouterSpec)
    embeddings: str | None = None  # directory of the model that search by meaning uses

    def with_command_line(self, *, listen: str | None, peers: tuple[str, ...]) -> Self:
        """What was typed wins over what was written: `listen` replaces, `peers` are added.

        Raises:
            MalformedAddress: not an address, or not a DID before it.
        """
        added = tuple(PeerAddress.parse(peer) for peer in peers)
        mesh = replace(
            self.mesh,
            listen=self.mesh.listen if listen is None else parse_listen(listen),
            peers=tuple(dict.fromkeys(self.mesh.peers + added)),
        )
        return replace(self, mesh=mesh)


def parse_listen(text: str) -> Address | None:
    """The address to bind; the word `off` means none.

    Raises:
        MalformedAddress: neither an address nor `off`.
    """
    return None if text == "off" else Address.parse(text)
