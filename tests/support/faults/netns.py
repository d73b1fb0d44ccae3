"""A network of our own: the calling thread, and every program that it starts, see only its loopback device.

The model is unshare(2) and setns(2); Python has them from 3.12 on.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
MTU = 1500


@contextmanager
def own_network() -> Iterator[None]:
    """Be in a new network namespace, with loopback packets of a usual size."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_LIBC.unshare(_CLONE_NEWNET))
        try:
            _run("ip", "link", "set", "lo", "mtu", str(MTU), "up")
            yield
        finally:
            _check(_LIBC.setns(home, _CLONE_NEWNET))
    finally:
        os.close(home)


@contextmanager
def dropped(port: int, *match: str) -> Iterator[None]:
    """Drop packets from and to this TCP port that iptables' ``match`` selects."""
    rules = [["INPUT", "-p", "tcp", way, str(port), *match, "-j", "DROP"] for way in ("--dport", "--sport")]
    for rule in rules:
        _run("iptables", "-A", *rule)
    try:
        yield
    finally:
        for rule in rules:
            _run("iptables", "-D", *rule)


@contextmanager
def slow(bits_per_second: int, queue_bytes: int) -> Iterator[None]:
    """Let the loopback device send no faster; packets above so many bytes that wait are dropped."""
    limit = ["rate", f"{bits_per_second}bit", "burst", str(2 * MTU), "limit", str(queue_bytes)]
    _run("tc", "qdisc", "add", "dev", "lo", "root", "tbf", *limit)
    try:
        yield
    finally:
        _run("tc", "qdisc", "del", "dev", "lo", "root")


def _check(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
