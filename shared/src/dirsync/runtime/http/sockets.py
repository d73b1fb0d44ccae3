"""Sockets that listen on an address, on both families of IP where there are both.

A cluster may give its pods addresses of either family, and a prober may resolve ``localhost`` to either. So both
wildcards listen on everything, whichever one is written, and ``localhost`` is both loopback addresses.
"""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack

from dirsync.runtime.config.addresses import Address

_LOOPBACKS = ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"))
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)
"""Errors if this machine has no such address or family."""

_Place = tuple[socket.AddressFamily, str]


def listening_sockets(address: Address, backlog: int) -> list[socket.socket]:
    """Listen on every address that ``address`` stands for and this machine has, all with one port.

    Raises:
        OSError: there is none, or one of them is taken.
    """
    with ExitStack() as opened:
        sockets: list[socket.socket] = []
        lacking: OSError | None = None
        port = address.port
        for family, host in _places(address):
            try:
                listener = opened.enter_context(_bind(family, host, port))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                lacking = lacking or error
                continue
            port = listener.getsockname()[1]
            sockets.append(listener)
            if address.is_wildcard:
                break  # one socket takes both families
        if not sockets:
            raise lacking or OSError(errno.EADDRNOTAVAIL, "no address has this name")
        for listener in sockets:
            listener.listen(backlog)
        opened.pop_all()
        return sockets


def has_ipv6_loopback() -> bool:
    """Whether this machine has the address ``::1``."""
    try:
        _bind(socket.AF_INET6, "::1", 0).close()
    except OSError:
        return False
    return True


def _places(address: Address) -> Iterator[_Place]:
    if address.is_wildcard:
        yield from ((socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0"))  # noqa: S104 - as the setting says
    elif address.is_localhost:
        yield from _LOOPBACKS
    else:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        yield from dict.fromkeys((family, str(place[0])) for family, _, _, _, place in found)


def _bind(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener
