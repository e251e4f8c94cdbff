"""Errors of the packages below, as an operator is told them."""

from akshi_mesh.api.errors import BadRequest, ControlError, Damaged, Denied, NotKnown
from akshi_mesh.transport.errors import TransportError
from identity.errors import IdentityError, NotTrusted, TrustRefused
from sandbox.errors import AgentUnavailable, SandboxError, UnknownAgent
from sync.errors import DatabaseDamaged, SyncError, UnknownTask

FAMILIES = (IdentityError, SandboxError, SyncError, TransportError)


def told(error: IdentityError | SandboxError | SyncError | TransportError) -> ControlError:
    """`error` with the exit code and HTTP status of the one whose turn it is."""
    match error:
        case NotTrusted() | TrustRefused():
            kind: type[ControlError] = Denied
        case UnknownAgent() | UnknownTask():
            kind = NotKnown
        case AgentUnavailable():
            kind = Denied
        case DatabaseDamaged():
            kind = Damaged
        case SyncError():
            kind = Denied
        case _:
            kind = BadRequest
    return kind(str(error), hint=error.hint or "")
