"""Addresses: what is written is what is read, and nothing else is an address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akshi_mesh.transport.address import Address, PeerAddress
from akshi_mesh.transport.errors import MalformedAddress
from tests.akshi_mesh.transport.world import key_of

DID = str(key_of(1).did)
NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]{1,5})?", fullmatch=True)
HOSTS = NAMES | st.ip_addresses().map(str)


@given(HOSTS, st.integers(0, 0xFFFF))
def test_parse_and_str_are_inverse(host: str, port: int) -> None:
    address = Address(host, port)
    assert Address.parse(str(address)) == address
    peer = PeerAddress(key_of(1).did, address)
    assert PeerAddress.parse(str(peer)) == peer


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_malformed(text: str) -> None:
    for parse in (Address.parse, PeerAddress.parse):
        try:
            value = parse(text)
        except MalformedAddress:
            continue
        assert parse(str(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        *("", "host", "host:", ":1", "host:65536", "host:01", "host:-1", "host:1x", "::1:4820"),
        *("[host]:1", "[::1]", "a b:1", "http://a:1", "-a:1", "a" * 254 + ":1", "a/b:1", "a@b:1"),
    ],
)
def test_what_is_not_an_address(text: str) -> None:
    with pytest.raises(MalformedAddress):
        Address.parse(text)


def test_a_peer_may_come_without_an_address() -> None:
    assert PeerAddress.parse(DID) == PeerAddress(key_of(1).did)
    assert str(PeerAddress.parse(DID)) == DID
    with pytest.raises(MalformedAddress):
        PeerAddress.parse(DID + "@")
    with pytest.raises(MalformedAddress):
        PeerAddress.parse("did:web:example.org@a:1")
