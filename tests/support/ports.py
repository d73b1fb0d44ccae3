"""Ports on loopback for processes with a setting for their address.

They are below the range from which the kernel takes ports for outgoing connections, so that no connection gets one by
chance while the process that it is meant for is starting or restarting.
"""

import random
import socket

_LOWEST, _HIGHEST = 20_000, 32_000
_dice = random.SystemRandom()


def free_port() -> int:
    """A port without a listener."""
    while True:
        port = _dice.randrange(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
