"""Errors of the packages below, as an operator is told them."""

from akshi_mesh.api.errors import BadRequest, ControlError, Damaged, Denied, NotKnown
from akshi_mesh.approvals.errors import NotAnOperator, UnknownApproval
from akshi_mesh.transport.errors import TransportError
from identity.errors import IdentityError, TrustRefused
from sandbox.errors import (
    AgentBusy,
    AgentUnavailable,
    AlreadyVoted,
    ApprovalClosed,
    JailMissing,
    ModuleRefused,
    OtherSubject,
    SandboxError,
    UnknownAgent,
)
from sync.errors import DatabaseDamaged, StoreError, SubmitRefused, SyncError, UnknownTask
from sync.journal_errors import JournalDamaged

FAMILIES = (IdentityError, SandboxError, SyncError, TransportError)


def told(error: IdentityError | SandboxError | SyncError | TransportError) -> ControlError:
    """`error` with the exit code and HTTP status of the one whose turn it is."""
    kind: type[ControlError]
    match error:
        case TrustRefused() | AgentBusy() | SubmitRefused() | StoreError():
            kind = Damaged if isinstance(error, DatabaseDamaged) else Denied
        case JournalDamaged():
            kind = Damaged
        case UnknownAgent() | UnknownTask() | UnknownApproval():
            kind = NotKnown
        case ApprovalClosed() | AlreadyVoted() | OtherSubject() | NotAnOperator():
            kind = Denied
        case AgentUnavailable() | JailMissing() | ModuleRefused():
            kind = Denied
        case _:
            kind = BadRequest
    return kind(str(error), hint=error.hint or "")
