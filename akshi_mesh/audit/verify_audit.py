#!/usr/bin/env python3
"""Verify an exported audit log. Needs Python 3.11 and PyNaCl, and nothing of the node.

    python verify_audit.py [--did did:key:z6Mk…] [--checkpoint FILE] DIRECTORY-OR-BUNDLE

Give the DID you expect: without it the log only proves that it is its own. A checkpoint that
you kept earlier proves that nothing before it was changed since. Format: c2sp.org/tlog-tiles,
tlog-checkpoint and signed-note; docs/spec/audit.md says what a record is.
"""

import argparse
import base64
import gzip
import hashlib
import json
import sys
import tarfile
import zlib
from pathlib import Path
from typing import Any

from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

DIGITS = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
WIDTH = 256
SALT = 16
BYTES_MAX = 1 << 30  # of one bundle, unpacked


class Wrong(Exception):
    """The log is not what its owner signed."""


# What reading files that somebody may have made up can raise.
MALFORMED = (
    *(Wrong, EOFError, gzip.BadGzipFile, tarfile.TarError, zlib.error, ValueError),
    *(KeyError, TypeError, IndexError, RecursionError),
)


def check(condition: object, why: str) -> None:
    """Raise unless `condition` holds."""
    if not condition:
        raise Wrong(why)


def public_key(suffix: str) -> bytes:
    """The Ed25519 key in `z6Mk…`: base58 of 0xed 0x01 and 32 bytes."""
    number = 0
    check(suffix[:1] == "z", f"not a did:key: {suffix}")
    for digit in suffix[1:]:
        check(digit in DIGITS, f"not a did:key: {suffix}")
        number = number * 58 + DIGITS.index(digit)
    check(number >> 256 == 0xED01, f"not an Ed25519 did:key: {suffix}")
    return (number & ((1 << 256) - 1)).to_bytes(32, "big")


def decode64(text: str) -> bytes:
    """Base64 in the one way to write it."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise Wrong("bad base64") from None
    check(base64.b64encode(data).decode() == text, "base64 that is not written as it must be")
    return data


def open_checkpoint(data: bytes, name: str, key: bytes) -> tuple[int, bytes]:
    """Size and root of a checkpoint that `key` signed as `name`."""
    try:
        text, blank, lines = data.decode().rpartition("\n\n")
    except UnicodeDecodeError:
        raise Wrong("a checkpoint is not text") from None
    text += "\n"
    check(blank and lines.endswith("\n"), "a checkpoint without signatures")
    key_id = hashlib.sha256(f"{name}\n".encode() + b"\x01" + key).digest()[:4]
    signed = 0
    for line in lines[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        signer, _, encoded = rest.partition(" ")
        check(dash == "\u2014" and signer, "a malformed signature line")
        signature = decode64(encoded)
        if signer == name and signature[:4] == key_id:
            try:
                VerifyKey(key).verify(text.encode(), signature[4:])
            except (BadSignatureError, ValueError):
                raise Wrong(f"bad signature of {name}") from None
            signed += 1
    check(signed, f"no signature of {name}")
    parts = text.split("\n")
    check(len(parts) == 4 and parts[0] == name, "the checkpoint is of another log")
    root = decode64(parts[2])
    check(parts[1].isascii() and parts[1].isdigit() and len(root) == 32, "a malformed checkpoint")
    check(str(int(parts[1])) == parts[1], "a malformed checkpoint")
    return int(parts[1]), root


def leaf_hash(entry: bytes) -> bytes:
    """RFC 6962 §2.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 §2.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(hashes: list[bytes]) -> bytes:
    """RFC 6962 §2.1, from the leaves up; a lone last node rises as it is."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=False)
        hashes = [node_hash(a, b) for a, b in pairs] + hashes[len(hashes) & ~1 :]
    return hashes[0]


def root_of_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root to which a proof leads: RFC 9162 §2.1.3.2."""
    check(0 <= index < size, "a record outside of the tree")
    at, last, node = index, size - 1, leaf
    for sibling in path:
        check(last, "a proof that is too long")
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    check(last == 0, "a proof that is too short")
    return node


def place(number: int, width: int) -> str:
    """The end of a tile's name."""
    digits = f"{number:03d}"
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    name = "/".join([f"x{group}" for group in groups[:-1]] + groups[-1:])
    return name if width == WIDTH else f"{name}.p/{width}"


def read_cbor(data: bytes, at: int = 0) -> tuple[Any, int]:
    """One item of the deterministic CBOR that records are made of."""
    check(at < len(data), "a record ends early")
    major, info, at = data[at] >> 5, data[at] & 31, at + 1
    if info >= 24:
        length = 1 << (info - 24)
        check(info < 28 and at + length <= len(data), "a malformed record")
        info, at = int.from_bytes(data[at : at + length], "big"), at + length
    if major in (0, 1):
        return (info if major == 0 else -1 - info), at
    if major in (2, 3):
        check(at + info <= len(data), "a record ends early")
        raw = data[at : at + info]
        return (raw if major == 2 else raw.decode()), at + info
    check(major in (4, 5) and info <= len(data), "a malformed record")
    items: list[Any] = []
    for _ in range(info * (major - 3)):
        item, at = read_cbor(data, at)
        items.append(item)
    return (items if major == 4 else dict(zip(items[::2], items[1::2], strict=True))), at


def read_entries(data: bytes) -> list[bytes]:
    """The entries of a bundle, each behind its length of two bytes."""
    entries, at = list[bytes](), 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        at += 2 + length
        check(at <= len(data), "an entry bundle ends within an entry")
        entries.append(data[at - length : at])
    return entries


def pruned_by(entry: bytes) -> int:
    """How far an entry, if it is of pruning, says that records were dropped."""
    record, end = read_cbor(entry, SALT)
    check(end == len(entry) and isinstance(record, dict), "a malformed record")
    if record.get(2) != "pruned":
        return 0
    return int(record[13]["subject"].split("-")[1])


def check_hashes(files: dict[str, bytes], size: int, root: bytes) -> list[bytes]:
    """The leaf hashes, once every tile is over the ones below it and the root over all."""
    leaves: list[bytes] = []
    below: list[bytes] = []
    level = 0
    while size >> (8 * level):
        count = size >> (8 * level)
        hashes: list[bytes] = []
        for number in range(-(-count // WIDTH)):
            width = min(WIDTH, count - number * WIDTH)
            name = f"tile/{level}/{place(number, width)}"
            check(name in files, f"{name} is missing")
            check(len(files[name]) == 32 * width, f"{name} has the wrong length")
            hashes += [files[name][i : i + 32] for i in range(0, 32 * width, 32)]
        for number, above in enumerate(hashes if level else []):
            under = below[number * WIDTH : (number + 1) * WIDTH]
            check(tree_root(under) == above, f"a hash of level {level} is not over what is below")
        leaves = leaves or hashes
        below, level = hashes, level + 1
    check(tree_root(leaves) == root, "the tree is not the one that was signed")
    return leaves


def check_entries(files: dict[str, bytes], leaves: list[bytes]) -> int:
    """How many entries are there, once each has its hash and the others were pruned."""
    held = last_missing = pruned = 0
    for first in range(0, len(leaves), WIDTH):
        width = min(WIDTH, len(leaves) - first)
        end = place(first // WIDTH, width)
        whole, rest = f"tile/entries/{end}", f"tile/remaining/{end}"
        data = files.get(whole, files.get(rest))
        entries = [b""] * width if data is None else read_entries(data)
        check(len(entries) == width, f"{whole} has a wrong number of entries")
        for index, entry in enumerate(entries, first):
            if not entry:
                last_missing = index + 1
                continue
            check(leaf_hash(entry) == leaves[index], f"record {index + 1} was changed")
            pruned = max(pruned, pruned_by(entry))
            held += 1
    check(last_missing <= pruned, f"record {last_missing} is missing, and was not pruned")
    return held


def check_selection(files: dict[str, bytes], size: int, root: bytes) -> int:
    """Single records with their proofs."""
    found = json.loads(files["records.json"])
    for one in found:
        entry = decode64(one["entry"])
        path = [decode64(sibling) for sibling in one["proof"]]
        proved = root_of_path(leaf_hash(entry), one["seq"] - 1, size, path)
        check(proved == root, f"record {one['seq']} is not in the tree that was signed")
    return len(found)


def cbor_head(major: int, number: int) -> bytes:
    """The shortest beginning of a CBOR item."""
    if number < 24:
        return bytes([major << 5 | number])
    length = next(one for one in (1, 2, 4, 8) if number < 1 << (8 * one))
    info = 23 + length.bit_length()
    return bytes([major << 5 | info]) + number.to_bytes(length, "big")


def open_envelope(data: bytes, network: bytes) -> tuple[str, bytes, dict[int, Any]]:
    """Id, author and payload of a COSE_Sign1 envelope whose signature holds."""
    check(data[:2] == b"\xd2\x84", "evidence that is no envelope")
    (protected, empty, payload, signature), end = read_cbor(data, 1)
    check(end == len(data) and empty == {}, "evidence that is no envelope")
    context = b"\x83\x73akshi-mesh/envelope\x01" + cbor_head(3, len(network)) + network
    signed = b"\x84\x6aSignature1"
    for part in (protected, context, payload):
        signed += cbor_head(2, len(part)) + part
    author = read_cbor(protected)[0][4]
    try:
        VerifyKey(author).verify(signed, signature)
    except (BadSignatureError, ValueError):
        raise Wrong("evidence with a bad signature") from None
    return hashlib.sha256(b"\x00" + signed).hexdigest(), author, read_cbor(payload)[0]


def check_evidence(files: dict[str, bytes], key: bytes) -> int:
    """How many envelopes the records name; each is signed by whom the record says."""
    if "evidence/network" not in files:
        return 0
    opened: dict[str, tuple[str, bytes, dict[int, Any]]] = {}
    for part in ("result", "receipt", "other"):
        if f"evidence/{part}.cbor" in files:
            data = files[f"evidence/{part}.cbor"]
            opened[part] = open_envelope(data, files["evidence/network"])
    named: set[str] = set()
    for one in json.loads(files["records.json"]):
        record = read_cbor(decode64(one["entry"]), SALT)[0]
        facts = record.get(13, {})
        if "role" not in facts:
            continue
        peer = public_key(facts["peer"].removeprefix("did:key:"))
        did, asked = (peer, key) if facts["role"] == "asked" else (key, peer)
        for part, author in (("result", did), ("receipt", asked)):
            if part in opened and facts[part] == opened[part][0]:
                check(opened[part][1] == author, f"the {part} is signed by somebody else")
                named.add(part)
        if "other" in opened:
            digest = hashlib.sha256(files["evidence/other.cbor"]).hexdigest()
            named |= {"other"} if facts.get("other") == digest else set()
        if "result" in opened:
            check(opened["result"][2][6] == record[5], "the result is about another task")
        if {"result", "receipt"} <= opened.keys():
            lines = read_cbor(opened["receipt"][2][7])[0][1]
            result = bytes.fromhex(opened["result"][0])
            check(any(line[:2] == [result, 2] for line in lines), "the receipt names no result")
    check(named == opened.keys(), "evidence that no record names")
    return len(named)


def verify(files: dict[str, bytes], did: str = "", kept: bytes | None = None) -> str:
    """One line about what was proved. Raises Wrong."""
    check("checkpoint" in files, "there is no checkpoint")
    name = files["checkpoint"].split(b"\n")[0].decode(errors="replace")
    check(name.startswith("akshi.log/"), f"the log of nobody we know: {name!r}")
    suffix = name.removeprefix("akshi.log/")
    check(not did or did == f"did:key:{suffix}", f"the log is of did:key:{suffix}, not of {did}")
    key = public_key(suffix)
    size, root = open_checkpoint(files["checkpoint"], name, key)
    envelopes = 0
    if "records.json" in files:
        check(kept is None, "an earlier checkpoint needs the whole log")
        held = check_selection(files, size, root)
        envelopes = check_evidence(files, key)
    else:
        leaves = check_hashes(files, size, root)
        held = check_entries(files, leaves)
        for earlier in [kept] if kept is not None else []:
            old_size, old_root = open_checkpoint(earlier, name, key)
            check(old_size <= size, f"{old_size} records were signed once, {size} are left")
            check(tree_root(leaves[:old_size]) == old_root, "records changed since that checkpoint")
    signed = f", {envelopes} envelopes of both sides" if envelopes else ""
    return f"did:key:{suffix}: {held} of {size} records verified{signed}, root {root.hex()}"


def read(path: Path) -> dict[str, bytes]:
    """Every file of a directory or of a bundle, by name."""
    if path.is_dir():
        return {
            str(one.relative_to(path)): one.read_bytes() for one in path.rglob("*") if one.is_file()
        }
    with tarfile.open(path) as bundle:
        members = [member for member in bundle if member.isfile()]
        check(sum(member.size for member in members) <= BYTES_MAX, "the bundle is too large")
        files: dict[str, bytes] = {}
        for member in members:
            opened = bundle.extractfile(member)
            files[member.name] = opened.read() if opened else b""
        return files


def main() -> int:
    """The command line; 0 or 5."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--did", default="")
    parser.add_argument("--checkpoint", type=Path)
    given = parser.parse_args()
    try:
        kept = given.checkpoint.read_bytes() if given.checkpoint else None
        print(verify(read(given.path), given.did, kept))
    except (OSError, *MALFORMED) as failure:
        print(f"NOT VERIFIED: {failure}", file=sys.stderr)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
