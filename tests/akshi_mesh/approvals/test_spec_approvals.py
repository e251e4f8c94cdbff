"""docs/spec/approvals.md says what the code does, to the byte."""

import hashlib
import re
from pathlib import Path

from akshi_mesh.approvals import seen
from akshi_mesh.approvals.message import Answer
from identity import SigningKey
from identity.envelope import Kind, open_envelope, seal
from sandbox import approval_life, approvals
from sandbox.approval_life import Approval, Standing
from tests.sandbox.questions import REQUEST, SUBJECT, question

PAGE = (Path(__file__).parents[3] / "docs" / "spec" / "approvals.md").read_text()
OPERATOR, NODE = (SigningKey.from_seed(bytes(range(n, n + 32))) for n in (0, 32))
NOW_MS = 1_800_000_000_000


def examples() -> dict[str, bytes]:
    found = {}
    for name, block in re.findall(r"^```hex (\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        found[name] = bytes.fromhex("".join(line.partition("#")[0] for line in block.splitlines()))
    return found


def test_every_byte_of_the_page_is_recomputed() -> None:
    page = examples()
    assert page.keys() == {"subject", "hash", "question", "answer", "envelope"}
    assert page["subject"] == SUBJECT.to_cbor()
    assert f"`{REQUEST.decode()}`" in PAGE
    label = b"akshi-mesh/approval-subject/1\0"
    assert page["hash"] == SUBJECT.hash == hashlib.sha256(label + page["subject"]).digest()
    row = Approval.asked("apr-0011223344556677", question(), now_ms=NOW_MS)
    assert page["question"] == row.to_cbor()
    answer = Answer(row.id, SUBJECT.hash, approves=True)
    assert page["answer"] == answer.to_cbor()
    assert page["envelope"] == seal(
        OPERATOR,
        kind=Kind.APPROVAL,
        body=page["answer"],
        network="akshi",
        nonce=bytes(range(16)),
        issued_ms=NOW_MS,
        expires_ms=row.expires_ms,
        audience=NODE.public_key,
    )
    opened = open_envelope(page["envelope"], network="akshi", me=NODE.public_key, now_ms=NOW_MS)
    assert Answer.from_cbor(opened.body) == answer


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    words = " ".join(PAGE.split())
    assert f"at most {approvals.TEXT_BYTES_MAX} bytes of UTF-8" in words
    assert f"{approval_life.PENDING_PER_AGENT_MAX} open questions an agent" in words
    assert approval_life.PAUSE_MS == 2_000
    assert approval_life.PAUSE_MS_MAX == 600_000
    assert approval_life.MEMORY_MS == 3_600_000
    assert f"of more than {approvals.SECRETS_MAX}" in words
    assert f"at most {approvals.SHOWN_BYTES_MAX:,} bytes" in words
    assert f"at most {seen.PER_PEER_MAX} questions of one peer" in words
    assert f"every {seen.RETRY_S:.0f} s" in words
    for standing in Standing:
        assert standing.value in PAGE
