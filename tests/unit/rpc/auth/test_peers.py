"""Networks of peers, from what gRPC writes."""

import pytest

from dirsync.rpc.auth.peers import ELSEWHERE, network_of


@pytest.mark.case("K11")
@pytest.mark.parametrize(
    "peer, network",
    [
        ("ipv4:192.0.2.1:50000", "192.0.2.1"),
        ("ipv6:[2001:db8:1:2:3:4:5:6]:50000", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2:ffff::1]:1", "2001:db8:1:2::/64"),
        ("ipv6:[fe80::1%eth0]:50000", "fe80::/64"),
        ("ipv6:[::ffff:192.0.2.1]:50000", "192.0.2.1"),
        ("ipv6:[::1]:50000", "::/64"),
        ("unix:", ELSEWHERE),
        ("unix:/run/dirsync", ELSEWHERE),
        ("", ELSEWHERE),
        ("something:new", ELSEWHERE),
    ],
)
def test_networks(peer: str, network: str) -> None:
    """A host is one network however it changes its port or the part of its address that is its own."""
    assert network == network_of(peer)
