"""How cost grows with the number of entries and with the size of a file: ``python -m tests.bench.scaling --help``.

Each size is synced for the first time and once more, by ``once``, with both ends in network namespaces. What is linear
has the same cost for each entry, or each GiB, in all rows.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from dirsync.limits import KIB, MIB
from tests.bench.data import make_noise
from tests.bench.machine.namespaces import Network
from tests.bench.machine.where import machine
from tests.bench.measure import Row, measure
from tests.bench.peers.dirsync import Dirsync
from tests.bench.peers.peer import Peer
from tests.bench.report.chart import Line, lines

ENTRIES = (1_000, 10_000, 100_000, 1_000_000)
SIZES_MIB = (1, 16, 128, 1024, 8192)
_FILES_PER_DIRECTORY = 1_000
FIRST, UNCHANGED, EDIT = "first sync", "nothing changed", "4 KiB changed"


class Point(NamedTuple):
    """One sync of one size."""

    size: int
    """Entries, or MiB of one file."""
    step: str
    row: Row


def grow_entries(peer: Peer, count: int) -> None:
    """Fill the source with small files, no two of them alike."""
    for first in range(0, count, _FILES_PER_DIRECTORY):
        directory = peer.source / f"d{first:07}"
        directory.mkdir()
        for number in range(first, min(count, first + _FILES_PER_DIRECTORY)):
            (directory / f"f{number:07}").write_bytes(b"%032d\n" % number * 3)


def grow_file(peer: Peer, mebibytes: int) -> None:
    """Fill the source with one file of noise."""
    make_noise(peer.source / "file", mebibytes * MIB, mebibytes)


def edit(peer: Peer, mebibytes: int) -> None:
    """Change a block in the middle of the file."""
    with (peer.source / "file").open("r+b") as file:
        file.seek(mebibytes * MIB // 2)
        file.write(random.Random(-mebibytes).randbytes(4 * KIB))


def by_entries(network: Network, place: Path, counts: Sequence[int]) -> Iterator[Point]:
    """The first sync of so many files, and one that finds nothing to do."""
    for count in counts:
        peer = Dirsync(place)
        try:
            grow_entries(peer, count)
            peer.serve()
            yield Point(count, FIRST, measure(network, peer, "entries", count, peer.sync))
            yield Point(count, UNCHANGED, measure(network, peer, "entries", count, peer.sync))
        finally:
            peer.stop()


def by_size(network: Network, place: Path, sizes: Sequence[int]) -> Iterator[Point]:
    """The first sync of a file of so many MiB, and one after an edit."""
    for size in sizes:
        peer = Dirsync(place)
        try:
            grow_file(peer, size)
            peer.serve()
            yield Point(size, FIRST, measure(network, peer, "size", size, peer.sync))
            edit(peer, size)
            yield Point(size, EDIT, measure(network, peer, "size", size, peer.sync))
        finally:
            peer.stop()


def table(points: Sequence[Point], unit: str, per: int, cost: str) -> str:
    """A Markdown table; ``cost`` names the processor time of ``per`` units."""
    head = f"| {unit} | step | seconds | CPU s, both ends | {cost} | MiB sent | MiB client | MiB server |"
    rows = [head, "|---|---|---|---|---|---|---|---|"]
    for size, step, row in points:
        cpu = row.cpu_client + row.cpu_server
        figures = (f"{row.seconds:.2f}", f"{cpu:.2f}", f"{cpu / size * per:.2f}", f"{row.sent_bytes / MIB:.2f}")
        peaks = (f"{row.peak_client / MIB:.0f}", f"{row.peak_server / MIB:.0f}")
        wrong = f" ({row.wrong})" if row.wrong else ""
        rows.append(f"| {size:,} | {step}{wrong} | {' | '.join(figures + peaks)} |")
    return "\n".join(rows)


def plot(points: Sequence[Point], unit: str) -> str:
    """Wall time of each step over the size, as SVG."""
    steps = dict.fromkeys(point.step for point in points)
    drawn = [Line(step, [(p.size, p.row.seconds) for p in points if p.step == step]) for step in steps]
    return lines(drawn, unit, "seconds")


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scaling", description=__doc__)
    parser.add_argument("--entries", type=int, nargs="*", default=ENTRIES, help="how many files; several numbers")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES_MIB, help="of one file, in MiB; several numbers")
    parser.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()) / "dirsync-scaling")
    parser.add_argument("--write", type=Path, help="a folder for scaling.jsonl, scaling.md and two charts")
    told = parser.parse_args()
    with Network() as network:
        entries = _told(by_entries(network, told.place / "run", told.entries))
        sizes = _told(by_size(network, told.place / "run", told.sizes))
    parts = (machine(), table(entries, "files", 1_000, "CPU s for 1,000"), table(sizes, "MiB", 1024, "CPU s for a GiB"))
    text = "\n\n".join(parts) + "\n"
    print(f"\n{text}")
    if told.write is not None:
        told.write.mkdir(parents=True, exist_ok=True)
        rows = [json.dumps({"size": p.size, "step": p.step, **p.row._asdict()}) for p in (*entries, *sizes)]
        (told.write / "scaling.jsonl").write_text("\n".join(rows) + "\n")
        (told.write / "scaling.md").write_text(text)
        (told.write / "entries.svg").write_text(plot(entries, "files"))
        (told.write / "size.svg").write_text(plot(sizes, "MiB"))
    return 1 if any(point.row.wrong for point in (*entries, *sizes)) else 0


def _told(points: Iterator[Point]) -> list[Point]:
    done = []
    for point in points:
        print(f"{point.row.workload:8} {point.size:>9,} {point.step:16} {point.row.seconds:9.2f} s", flush=True)
        done.append(point)
    return done


if __name__ == "__main__":
    sys.exit(main())
