"""docs/spec/envelope.md and tests/vectors/envelopes.json say what the code does, to the byte."""

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from identity import Did, Kind, SigningKey, cose, envelope, errors, open_envelope, seal, verify
from identity.keys import SignedFormat
from tests.vectors.load import vectors

PAGE = (Path(__file__).parents[2] / "docs" / "spec" / "envelope.md").read_text()
OURS = vectors("envelopes")
AUTHOR = SigningKey.from_seed(bytes.fromhex(OURS["author_seed"]))
AUDIENCE = SigningKey.from_seed(bytes.fromhex(OURS["audience_seed"]))
NOW_MS, NETWORK = OURS["now_ms"], OURS["network"]


def examples() -> dict[str, bytes]:
    """The blocks of the page that begin with ```hex NAME; after a # stands what it means."""
    found = {}
    for name, block in re.findall(r"^```hex (\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        found[name] = bytes.fromhex("".join(line.partition("#")[0] for line in block.splitlines()))
    return found


def test_every_byte_of_the_page_is_recomputed() -> None:
    page = examples()
    assert page.keys() == {"author", "audience", "envelope", "signed", "id"}
    assert page["author"] == AUTHOR.public_key
    assert page["audience"] == AUDIENCE.public_key
    assert PAGE.count(str(Did(page["author"]))) == PAGE.count(str(Did(page["audience"]))) == 1
    assert page["envelope"] == seal(
        AUTHOR,
        kind=Kind.RECEIPT,
        body=b"\x80",
        network=NETWORK,
        nonce=bytes(range(16)),
        issued_ms=NOW_MS,
        audience=AUDIENCE.public_key,
    )
    verify(page["author"], page["signed"], cose.split(page["envelope"]).signature)
    assert page["id"] == hashlib.sha256(b"\x00" + page["signed"]).digest()
    assert page["id"] == envelope.envelope_id(page["envelope"], network=NETWORK)


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    assert f"{envelope.ENVELOPE_BYTES_MAX:,} bytes" in PAGE
    assert envelope.SKEW_MS == 5 * 60_000
    assert envelope.TASK_LIFE_MS_MAX == 7 * 86_400_000
    assert envelope.APPROVAL_LIFE_MS_MAX == 25 * 3_600_000
    assert envelope.QUESTION_LIFE_MS_MAX == 3_600_000
    for kind in Kind:
        assert f"`{kind.value}`" in PAGE
    assert SignedFormat.COSE.value.hex() in PAGE.replace(" ", "")
    assert f"`{SignedFormat.NOTE.value.decode()}`" in PAGE
    assert f"`{SignedFormat.JWS.value.decode()}`" in PAGE


@pytest.mark.parametrize("case", OURS["opened"], ids=lambda case: case["kind"])
def test_our_vectors_are_sealed_and_opened(case: dict[str, Any]) -> None:
    as_bytes = ("nonce", "audience", "in_reply_to", "body")
    fields = {
        name: bytes.fromhex(value) if name in as_bytes else value
        for name, value in case.items()
        if name not in ("kind", "envelope", "id")
    }
    data = seal(AUTHOR, kind=Kind(case["kind"]), network=NETWORK, **fields)
    assert data.hex() == case["envelope"]
    opened = open_envelope(data, network=NETWORK, me=AUDIENCE.public_key, now_ms=NOW_MS)
    assert opened.id.hex() == case["id"]
    assert opened.author == AUTHOR.public_key
    for name, value in fields.items():
        assert getattr(opened, name) == value


def test_there_is_a_vector_of_every_kind() -> None:
    assert {case["kind"] for case in OURS["opened"]} == {kind.value for kind in Kind}


@pytest.mark.parametrize("case", OURS["refused"], ids=lambda case: case["what"])
def test_our_vectors_are_refused_for_their_reason(case: dict[str, str]) -> None:
    with pytest.raises(errors.IdentityError) as refused:
        open_envelope(
            bytes.fromhex(case["envelope"]), network=NETWORK, me=AUDIENCE.public_key, now_ms=NOW_MS
        )
    assert type(refused.value).__name__ == case["error"]
