"""The desk of a node that does not run, for who holds the lock of its home."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager

from akshi_mesh.audit.log import SCHEMA as AUDIT_SCHEMA
from akshi_mesh.audit.log import AuditLog
from akshi_mesh.config.model import Config
from akshi_mesh.home import Home
from akshi_mesh.reserve import Reserve
from akshi_mesh.secrets.desk import Desk
from akshi_mesh.secrets.start import SCHEMA, Secrets, open_vault
from sync.store.database import Database


@contextmanager
def offline_desk(home: Home, config: Config) -> Iterator[Desk]:
    """Changes are recorded in the node's own audit log. Raises as `open_vault` and `Database`."""
    vault = open_vault(home)
    database = Database.open(
        str(home.database_path),
        schemas=[*AUDIT_SCHEMA, SCHEMA],
        durability=config.mesh.durability,
    )
    try:
        audit = AuditLog(
            database,
            draw=secrets.token_bytes,
            wall_ms=_now_ms,
            reserve=Reserve(home.path / "reserve"),
        )
        yield Secrets.over(vault, config, database=database, audit=audit, now_ms=_now_ms).desk
    finally:
        database.close()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
