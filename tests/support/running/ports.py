"""Ports on loopback for processes with a setting for their address.

They are below the range from which the kernel takes ports for outgoing connections, so that no connection gets one by
chance while the process that it is meant for is starting or restarting. No port is given twice until all have been:
each process that runs tests goes round in a part of the range that is its own.
"""

import os
import random
import socket
from collections.abc import Iterator
from itertools import cycle

_LOWEST, _HIGHEST = 20_000, 32_000


def _own_ports(worker: str, workers: int) -> Iterator[int]:
    """The ports of one of so many workers, over and over, from a place in them that differs from run to run."""
    number = int(worker.removeprefix("gw") or 0)
    ports = range(_LOWEST + number, _HIGHEST, workers)
    start = random.SystemRandom().randrange(len(ports))
    return cycle([*ports[start:], *ports[:start]])


_ports = _own_ports(os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def free_port() -> int:
    """A port without a listener."""
    while True:
        port = next(_ports)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
