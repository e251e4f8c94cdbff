"""One key, one spelling: did:key against published vectors, strangers' text, and multiformats."""

import base58
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import Did
from identity.errors import IdentityError, MalformedDid
from tests.strategies import dids
from tests.vectors.load import vectors

GOOD = "did:key:z6MktKwz7Ge1Yxzr4JHavN33wiwa8y81QdcMRLXQsrH9T53b"


def spelled(content: bytes) -> str:
    return "did:key:z" + base58.b58encode(content).decode()


@given(dids)
def test_parse_and_str_are_inverse(did: Did) -> None:
    assert Did.parse(str(did)) == did


@given(st.binary(min_size=32, max_size=32))
def test_every_32_bytes_have_a_did_of_one_length(key: bytes) -> None:
    assert Did.parse(str(Did(key))).public_key == key


@given(st.text() | st.text("123456789ABCDEFabcdefz").map("did:key:z6Mk".__add__))
def test_any_text_gives_a_did_or_malformed(text: str) -> None:
    try:
        did = Did.parse(text)
    except MalformedDid:
        return
    assert str(did) == text


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="utf-8"))
def test_one_changed_character_is_another_key_or_malformed(at: int, character: str) -> None:
    changed = GOOD[:at] + character + GOOD[at + 1 :]
    try:
        assert (Did.parse(changed) == Did.parse(GOOD)) == (changed == GOOD)
    except MalformedDid:
        assert changed != GOOD


@pytest.mark.parametrize("did", vectors("did_key")["valid"])
def test_published_dids_are_read(did: str) -> None:
    assert str(Did.parse(did)) == did


@pytest.mark.parametrize("case", vectors("did_key")["invalid"], ids=lambda case: case["why"])
def test_published_mistakes_are_refused(case: dict[str, str]) -> None:
    with pytest.raises(MalformedDid):
        Did.parse(case["did"])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "want did:key:z"),
        (GOOD.replace("key", "web"), "want did:key:z"),
        (GOOD.upper(), "want did:key:z"),
        (GOOD + "#" + GOOD[8:], "are too many"),
        (GOOD + "#key", "not base58"),
        # The library forgives white space at the end; we do not.
        (GOOD + "\n", "one spelling"),
        (GOOD[:-1], "32 bytes|not an ed25519"),
        (GOOD + "1", "32 bytes|not an ed25519"),
        (" " + GOOD, "want did:key:z"),
        (GOOD[:-1] + "0", "not base58"),
        (GOOD[:-1] + "é", "not base58"),
        # X25519 keys have DIDs too; ours are of Ed25519 only.
        (spelled(b"\xec\x01" + bytes(32)), "not an ed25519"),
        (spelled(b"\xed\x02" + bytes(32)), "not an ed25519"),
        # base58 reads these as zero bytes in front, which are no part of an Ed25519 key.
        ("did:key:z" + "1" * 47, "not an ed25519"),
        ("did:key:z1" + GOOD[10:], "not an ed25519"),
    ],
)
def test_what_is_not_the_one_spelling_is_refused(text: str, why: str) -> None:
    with pytest.raises(MalformedDid, match=why):
        Did.parse(text)


@pytest.mark.parametrize("text", [None, 7, GOOD.encode()])
def test_only_text_is_parsed(text: object) -> None:
    with pytest.raises(MalformedDid):
        Did.parse(text)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), bytearray(32)])
def test_a_did_of_another_length_cannot_exist(key: bytes) -> None:
    with pytest.raises(MalformedDid, match="32 bytes"):
        Did(key)


def test_a_refusal_is_one_short_line() -> None:
    with pytest.raises(IdentityError) as refused:
        Did.parse("did:key:z" + "1\n" * 1000)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


@given(dids)
def test_multiformats_reads_the_same_key(did: Did) -> None:
    from multiformats import multibase, multicodec

    codec, raw = multicodec.unwrap(multibase.decode(str(did).removeprefix("did:key:")))
    assert (codec.name, raw) == ("ed25519-pub", did.public_key)
    assert codec.code == vectors("did_key")["multicodec"]["ed25519-pub"]
