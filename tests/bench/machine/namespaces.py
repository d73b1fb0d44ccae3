"""Two network namespaces, one for the clients and one for the servers, joined by one cable that counts.

What crosses the cable is all that the two sides exchange: headers, handshakes and acknowledgements included. Needs root
and iproute2.
"""

import os
import subprocess
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self

SERVER_ADDRESS = "10.77.0.2"
CLIENT_ADDRESS = "10.77.0.1"
_CABLE = {"client": "dsbench-c", "server": "dsbench-s"}


class Side(StrEnum):
    """An end of the cable; the value is part of its namespace's name."""

    CLIENT = "client"
    SERVER = "server"

    @property
    def namespace(self) -> str:
        """The name of its network namespace."""
        return f"dirsync-bench-{self.value}"


class Crossed(NamedTuple):
    """Bytes that crossed the cable."""

    up: int
    """From the client to the server."""
    down: int


class Network:
    """The namespaces and the cable, for as long as the context lasts."""

    def __enter__(self) -> Self:
        for side in Side:
            _ip("netns", "delete", side.namespace, check=False)  # what an earlier run left
            _ip("netns", "add", side.namespace)
        client, server = Side.CLIENT.namespace, Side.SERVER.namespace
        ends = (_CABLE["client"], "netns", client, "type", "veth", "peer", "name", _CABLE["server"], "netns", server)
        _ip("link", "add", *ends)
        for side, address in ((Side.CLIENT, CLIENT_ADDRESS), (Side.SERVER, SERVER_ADDRESS)):
            _ip("-n", side.namespace, "address", "add", f"{address}/24", "dev", _CABLE[side.value])
            for device in (_CABLE[side.value], "lo"):
                _ip("-n", side.namespace, "link", "set", device, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for side in Side:
            _ip("netns", "delete", side.namespace, check=False)

    def shape(self, rate: str, delay: str) -> None:
        """Make the cable as slow as ``rate`` and each way as long as ``delay``, in the words of tc(8)."""
        for side in Side:
            device = _CABLE[side.value]
            told = ("qdisc", "replace", "dev", device, "root", "netem", "rate", rate, "delay", delay)
            subprocess.run(["ip", "netns", "exec", side.namespace, "tc", *told], check=True)

    def unshape(self) -> None:
        """Make the cable as fast as it was."""
        for side in Side:
            told = ("qdisc", "delete", "dev", _CABLE[side.value], "root")
            subprocess.run(["ip", "netns", "exec", side.namespace, "tc", *told], check=True)

    def crossed(self) -> Crossed:
        """Bytes so far."""
        command = ["ip", "netns", "exec", Side.CLIENT.namespace, "cat", "/proc/net/dev"]
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
            name, _, numbers = line.partition(":")
            if name.strip() == _CABLE["client"]:
                received, sent = (int(numbers.split()[at]) for at in (0, 8))
                return Crossed(sent, received)
        raise AssertionError("the cable is not there")

    def inode(self, side: Side) -> int:
        """The number by which a process of this side is recognised: that of its network namespace."""
        return os.stat(Path("/run/netns") / side.namespace).st_ino


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)
