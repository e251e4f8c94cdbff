"""What stands before a node is composed: its store's tables, its clock, its key, its processes."""

import secrets
import time
from dataclasses import dataclass

import trio

from akshi_mesh.approvals.office import SCHEMA as APPROVALS
from akshi_mesh.audit.log import SCHEMA as AUDIT
from akshi_mesh.audit.receipts import SCHEMA as RECEIPTS
from akshi_mesh.grant_book import SCHEMA as GRANTS
from akshi_mesh.mcp.pins import SCHEMA as PINS
from akshi_mesh.modules import SCHEMA as MODULES
from akshi_mesh.revocations import SCHEMA as REVOCATIONS
from akshi_mesh.secrets.start import SCHEMA as SECRETS
from akshi_mesh.secrets.vault import Vault
from akshi_mesh.spend.purse import SCHEMA as SPEND
from akshi_mesh.stamps import SCHEMA as STAMPS
from akshi_mesh.traces import SCHEMA as TRACES
from identity.keys import SigningKey
from sandbox.host.scan import HostReport
from sandbox.host.zygote import Zygote
from sync.clock import Moment
from sync.store.database import Database
from sync.store.journals_schema import JOURNALS_SCHEMA
from sync.store.tasks_schema import SCHEMA as TASKS

SCHEMAS = (
    *TASKS,
    *JOURNALS_SCHEMA,
    *AUDIT,
    *RECEIPTS,
    STAMPS,
    REVOCATIONS,
    *GRANTS,
    SECRETS,
    PINS,
    MODULES,
    TRACES,
    *APPROVALS,
    *SPEND,
)
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Ground:
    """What a node is built on."""

    host: HostReport
    refusal: str | None
    zygote: Zygote
    key: SigningKey
    database: Database
    vault: Vault


def now() -> Moment:
    """Both clocks of this machine."""
    return Moment(mono_s=trio.current_time(), wall_ms=time.time_ns() // 1_000_000)


def wall_ms() -> int:
    """The wall clock of this machine."""
    return time.time_ns() // 1_000_000


def nonce() -> bytes:
    """Random bytes that nobody has used before."""
    return secrets.token_bytes(NONCE_BYTES)
