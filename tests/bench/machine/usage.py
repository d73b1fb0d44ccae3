"""What all processes of one side take: their processor time, and the most memory of any moment, by frequent looks."""

import os
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple

from tests.bench.machine.namespaces import Network, Side

_PERIOD_SECONDS = 0.03
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Use(NamedTuple):
    """What one side took."""

    cpu_seconds: float
    peak_bytes: int


class _Process(NamedTuple):
    side: Side
    cpu_seconds: float
    resident_bytes: int


class Usage:
    """Looks from its making until :meth:`stop`. Time that a process had taken before does not count."""

    def __init__(self, network: Network) -> None:
        self._sides = {network.inode(side): side for side in Side}
        self._before = {pid: process.cpu_seconds for pid, process in self._look().items()}
        self._cpu: dict[int, tuple[Side, float]] = {}
        self._peak = dict.fromkeys(Side, 0)
        self._ended = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> dict[Side, Use]:
        """Look once more; what each side took."""
        self._ended.set()
        self._thread.join()
        self._note()
        cpu = dict.fromkeys(Side, 0.0)
        for pid, (side, seconds) in self._cpu.items():
            cpu[side] += seconds - self._before.get(pid, 0.0)
        return {side: Use(cpu[side], self._peak[side]) for side in Side}

    def _run(self) -> None:
        while not self._ended.wait(_PERIOD_SECONDS):
            self._note()

    def _note(self) -> None:
        resident = dict.fromkeys(Side, 0)
        for pid, process in self._look().items():
            self._cpu[pid] = process.side, process.cpu_seconds
            resident[process.side] += process.resident_bytes
        for side, size in resident.items():
            self._peak[side] = max(self._peak[side], size)

    def _look(self) -> dict[int, _Process]:
        found: dict[int, _Process] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    side = self._sides.get(os.stat(f"/proc/{name}/ns/net").st_ino)
                    if side is not None:
                        found[int(name)] = _read(name, side)
                except OSError:
                    continue  # it ended meanwhile
        return found


def _read(pid: str, side: Side) -> _Process:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return _Process(side, (int(fields[11]) + int(fields[12])) / _TICKS, pages * _PAGE)
