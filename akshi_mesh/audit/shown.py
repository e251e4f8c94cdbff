"""Records as people and other programs get them: one JSON object each."""

from collections.abc import Iterator

from akshi_mesh.api.shapes import AuditLine
from akshi_mesh.audit.book import AuditBook, Kept
from akshi_mesh.audit.log import SALT_BYTES
from sandbox.audit import AuditRecord


class ExportedRecord(AuditLine):
    """A record with what its leaf in the tree is made of: SHA-256(0x00 ‖ salt ‖ record)."""

    leaf: str
    salt: str
    record: str


def shown(seq: int, record: AuditRecord) -> AuditLine:
    """`record`, the number `seq` of its log."""
    return {
        "seq": seq,
        "at_ms": record.at_ms,
        "until_ms": record.until_ms,
        "event": record.event.value,
        "agent": record.agent,
        "originator": record.originator,
        "task_id": record.task_id.hex(),
        "number": record.number,
        "function": record.function,
        "code": record.code,
        "detail": record.detail,
        "request_hash": record.request_hash.hex(),
        "count": record.count,
        "facts": dict(record.facts),
    }


def exported(
    book: AuditBook, *, size: int, agent: str | None, since_ms: int | None, until_ms: int | None
) -> Iterator[ExportedRecord]:
    """The first `size` records, as far as they still say something and are asked for."""
    for kept in book.kept(book.pruned_through + 1, size):
        if _is_wanted(kept, agent, since_ms, until_ms):
            assert kept.record is not None, "what is not pruned has its record"
            salt, record = kept.entry[:SALT_BYTES], kept.entry[SALT_BYTES:]
            line = shown(kept.seq, kept.record)
            yield {**line, "leaf": kept.leaf.hex(), "salt": salt.hex(), "record": record.hex()}


def _is_wanted(kept: Kept, agent: str | None, since_ms: int | None, until_ms: int | None) -> bool:
    record = kept.record
    return (
        record is not None
        and (agent is None or record.agent == agent)
        and (since_ms is None or record.until_ms >= since_ms)
        and (until_ms is None or record.at_ms < until_ms)
    )
