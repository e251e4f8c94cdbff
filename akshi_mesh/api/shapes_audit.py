"""What is answered about the audit log and what other nodes say of it."""

from typing import TypedDict


class ListedFinding(TypedDict):
    """One task on which the two logs do not agree."""

    task_id: str
    verdict: str
    why: str
    at_ms: int


class ReconcileReport(TypedDict):
    """How the receipts of two nodes compare. `first` is the earliest task in dispute."""

    peer: str
    agreed: int
    one_sided: int
    contradictory: int
    first: ListedFinding | None
    findings: list[ListedFinding]
