"""The parts of a running node, put together once in `node.py` and asked by its controls."""

from collections.abc import Callable
from dataclasses import dataclass, field

from akshi_mesh.approvals.office import ApprovalOffice
from akshi_mesh.audit.log import AuditLog
from akshi_mesh.audit.notary import Notary
from akshi_mesh.audit.receipts import Receipts
from akshi_mesh.audit.reconciler import Reconciler
from akshi_mesh.config.model import Config
from akshi_mesh.finder import Finder
from akshi_mesh.grant_desk import GrantDesk
from akshi_mesh.home import Home
from akshi_mesh.mcp.servers import Servers
from akshi_mesh.modules import Modules
from akshi_mesh.reserve import Reserve
from akshi_mesh.secrets.start import Secrets
from akshi_mesh.spend.purse import Purse
from akshi_mesh.switchboard import Switchboard
from akshi_mesh.traces import Traces
from akshi_mesh.transport.address import Address
from akshi_mesh.transport.links import Links
from akshi_mesh.trust_book import TrustBook
from akshi_mesh.trust_effects import TrustEffects
from identity.did import Did
from identity.keys import SigningKey
from sandbox.host.scan import HostReport
from sandbox.host.supervisor import Supervisor
from sync.clock import Moment
from sync.mesh import Mesh
from sync.store.database import Database
from sync.store.journals_view import View
from sync.store.tasks import TaskTables


@dataclass(slots=True)
class Parts:
    """Everything a command may ask of the node. Only `node.py` makes one."""

    config: Config
    home: Home
    key: SigningKey
    agent_keys: dict[str, SigningKey]
    clock: Callable[[], Moment]
    nonce: Callable[[], bytes]
    database: Database
    tables: TaskTables
    view: View
    finder: Finder
    mesh: Mesh
    trust: TrustBook
    grants: GrantDesk
    links: Links
    effects: TrustEffects
    switchboard: Switchboard
    supervisor: Supervisor
    audit: AuditLog
    notary: Notary
    reserve: Reserve
    receipts: Receipts
    reconciler: Reconciler
    secrets: Secrets
    modules: Modules
    traces: Traces
    approvals: ApprovalOffice
    purse: Purse
    tools: Servers
    host: HostReport
    refusal: str | None
    started: Moment
    bound: Address | None = None
    ready_s: float = 0.0
    warnings: list[str] = field(default_factory=list)

    @property
    def me(self) -> bytes:
        return self.key.public_key

    @property
    def did(self) -> Did:
        return self.key.did

    def name_of(self, public_key: bytes) -> str:
        """How people call this node: `self`, its petname, or its DID."""
        if public_key == self.me:
            return "self"
        return self.trust.store.name_of(public_key)
