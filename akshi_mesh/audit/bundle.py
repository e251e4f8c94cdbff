"""What a bundle of one task holds: the records about it, each with its proof."""

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.errors import NoTask
from akshi_mesh.audit.export import File, selection
from akshi_mesh.audit.note import checkpoint_of

TASK_ID_DIGITS = 64


def task_files(book: AuditBook, note: bytes, task: str) -> list[File]:
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
    return selection(book, note, seqs)
