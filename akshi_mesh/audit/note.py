"""Checkpoints of the audit log as C2SP signed notes: text, blank line, signature lines.

    akshi.log/z6Mk…          origin, which is also the name of the key
    1234                     how many records
    <base64>                 the root of the Merkle tree over them

    — akshi.log/z6Mk… <base64 of key id ‖ signature>

Spec: docs/spec/audit.md; c2sp.org/signed-note, c2sp.org/tlog-checkpoint.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final, Self

from akshi_mesh.audit.errors import MalformedNote, NoteUnsigned
from identity.did import Did
from identity.errors import BadSignature
from identity.keys import SignedFormat, SigningKey, verify
from sync.merkle import HASH_BYTES

ED25519: Final = b"\x01"  # c2sp.org/signed-note, "Signature types"
KEY_ID_BYTES: Final = 4
NOTE_BYTES_MAX: Final = 16_384
_DASH: Final = "\u2014 "
_DID: Final = "did:key:"


def origin_of(public_key: bytes) -> str:
    """The name of the log, and of the key, of the node with this key."""
    return SignedFormat.NOTE.value.decode() + str(Did(public_key)).removeprefix(_DID)


def key_id(name: str, public_key: bytes) -> bytes:
    """The 4 bytes that say which key of that name signed."""
    named = name.encode() + b"\n" + ED25519 + public_key
    return hashlib.sha256(named).digest()[:KEY_ID_BYTES]


def verification_key(public_key: bytes) -> str:
    """The key as other people's tools want it: name+id+base64."""
    name = origin_of(public_key)
    encoded = base64.b64encode(ED25519 + public_key).decode()
    return f"{name}+{key_id(name, public_key).hex()}+{encoded}"


def open_note(data: bytes, *, name: str, public_key: bytes) -> str:
    """The text of a note that `public_key` signed under `name`. Other signatures are ignored.

    Raises:
        MalformedNote: it is no signed note.
        NoteUnsigned: no line of that key, or one that does not verify.
    """
    text, lines = _split(data)
    wanted = key_id(name, public_key)
    good = False
    for line in lines:
        signer, _, encoded = line.removeprefix(_DASH).partition(" ")
        signature = _decoded(encoded)
        if not line.startswith(_DASH) or not signer or len(signature) <= KEY_ID_BYTES:
            raise MalformedNote("a signature line is malformed")
        if signer == name and signature[:KEY_ID_BYTES] == wanted:
            try:
                verify(public_key, text.encode(), signature[KEY_ID_BYTES:])
            except BadSignature as failure:
                raise NoteUnsigned(name) from failure
            good = True
    if not good:
        raise NoteUnsigned(name)
    return text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The first `size` records of the log `origin` have this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def signed(self, key: SigningKey) -> bytes:
        """The note, signed by the log's own key."""
        assert self.origin == origin_of(key.public_key), "a log has one key"
        text = self.text.encode()
        signature = key.sign_as(SignedFormat.NOTE, text)
        line = base64.b64encode(key_id(self.origin, key.public_key) + signature).decode()
        return text + f"\n{_DASH}{self.origin} {line}\n".encode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a note.

        Raises:
            MalformedNote: not three lines that say this, in the one way to say it.
        """
        lines = text.split("\n")
        if len(lines) != len(("origin", "size", "root", "")) or not lines[0]:
            raise MalformedNote("want three lines")
        root = _decoded(lines[2])
        if not lines[1].isascii() or not lines[1].isdigit() or len(lines[1]) > len(str(1 << 63)):
            raise MalformedNote("the size is no number")
        parsed = cls(lines[0], int(lines[1]), root)
        if len(root) != HASH_BYTES or parsed.text != text:
            raise MalformedNote("the size or the root is not written as it must be")
        return parsed

    @classmethod
    def open(cls, data: bytes, public_key: bytes) -> Self:
        """A checkpoint of the node with this key, its signature checked.

        Raises:
            MalformedNote, NoteUnsigned: as `open_note`; or it is of another log.
        """
        name = origin_of(public_key)
        checkpoint = cls.parse(open_note(data, name=name, public_key=public_key))
        if checkpoint.origin != name:
            raise MalformedNote(f"it is of the log {checkpoint.origin}")
        return checkpoint


def checkpoint_of(data: bytes) -> Checkpoint:
    """What a note says, whoever signed it. Believe it only where no key is known.

    Raises:
        MalformedNote: it is no checkpoint.
    """
    return Checkpoint.parse(_split(data)[0])


def _split(data: bytes) -> tuple[str, list[str]]:
    if len(data) > NOTE_BYTES_MAX:
        raise MalformedNote("it is too long")
    try:
        whole = data.decode()
    except UnicodeDecodeError as failure:
        raise MalformedNote("it is not utf-8") from failure
    if any(character < " " and character != "\n" for character in whole):
        raise MalformedNote("it has a control character")
    before, blank, after = whole.rpartition("\n\n")
    if not blank or not after.endswith("\n"):
        raise MalformedNote("no signatures")
    return before + "\n", after[:-1].split("\n")


def _decoded(encoded: str) -> bytes:
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as failure:
        raise MalformedNote("bad base64") from failure
    if base64.b64encode(data).decode() != encoded:
        raise MalformedNote("bad base64")
    return data
