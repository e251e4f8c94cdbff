"""The written forms of a key: PKCS#8 as openssl writes it, and the sealed one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity import cbor, key_file
from identity.errors import MalformedKey, PassphraseNeeded, WrongPassphrase

SEED = bytes(range(32))
# RFC 8410 §10.3 gives this key as its example.
RFC_8410 = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
"""
RFC_8410_SEED = "d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842"


@pytest.fixture(scope="module")
def sealed() -> bytes:
    """One sealed key for all tests: stretching costs 0.4 s."""
    return key_file.write_sealed(SEED, "correct horse", salt=b"s" * 16, nonce=b"n" * 24)


def read(data: bytes, passphrase: str | None = None) -> bytes:
    return key_file.read(data, passphrase, path="node_key.pem")


def test_the_example_of_rfc_8410() -> None:
    assert read(RFC_8410).hex() == RFC_8410_SEED
    assert key_file.write_plain(bytes.fromhex(RFC_8410_SEED)) == RFC_8410


@given(st.binary(min_size=32, max_size=32))
def test_plain_is_read_back(seed: bytes) -> None:
    assert read(key_file.write_plain(seed)) == seed


def test_sealed_is_read_back_with_its_passphrase_only(sealed: bytes) -> None:
    assert read(sealed, "correct horse") == SEED
    with pytest.raises(PassphraseNeeded) as needed:
        read(sealed)
    assert needed.value.hint == "--passphrase"
    with pytest.raises(WrongPassphrase):
        read(sealed, "correct horse ")


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(MalformedKey, match="empty passphrase"):
        key_file.write_sealed(SEED, "", salt=bytes(16), nonce=bytes(24))


def content_of(pem: bytes) -> bytes:
    return base64.b64decode("".join(pem.decode().splitlines()[1:-1]))


def pem(content: bytes, label: str = "AKSHI SEALED PRIVATE KEY") -> bytes:
    text = base64.b64encode(content).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (1, 2),
        (1, True),
        (2, b"s" * 15),
        (2, "s" * 16),
        (3, 0),
        (3, 17),
        (3, True),
        (4, 8191),
        (4, (1 << 30) + 1),  # a file must not be able to stop the machine
        (4, None),
        (5, b"n" * 23),
        (6, bytes(47)),
        (7, 0),
    ],
)
def test_a_sealed_key_that_asks_for_something_else_is_malformed(
    sealed: bytes, field: int, value: object
) -> None:
    fields = cbor.loads(content_of(sealed))
    assert isinstance(fields, dict)
    with pytest.raises(MalformedKey):
        read(pem(cbor.dumps({**fields, field: value})), "correct horse")  # type: ignore[dict-item]


@pytest.mark.parametrize("content", [b"", b"\x80", b"\xa0", b"\xff"])
def test_a_sealed_key_that_is_no_map_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedKey):
        read(pem(content), "correct horse")


PLAIN = key_file.write_plain(SEED)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        PLAIN + PLAIN,
        PLAIN + b"\n",
        b"\n" + PLAIN,
        PLAIN.replace(b"\n", b"\r\n"),
        PLAIN.replace(b"PRIVATE", b"PUBLIC"),
        PLAIN.replace(b"BEGIN PRIVATE", b"BEGIN RSA PRIVATE"),
        PLAIN.replace(b"MC4C", b"MC!C"),
        PLAIN.replace(b"MC4C", b"MC4D"),
        PLAIN.replace(b"MC4C", b"MC4"),
        pem(content_of(PLAIN) + b"\x00", "PRIVATE KEY"),
        pem(content_of(PLAIN)[:-1], "PRIVATE KEY"),
        # an X25519 key: 1.3.101.110
        pem(content_of(PLAIN).replace(b"\x2b\x65\x70", b"\x2b\x65\x6e"), "PRIVATE KEY"),
    ],
)
def test_what_is_neither_form_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedKey):
        read(data, "correct horse")


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda c: pem(c, "PRIVATE KEY")))
def test_any_bytes_give_a_seed_or_malformed(data: bytes) -> None:
    try:
        seed = read(data)
    except (MalformedKey, PassphraseNeeded):
        return
    assert key_file.write_plain(seed) == data


@given(st.integers(0, len(PLAIN) - 1), st.integers(1, 255))
def test_one_changed_byte_is_malformed_or_another_key(at: int, flip: int) -> None:
    changed = PLAIN[:at] + bytes([PLAIN[at] ^ flip]) + PLAIN[at + 1 :]
    try:
        assert read(changed) != SEED
    except MalformedKey:
        return
