"""docs/spec/audit.md says what the code does, to the byte."""

import re
from pathlib import Path

from akshi_mesh.audit.log import leaf_of
from akshi_mesh.audit.note import Checkpoint, verification_key
from akshi_mesh.audit.reconcile import Page, Question, Row
from identity.keys import SigningKey
from sandbox.audit import AuditRecord, Event
from sync import merkle

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "audit.md").read_text()
KEY = SigningKey.from_seed(bytes(range(32)))


def block(kind: str, name: str) -> str:
    found = re.search(rf"^```{kind} {name}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, name
    return found[1]


def hex_of(name: str) -> bytes:
    lines = [line.partition("#")[0] for line in block("hex", name).splitlines()]
    return bytes.fromhex("".join(lines).replace(" ", ""))


def test_the_record_and_its_leaf_are_those_of_the_page() -> None:
    record = AuditRecord.from_cbor(hex_of("record"))
    assert (record.event, record.code) == (Event.TRUST, "added")
    assert dict(record.facts) == {"subject": "did:key:z6Mk", "rights": "a2a:*"}
    assert leaf_of(bytes(range(16)), record.to_cbor()) == hex_of("leaf")


def test_the_checkpoint_is_that_of_the_page() -> None:
    note = block("text", "checkpoint").encode()
    checkpoint = Checkpoint.open(note, KEY.public_key)
    assert (checkpoint.size, checkpoint.root) == (1, merkle.root([hex_of("leaf")]))
    assert checkpoint.signed(KEY) == note
    assert block("text", "key").strip() == verification_key(KEY.public_key)


def test_the_messages_are_those_of_the_page() -> None:
    assert Question().to_cbor() == hex_of("question")
    (row,) = Page.from_cbor(hex_of("page")).rows
    assert row == Row(
        b"\x11" * 32,
        False,
        "completed",
        b"\x22" * 32,
        b"\x33" * 32,
        b"\x44" * 32,
        b"\x55" * 32,
        1_700_000_000_000,
        "agreed",
    )
    assert Page((row,)).to_cbor() == hex_of("page")


def test_every_event_is_on_the_page() -> None:
    for event in Event:
        assert f"`{event.value}`" in PAGE, event
