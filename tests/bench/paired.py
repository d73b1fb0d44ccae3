"""Measures a change: two checkouts in turns, on loopback, in processor time: ``python -m tests.bench.paired --help``.

Where other work keeps the machine busy, wall time says nothing. The processor time of whole processes says more, and
the two checkouts take turns, so that what slows the one slows the other.
"""

import argparse
import json
import os
import re
import resource
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.compare import difference
from tests.bench.data import Data
from tests.bench.machine.namespaces import Side
from tests.bench.machine.where import machine
from tests.bench.peers.dirsync import Dirsync
from tests.bench.peers.peer import Peer
from tests.bench.workloads import Step, large, small, sources
from tests.support.running.ports import free_port

_TICKS = os.sysconf("SC_CLK_TCK")
_HERE = Path(__file__).parents[2]


def cold(peer: Peer, data: Data, number: int) -> Iterator[Step]:
    """W4 of a client that remembers nothing of the file."""
    steps = large(peer, data, number)
    yield next(steps)
    shutil.rmtree(peer.state / "client" / "signatures")
    yield "W4 cold", next(steps)[1]


CHAINS = {"large": large, "cold": cold, "small": small, "sources": sources}


class Cost(NamedTuple):
    """What one step took at both ends."""

    client: float
    """Seconds of processor time; whole processes."""
    server: float
    client_kernel: float
    """Those of them that the kernel took."""
    server_kernel: float
    wire_bytes: int
    """Messages, without the headers of the transport."""
    peak_mib: float
    """The most memory that either end has had until then."""


class Checkout(Dirsync):
    """The programs of a checkout, with the packages of this one."""

    def __init__(self, place: Path, checkout: Path) -> None:
        super().__init__(place)
        self._path = ":".join(str(checkout / part / "src") for part in ("shared", "services/server", "services/client"))
        self.listen = f"127.0.0.1:{free_port()}"
        self._peak_client = 0

    def within(self, _side: Side) -> Sequence[str]:
        """Where this runs itself."""
        return ("env", f"PYTHONPATH={self._path}")

    def cost_of(self, action: Callable[[], object]) -> Cost:
        """What an action costs."""
        before, client = self._server(), resource.getrusage(resource.RUSAGE_CHILDREN)
        action()
        after, ended = self._server(), resource.getrusage(resource.RUSAGE_CHILDREN)
        user, kernel = ended.ru_utime - client.ru_utime, ended.ru_stime - client.ru_stime
        events = [json.loads(line) for line in (self.place / "sync.log").read_text().splitlines() if line[:1] == "{"]
        completed = [event for event in events if event["event"] == "sync.completed"][-1]
        return Cost(
            user + kernel,
            sum(after) - sum(before),
            kernel,
            after[1] - before[1],
            completed["wire_bytes"],
            max(ended.ru_maxrss / 1024, self._server_peak()),
        )

    def _server(self) -> tuple[float, float]:
        """Seconds that the server has taken itself, and in the kernel."""
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) / _TICKS, int(fields[12]) / _TICKS

    def _server_peak(self) -> float:
        found = re.search(r"VmHWM:\s*(\d+)", (self._proc / "status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    @property
    def _proc(self) -> Path:
        return Path("/proc") / str(self._started[0].pid)


def measured(place: Path, checkout: Path, chain: str, number: int) -> Iterator[tuple[str, Cost]]:
    """The cost of each step of a chain of workloads."""
    peer = Checkout(place / "run", checkout)
    try:
        for step, action in CHAINS[chain](peer, Data(place / "data"), number):
            cost = peer.cost_of(action)
            wrong = difference(peer.source, peer.destination)
            if wrong:
                msg = f"{step} of {checkout}: {wrong}"
                raise SystemExit(msg)
            yield step, cost
    finally:
        peer.stop()


def row(step: str, before: Sequence[Cost], after: Sequence[Cost]) -> str:
    """A row of the table: medians, before and after."""
    cells = [step]
    for field, shown in (
        ("client", "{:.2f}"),
        ("server", "{:.2f}"),
        ("client_kernel", "{:.2f}"),
        ("server_kernel", "{:.2f}"),
        ("wire_bytes", "{:,.0f}"),
        ("peak_mib", "{:.0f}"),
    ):
        old, new = (median(getattr(cost, field) for cost in costs) for costs in (before, after))
        cells.append(f"{shown.format(old)} → {shown.format(new)}")
    return f"| {' | '.join(cells)} |"


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.paired", description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="the checkout to compare this one with")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chains", default="large", help=f"some of {','.join(CHAINS)}")
    parser.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()) / "dirsync-paired")
    told = parser.parse_args()
    found: dict[str, tuple[list[Cost], list[Cost]]] = defaultdict(lambda: ([], []))
    for number in range(told.rounds):
        for chain in told.chains.split(","):
            for which, checkout in enumerate((told.before.resolve(), _HERE)):
                for step, cost in measured(told.place, checkout, chain, number):
                    found[step][which].append(cost)
                    print(f"{step:7} {('before', 'after')[which]:6} {cost}", file=sys.stderr, flush=True)
    print(f"{machine()}\n")
    print("| | client, CPU s | server, CPU s | client, kernel s | server, kernel s | bytes of messages | MiB memory |")
    print("|---|---|---|---|---|---|---|")
    for step, (before, after) in found.items():
        print(row(step, before, after))
    return 0


if __name__ == "__main__":
    sys.exit(main())
