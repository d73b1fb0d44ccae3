"""What the choice of a strategy is worth: each workload by each fixed strategy, and by the choice.

``python -m tests.bench.strategies --help``. The regret is the time of the choice as a multiple of that of the fixed
strategy that was the fastest. ``known``: the client remembers the signature of what the replica has. Otherwise it asks
the server for it.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from dirsync.limits import KIB, MIB
from tests.bench.data import make_noise
from tests.bench.machine.namespaces import Network
from tests.bench.machine.where import machine
from tests.bench.measure import Row, measure
from tests.bench.peers.fixed import FIXED, Fixed

SIZE = 64 * MIB
CHOSEN = "auto"
STRATEGIES = (CHOSEN, *FIXED)
COMPRESSIONS = ("auto", "none", "gzip", "zstd")
SHAPES = ("", "100mbit,20ms")
"""Of the line; empty: as fast as it is."""
_LOCAL = {"": "a fast line"}


def rewrite(share: float) -> Callable[[Path, random.Random], None]:
    """Replace a share of the file, in runs of 64 KiB at places that are spread evenly."""
    run = 64 * KIB

    def act(file: Path, dice: random.Random) -> None:
        places = range(0, SIZE, run)
        with file.open("r+b") as content:
            for place in dice.sample(places, round(len(places) * share)):
                content.seek(place)
                content.write(dice.randbytes(run))

    return act


def edit(file: Path, dice: random.Random) -> None:
    """100 edits of 4 KiB."""
    with file.open("r+b") as content:
        for _ in range(100):
            content.seek(dice.randrange(SIZE - 4 * KIB))
            content.write(dice.randbytes(4 * KIB))


def insert(file: Path, dice: random.Random) -> None:
    """1 KiB near the start: everything behind it moves."""
    content = file.read_bytes()
    file.write_bytes(content[:MIB] + dice.randbytes(KIB) + content[MIB:])


def append(file: Path, dice: random.Random) -> None:
    """One MiB more."""
    with file.open("ab") as content:
        content.write(dice.randbytes(MIB))


WORKLOADS: dict[str, Callable[[Path, random.Random], None]] = {
    "100 edits of 4 KiB": edit,
    "1 KiB inserted": insert,
    "1 MiB appended": append,
    "10 % rewritten": rewrite(0.1),
    "50 % rewritten": rewrite(0.5),
    "90 % rewritten": rewrite(0.9),
    "all rewritten": rewrite(1.0),
}


class Result(NamedTuple):
    """One measurement."""

    workload: str
    knows: str
    shape: str
    row: Row


def deltas(network: Network, place: Path, shape: str, number: int) -> Iterator[Result]:
    """Each workload by each strategy, with the basis remembered and not."""
    for workload, change in WORKLOADS.items():
        for knows in ("known", "asked"):
            for strategy in STRATEGIES:
                peer = Fixed(place, strategy)
                try:
                    make_noise(peer.source / "file", SIZE, "content")
                    peer.serve()
                    peer.sync()
                    if knows == "asked":
                        shutil.rmtree(next((peer.state / "client").glob("**/signatures")))
                    change(peer.source / "file", random.Random(f"change {number}"))
                    yield Result(workload, knows, shape, _measured(network, shape, peer, workload, number))
                finally:
                    peer.stop()


def compressions(network: Network, place: Path, shape: str, number: int, tree: Path) -> Iterator[Result]:
    """The first sync of texts and of noise, by each compression."""
    for workload in ("texts", "noise"):
        for compression in COMPRESSIONS:
            peer = Fixed(place, CHOSEN, compression)
            peer.name = compression
            try:
                if workload == "texts":
                    shutil.copytree(tree, peer.source / "tree")
                else:
                    make_noise(peer.source / "file", SIZE, "content")
                peer.serve()
                yield Result(workload, "", shape, _measured(network, shape, peer, workload, number))
            finally:
                peer.stop()


def _measured(network: Network, shape: str, peer: Fixed, workload: str, number: int) -> Row:
    """What is measured, and nothing before it, crosses a line of this shape."""
    if not shape:
        return measure(network, peer, workload, number, peer.sync)
    network.shape(*shape.split(","))
    try:
        return measure(network, peer, workload, number, peer.sync)
    finally:
        network.unshape()


def table(results: Sequence[Result], names: Sequence[str]) -> str:
    """Seconds and MiB of each way, and the regret, as Markdown; ``names``: the chosen one, then the fixed ones."""
    found: dict[tuple[str, str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for workload, knows, shape, row in results:
        found[shape, workload, knows][row.peer].append(row)
    head = ["line", "workload", "basis", *(f"{name}: s (MiB)" for name in names), "regret"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for (shape, workload, knows), by_name in found.items():
        seconds = {name: median(row.seconds for row in by_name[name]) for name in names}
        sent = {name: median(row.sent_bytes for row in by_name[name]) / MIB for name in names}
        regret = seconds[names[0]] / min(seconds[name] for name in names[1:])
        cells = [_LOCAL.get(shape, shape), workload, knows]
        cells += [f"{seconds[name]:.2f} ({sent[name]:.1f})" for name in names]
        lines.append(f"| {' | '.join((*cells, f'{regret:.2f}'))} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.strategies", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()) / "dirsync-strategies")
    parser.add_argument("--write", type=Path, help="a file for the tables")
    told = parser.parse_args()
    tree = Path(random.__file__).parent / "email"
    of_deltas: list[Result] = []
    of_compression: list[Result] = []
    with Network() as network:
        for shape in SHAPES:
            for number in range(told.rounds):
                of_deltas += _told(deltas(network, told.place, shape, number))
                of_compression += _told(compressions(network, told.place, shape, number, tree))
    text = f"{machine()}\n\n{table(of_deltas, STRATEGIES)}\n\n{table(of_compression, COMPRESSIONS)}\n"
    print(f"\n{text}")
    if told.write is not None:
        told.write.write_text(text)
    return 1 if any(result.row.wrong for result in (*of_deltas, *of_compression)) else 0


def _told(results: Iterator[Result]) -> list[Result]:
    done = []
    for result in results:
        row = result.row
        print(f"{result.workload:20} {result.knows:6} {row.peer:6} {row.seconds:8.2f} s {row.wrong}", flush=True)
        done.append(result)
    return done


if __name__ == "__main__":
    sys.exit(main())
