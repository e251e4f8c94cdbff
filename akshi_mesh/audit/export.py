"""The audit log as files that other people's tools read: c2sp.org/tlog-tiles, and a bundle.

    checkpoint                   the signed note over the first N records
    tile/0/… tile/1/… …          hashes, 256 a file
    tile/entries/…               entries (salt and record) of a tile of level 0
    tile/remaining/…             the same where some were pruned: those are empty

A bundle is all that in one archive, with the DID and the program that checks it. A bundle of a
task has only the records about it, each with its proof, and what both nodes have signed.
"""

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from akshi_mesh.audit.book import AuditBook
from akshi_mesh.audit.errors import ExportTaken, NoRecord
from akshi_mesh.audit.note import checkpoint_of, verification_key
from akshi_mesh.audit.tiles import CHECKPOINT, Tile, entry_bundle, tiles_of
from akshi_mesh.audit.tree import TILE_WIDTH, consistency_path, inclusion_path
from identity.did import Did

SELECTION = "records.json"
VERIFIER = "verify_audit.py"
_README = """\
The audit log of {did}, signed by it.

    python verify_audit.py --did {did} THIS-FILE

Get verify_audit.py from somewhere you trust, not only from in here; it needs Python 3.11 and
PyNaCl. The key as tools for transparency logs want it:

    {key}
"""

File = tuple[str, bytes]


def log_files(book: AuditBook, note: bytes) -> Iterator[File]:
    """Every file of the tiled log that `note` is over; the checkpoint comes last."""
    size = checkpoint_of(note).size
    for tile in tiles_of(size):
        start = tile.number * TILE_WIDTH
        yield tile.name, b"".join(book.hashes(tile.level, start, tile.width))
        if tile.level == 0:
            yield from _entries(book, tile)
    yield CHECKPOINT, note


def _entries(book: AuditBook, tile: Tile) -> Iterator[File]:
    first = tile.number * TILE_WIDTH + 1
    entries = [salt + data for _, _, salt, data in book.rows(first, first + tile.width - 1)]
    if all(entries):
        yield tile.entries_name, entry_bundle(entries)
    elif any(entries):
        yield tile.remaining_name, entry_bundle(entries)


def export_directory(book: AuditBook, note: bytes, directory: Path) -> int:
    """Write the tiled log into `directory`; how many files were written.

    An export of the same log that is there already is brought up to date.

    Raises:
        ExportTaken: there is something else.
    """
    before = directory / CHECKPOINT
    if before.exists():
        if checkpoint_of(before.read_bytes()).origin != checkpoint_of(note).origin:
            raise ExportTaken(directory)
    elif directory.exists() and any(directory.iterdir()):
        raise ExportTaken(directory)
    written = 0
    for name, data in log_files(book, note):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.fresh")
        fresh.write_bytes(data)
        fresh.rename(path)
        written += 1
    return written


def selection(book: AuditBook, note: bytes, seqs: Iterable[int]) -> list[File]:
    """Only these records, each with the proof that it is in the log that `note` is over.

    Raises:
        NoRecord: one of them is not covered by `note`.
    """
    size = checkpoint_of(note).size
    records = [proof(book, seq, size) for seq in seqs]
    return [(SELECTION, json.dumps(records, indent=1).encode()), (CHECKPOINT, note)]


def proof(book: AuditBook, seq: int, size: int) -> dict[str, object]:
    """Record `seq`, and its path to the root over `size` records.

    Raises:
        NoRecord: there is none among the first `size`.
    """
    if not 1 <= seq <= size:
        raise NoRecord(seq, size)
    path = inclusion_path(book, seq - 1, size)
    return {
        "seq": seq,
        "entry": base64.b64encode(book.one(seq).entry).decode(),
        "leaf": base64.b64encode(book.one(seq).leaf).decode(),
        "proof": [base64.b64encode(sibling).decode() for sibling in path],
    }


def growth(book: AuditBook, old_size: int, size: int) -> dict[str, object]:
    """That the first `old_size` of `size` records are the same (RFC 9162 §2.1.4).

    Raises:
        NoRecord: there are fewer.
    """
    if not 1 <= old_size <= size:
        raise NoRecord(old_size, size)
    path = consistency_path(book, old_size, size)
    return {
        "from": old_size,
        "from_root": base64.b64encode(book.root(old_size)).decode(),
        "to": size,
        "proof": [base64.b64encode(node).decode() for node in path],
    }


def write_bundle(path: Path, files: Iterable[File], *, public_key: bytes, at_s: int) -> int:
    """Pack `files`, the DID and the verifier; how many bytes the archive has.

    Raises:
        ExportTaken: `path` exists.
    """
    did = Did(public_key)
    key = verification_key(public_key)
    about = {"did": str(did), "key": key}
    more = [
        ("README.txt", _README.format(did=did, key=key).encode()),
        ("did.json", json.dumps(about, indent=1).encode()),
        (VERIFIER, (Path(__file__).parent / VERIFIER).read_bytes()),
    ]
    try:
        with (
            path.open("xb") as out,
            gzip.GzipFile(fileobj=out, mode="wb", mtime=at_s) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for name, data in (*more, *files):
                member = tarfile.TarInfo(name)
                member.size, member.mtime, member.mode = len(data), at_s, 0o644
                archive.addfile(member, io.BytesIO(data))
    except FileExistsError as failure:
        raise ExportTaken(path) from failure
    return path.stat().st_size
