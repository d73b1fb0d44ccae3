"""Runs the workloads against other programs, interleaved, and prints a table: ``python -m tests.bench --help``."""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.bench.data import Data
from tests.bench.machine.namespaces import Network
from tests.bench.machine.where import machine
from tests.bench.measure import Row, measure
from tests.bench.peers.dirsync import Dirsync, DirsyncAuto, DirsyncDurable
from tests.bench.peers.others import Syncthing, Unison, UnisonRepeated
from tests.bench.peers.peer import Peer, PeerFailed
from tests.bench.peers.rsync import Lsyncd, Rsync, RsyncCompressed
from tests.bench.report.chart import chart
from tests.bench.report.table import summed_up, table
from tests.bench.workloads import CHAINS

PEERS: dict[str, type[Peer]] = {
    peer.name.replace(", ", "-"): peer
    for peer in (
        Dirsync,
        DirsyncDurable,
        DirsyncAuto,
        Rsync,
        RsyncCompressed,
        Unison,
        Lsyncd,
        UnisonRepeated,
        Syncthing,
    )
}
BESIDE = Rsync.name
"""What wall times are compared with."""


def some_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    """The type of an option that takes several names with commas between them."""
    names = list(known)

    def chosen(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in names]
        if unknown:
            msg = f"{', '.join(unknown)}: not known; take some of {','.join(names)}"
            raise argparse.ArgumentTypeError(msg)
        return text.split(",")

    return chosen


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--chains", type=some_of(CHAINS), default=[*CHAINS], help=f"some of {','.join(CHAINS)}")
    parser.add_argument("--peers", type=some_of(PEERS), default=[*PEERS], help=f"some of {','.join(PEERS)}")
    parser.add_argument("--place", type=Path, default=Path(tempfile.gettempdir()) / "dirsync-bench")
    parser.add_argument("--shape", metavar="RATE,DELAY", help="slow the line down, such as 100mbit,20ms each way")
    parser.add_argument("--write", type=Path, help="a folder for rows.jsonl, table.md and chart.svg")
    parser.add_argument("--draw", action="store_true", help="measure nothing: write anew what --write has measured")
    told = parser.parse_args()
    if told.draw:
        if told.write is None:
            parser.error("--draw needs --write FOLDER, the folder with rows.jsonl")
        lines = (told.write / "rows.jsonl").read_text().splitlines()
        write(told.write, [Row(**json.loads(line)) for line in lines])
        return 0
    if os.geteuid() != 0 or shutil.which("ip") is None:
        print("the benchmark needs root and iproute2: it makes network namespaces", file=sys.stderr)
        return 2
    for name in [name for name in os.environ if name.startswith("DIRSYNC_")]:
        del os.environ[name]
    rows: list[Row] = []
    for measured in run(told.place, told.rounds, told.chains, told.peers, told.shape):
        rows += measured
        if told.write is not None:
            write(told.write, rows)
    print(f"\n{written(rows)}")
    return 1 if any(row.wrong for row in rows) else 0


def written(rows: list[Row]) -> str:
    """What was measured, as text."""
    return f"{machine()}\n\n{table(summed_up(rows), BESIDE)}\n"


def write(folder: Path, rows: list[Row]) -> None:
    """What was measured so far, as files: who ends a long run early keeps its finished rounds."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row._asdict())}\n" for row in rows))
    figures = summed_up(rows)
    variants = {kind.name for kind in PEERS.values() if kind.is_variant}
    (folder / "chart.svg").write_text(chart([one for one in figures if one.peer not in variants]))
    (folder / "table.md").write_text(written(rows))


def run(place: Path, rounds: int, chains: list[str], peers: list[str], shape: str | None) -> Iterator[list[Row]]:
    """The measurements of each round: each chain with each program that is there."""
    data = Data(place / "data")
    with Network() as network:
        if shape is not None:
            rate, delay = shape.split(",")
            network.shape(rate, delay)
        for number in range(rounds):
            rows: list[Row] = []
            for chain in chains:
                for name in peers:
                    kind = PEERS[name]
                    missing = [program for program in kind.programs if shutil.which(program) is None]
                    if not missing and _takes(kind, chain):
                        rows += _chain(network, kind(place / "run"), data, chain, number)
            yield rows


def _takes(kind: type[Peer], chain: str) -> bool:
    if chain == "live":
        return kind.watches
    return kind.syncs_once and (chain != "sparse" or kind.keeps_holes)


def _chain(network: Network, peer: Peer, data: Data, chain: str, number: int) -> list[Row]:
    rows: list[Row] = []
    try:
        for workload, action in CHAINS[chain](peer, data, number):
            row = measure(network, peer, workload, number, action)
            rows.append(row)
            print(f"{row.workload:4} {row.peer:20} {row.seconds:9.4f} s {row.wrong}", flush=True)
            if row.wrong:
                break
    except PeerFailed as failure:
        print(f"{chain}: {peer.name}: {failure}", file=sys.stderr, flush=True)
    finally:
        peer.stop()
    return rows


if __name__ == "__main__":
    sys.exit(main())
