"""The network that a call comes from. Pure."""

import ipaddress

IPV6_PREFIX = 64
"""Bits of an IPv6 address that name a network; the others one host may choose as it likes (RFC 4291, section 2.5.1)."""
ELSEWHERE = "elsewhere"
"""The network of Unix sockets and of every peer that does not parse, so that no spelling of a peer makes a new one."""


def network_of(peer: str) -> str:
    """The network of a peer as gRPC writes it: ``ipv4:192.0.2.1:50000``, ``ipv6:[2001:db8::1]:50000``, ``unix:``.

    An IPv4 address is its own network, also where it is written as an IPv6 one.
    """
    host = peer.partition(":")[2].rpartition(":")[0].strip("[]")
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ELSEWHERE
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
        address = mapped
    return str(address)
