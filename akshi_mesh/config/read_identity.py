"""[identity]: how long the audit log keeps what its records say."""

from akshi_mesh.config.model import (
    RETENTION_DAYS_DEFAULT,
    RETENTION_DAYS_MAX,
    IdentityConfig,
)
from akshi_mesh.config.section import Section


def read_identity(root: Section) -> IdentityConfig:
    """The section, or its defaults."""
    identity = root.table("identity")
    if identity is None:
        return IdentityConfig()
    days = identity.whole("audit_retention_days", RETENTION_DAYS_DEFAULT)
    if not 1 <= days <= RETENTION_DAYS_MAX:
        identity.wrong("audit_retention_days", f"must be 1 to {RETENTION_DAYS_MAX}, not {days}")
    identity.gone("key_path", "the home holds the key: akshi-node init")
    identity.close()
    return IdentityConfig(days)
