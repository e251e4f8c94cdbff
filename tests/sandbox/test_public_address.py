"""Only what is global unicast is public."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.public_address import why_not_public

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2001:4860:4860::8888",
    "2a00:1450:4001::200e",
)
NOT_PUBLIC = {
    "0.0.0.0": "this network",
    "0.1.2.3": "this network",
    "10.0.0.1": "private",
    "100.64.0.1": "carrier",
    "100.100.100.200": "carrier",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "168.63.129.16": "Azure",
    "169.254.169.254": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.0.0.192": "protocols",
    "192.0.2.1": "documentation",
    "192.88.99.1": "6to4",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarking",
    "198.51.100.1": "documentation",
    "203.0.113.1": "documentation",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::ffff:8.8.8.8": "IPv4",
    "::8.8.8.8": "IPv4",
    "64:ff9b::7f00:1": "NAT64",
    "64:ff9b::808:808": "NAT64",
    "64:ff9b:1::1": "NAT64",
    "100::1": "discarded",
    "2001::1": "Teredo",
    "2001:10::1": "protocols",
    "2001:db8::1": "documentation",
    "2002:7f00:1::1": "6to4",
    "3fff::1": "documentation",
    "4000::1": "not global",
    "5f00::1": "not global",
    "fc00::1": "unique-local",
    "fd00:ec2::254": "unique-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "interface",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}


@pytest.mark.parametrize("text", PUBLIC)
def test_the_public_internet(text: str) -> None:
    assert why_not_public(ip_address(text)) is None


@pytest.mark.parametrize(("text", "why"), NOT_PUBLIC.items())
def test_everything_else_is_named(text: str, why: str) -> None:
    assert why in (why_not_public(ip_address(text)) or "")


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_nothing_is_public_that_the_standard_library_calls_otherwise(
    address: IPv4Address | IPv6Address,
) -> None:
    if why_not_public(address) is None:
        assert address.is_global
        assert not address.is_multicast
