"""Which IP addresses belong to the public internet, and why the others do not.

An agent that may fetch from the world must not reach the machine it runs on, the network
around it or the metadata service of its cloud, however their addresses are dressed up.
Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries, RFC 6890, RFC 6052, RFC 8215.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

_IPV4: Final = tuple(
    (IPv4Network(network), why)
    for network, why in {
        "0.0.0.0/8": "this network",
        "10.0.0.0/8": "private",
        "100.64.0.0/10": "shared with a carrier",
        "127.0.0.0/8": "loopback",
        "168.63.129.16/32": "the host of an Azure machine",
        "169.254.0.0/16": "link-local",
        "172.16.0.0/12": "private",
        "192.0.0.0/24": "reserved for protocols",
        "192.0.2.0/24": "documentation",
        "192.88.99.0/24": "a 6to4 relay",
        "192.168.0.0/16": "private",
        "198.18.0.0/15": "benchmarking",
        "198.51.100.0/24": "documentation",
        "203.0.113.0/24": "documentation",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
    }.items()
)
_IPV6: Final = tuple(
    (IPv6Network(network), why)
    for network, why in {
        "::/128": "unspecified",
        "::1/128": "loopback",
        "::ffff:0:0/96": "an IPv4 address in IPv6",
        "::/96": "an IPv4 address in IPv6",
        "64:ff9b::/96": "NAT64",
        "64:ff9b:1::/48": "NAT64",
        "100::/64": "discarded",
        "2001::/32": "Teredo",
        "2001::/23": "reserved for protocols",
        "2001:db8::/32": "documentation",
        "2002::/16": "6to4",
        "3fff::/20": "documentation",
        "fc00::/7": "unique-local",
        "fe80::/10": "link-local",
        "fec0::/10": "site-local",
        "ff00::/8": "multicast",
    }.items()
)
_GLOBAL = IPv6Network("2000::/3")  # all that has ever been given out for global unicast


def why_not_public(address: IPv4Address | IPv6Address) -> str | None:
    """What is wrong with `address` as a place in the public internet, or None.

    >>> why_not_public(IPv4Address("127.0.0.1"))
    'loopback'
    """
    if isinstance(address, IPv4Address):
        special = next((why for network, why in _IPV4 if address in network), None)
        return special or (None if address.is_global else "not global")
    if address.scope_id is not None:
        return "bound to an interface"
    special = next((why for network, why in _IPV6 if address in network), None)
    return special or (None if address in _GLOBAL and address.is_global else "not global")
