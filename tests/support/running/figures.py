"""What a running process takes: memory, processor time, descriptors, and how quickly it answers over HTTP."""

import os
import time
from pathlib import Path

from tests.support.running.programs import Process


def peak_kib(pid: int) -> int:
    """The most memory that a process had at once, in KiB."""
    return _figure(pid, "VmHWM")


def resident_kib(pid: int) -> int:
    """Its memory now, in KiB."""
    return _figure(pid, "VmRSS")


def descriptors(pid: int) -> int:
    """How many it has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def cpu_seconds(pid: int) -> float:
    """Processor time that all of its threads have taken so far."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def answer_seconds(process: Process, path: str = "/livez") -> float:
    """How long it takes to answer one question."""
    started = time.monotonic()
    process.get(path)
    return time.monotonic() - started


def _figure(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
