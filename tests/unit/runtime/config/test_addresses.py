"""How addresses and targets are written."""

import pytest

from dirsync.runtime.config.addresses import Address, Target


@pytest.mark.parametrize(
    "text, host, port, loopback",
    [
        ("127.0.0.1:50051", "127.0.0.1", 50051, True),
        ("127.8.9.1:0", "127.8.9.1", 0, True),
        ("localhost:1", "localhost", 1, True),
        ("[::1]:50051", "::1", 50051, True),
        ("[::ffff:127.0.0.1]:1", "::ffff:7f00:1", 1, True),
        ("0.0.0.0:65535", "0.0.0.0", 65535, False),
        ("[::]:1", "::", 1, False),
        ("10.0.0.1:1", "10.0.0.1", 1, False),
        ("server.example:1", "server.example", 1, False),
        ("localhost.example:1", "localhost.example", 1, False),
    ],
)
def test_address(text: str, host: str, port: int, loopback: bool) -> None:
    """An address is a host and a port, and knows whether it is on this host only."""
    address = Address.parse(text)

    assert (host, port, loopback) == (*address, address.is_loopback)
    assert address == Address.parse(str(address))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "server",
        ":50051",
        "server:",
        "server:x",
        "server:65536",
        "server:-1",
        "::1:5",
        "[::1]",
        "[x]:1",
        "a b:1",
        "a/b:1",
    ],
)
def test_address_refused(text: str) -> None:
    """What is no host and port is refused."""
    with pytest.raises(ValueError, match="host:port"):
        Address.parse(text)


@pytest.mark.parametrize(
    "text, loopback",
    [
        ("127.0.0.1:50051", True),
        ("[::1]:50051", True),
        ("server:50051", False),
        ("dns:///localhost:50051", True),
        ("dns:///server:50051", False),
        ("dns://8.8.8.8/localhost:50051", True),
        ("dns:localhost:50051", True),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", True),
        ("ipv4:127.0.0.1:1,10.0.0.2:2", False),
        ("ipv6:[::1]:1", True),
        ("unix:/run/dirsync.sock", True),
        ("unix:///run/dirsync.sock", True),
        ("xds:///server", False),
    ],
)
def test_target(text: str, loopback: bool) -> None:
    """A target is anything that gRPC resolves; what is not surely loopback is not."""
    target = Target.parse(text)

    assert (text, loopback) == (str(target), target.is_loopback)


@pytest.mark.parametrize(
    "text",
    [
        "server",
        "http:server",
        "50051",
        "unix:",
        "unix:/run/",
        "a b:1",
        "server:0",
        "dns:///server",
        "dns:///",
        "dns://8.8.8.8",
        "dns:server",
        "ipv4:server:1",
        "ipv4:[::1]:1",
        "ipv4:127.0.0.1",
        "ipv4:127.0.0.1:1,",
        "ipv6:127.0.0.1:1",
        "passthrough:///server:1",
        "google-c2p:///server",
        "256.0.0.1:1",
        "127.0.1:1",
        "0x7f.1:1",
        "user@server:1",
        "server:1?x",
    ],
)
def test_target_refused(text: str) -> None:
    """A bare name is most likely a forgotten port, and gRPC would resolve what it does not know for ever."""
    with pytest.raises(ValueError, match=r"host:port|IP addresses"):
        Target.parse(text)


@pytest.mark.parametrize(
    "text, hint",
    [
        ("http://server:50051", "http:// is no scheme of gRPC: write server:50051"),
        ("https://server:50051/", "https:// is no scheme of gRPC: write server:50051 and turn on TLS"),
        ("grpc://127.0.0.1:50051/a/b", "grpc:// is no scheme of gRPC: write 127.0.0.1:50051"),
        ("tcp://[::1]:50051", "tcp:// is no scheme of gRPC: write [::1]:50051"),
        ("https://user:secret@server:50051", "https:// is no scheme of gRPC: write server:50051 and turn on TLS"),
        ("localhost:50051/", "there is a slash after it: write localhost:50051"),
    ],
)
def test_correction(text: str, hint: str) -> None:
    """Where a URL was given, the message has the address to write."""
    with pytest.raises(ValueError, match=r"host:port") as target:
        Target.parse(text)
    with pytest.raises(ValueError, match=r"host:port") as address:
        Address.parse(text)

    assert (f"; {hint}", f"; {hint}") == (str(target.value)[-len(hint) - 2 :], str(address.value)[-len(hint) - 2 :])


@pytest.mark.parametrize("text", ["0.0.0.0:9101", "[::]:9101"])
def test_wildcard(text: str) -> None:
    """Both wildcards stand for all addresses, so a listener there is reached by the loopback address of IPv4."""
    address = Address.parse(text)

    assert (True, Address("127.0.0.1", 9101)) == (address.is_wildcard, address.from_here)
