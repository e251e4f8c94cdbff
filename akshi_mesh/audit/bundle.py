"""What a bundle of one task holds: the records about it with their proofs, and who signed what.

records.json                 records and proofs
evidence/network             the network that every envelope is signed for
evidence/result.cbor         the RESULT, signed by who did the task
evidence/receipt.cbor        the RECEIPT that names it, signed by who asked
evidence/other.cbor          what contradicts them, if anything does
"""

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.errors import NoTask
from akshi_mesh.audit.export import File, selection
from akshi_mesh.audit.note import checkpoint_of
from akshi_mesh.audit.receipts import of_task

TASK_ID_DIGITS = 64


def task_files(book: AuditBook, note: bytes, task: str, *, network: str) -> list[File]:
    """The files of a bundle about `task`, 64 hex digits.

    Raises:
        NoTask: not an id, or no record that `note` covers is about it.
    """
    try:
        task_id = bytes.fromhex(task) if len(task) == TASK_ID_DIGITS else b""
    except ValueError:
        task_id = b""
    size = checkpoint_of(note).size
    seqs = [seq for seq in book.of_task(task_id) if seq <= size] if task_id else []
    if not seqs:
        raise NoTask(task)
    return [*selection(book, note, seqs), *_evidence(book, task_id, network)]


def _evidence(book: AuditBook, task_id: bytes, network: str) -> list[File]:
    files: list[File] = []
    for held in of_task(book.database, task_id):
        named = (("result", held.result), ("receipt", held.receipt), ("other", held.other))
        files += [(f"evidence/{name}.cbor", data) for name, data in named if data]
    return [("evidence/network", network.encode()), *files] if files else []
