"""Put a load of real clients on real servers behind Envoy, and say what it took: ``python -m tests.load --help``."""

import argparse
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tests.bench.machine.where import machine
from tests.load.fleet import Fleet, Load
from tests.load.report import Run, chart, table
from tests.support.running.figures import cpu_seconds

SYNC_SECONDS = 120.0
"""How long clients may take to be in sync in the end."""


def run(place: Path, load: Load, arguments: argparse.Namespace) -> tuple[Run, list[str]]:
    """One load; also what was wrong with it."""
    fleet = Fleet(place, load)
    wrong: list[str] = []
    try:
        started = fleet.answers()
        ready, polling = [answer["ready"] for answer in started], sum(answer["polling"] for answer in started)
        print(f"{load.clients} clients at {load.servers} servers are in sync after {_longest(ready)}", flush=True)
        time.sleep(arguments.rest)
        before, spent = fleet.figures(), _cpu(fleet)
        seconds, changes = float(arguments.seconds), _no_changes(load)
        if arguments.rate:
            fleet.ask(
                {"change": seconds, "rate": arguments.rate, "bytes": arguments.bytes},
            )
            killing = threading.Timer(seconds / 2, fleet.kill, [0]) if arguments.kill else None
            if killing is not None:
                killing.start()
            changes = fleet.answers()
        else:
            time.sleep(seconds)
        after, spent = fleet.figures(), _cpu(fleet) - spent
        fleet.ask({"sync": SYNC_SECONDS})
        synced = fleet.answers()
        wrong += [problem for answer in synced for problem in answer["problems"]]
        wrong += [f"differs: {path}" for path in fleet.differences()[:10]]
        took = [answer["in_sync"] for answer in synced]
        sent = sum(figures.literal_bytes for figures in fleet.figures() if figures is not None)
        sent -= sum(b.literal_bytes for b, a in zip(before, after, strict=True) if b is not None and a is not None)
        written = sum(answer["written"] for answer in changes)
        print(f"written {written} bytes, of which servers that live have received {sent:.0f}", flush=True)
        found = Run(
            load.clients,
            load.servers,
            seconds,
            [ms for answer in changes for ms in answer["visible_ms"]],
            sum(answer["late"] for answer in changes),
            written,
            None if None in took else max(took),
            before,
            after,
            spent,
            polling,
        )
    finally:
        wrong += fleet.end()
    return found, wrong


def _no_changes(load: Load) -> list[dict[str, Any]]:
    return [{"visible_ms": [], "written": 0, "late": 0}] * load.processes


def _cpu(fleet: Fleet) -> float:
    return sum(cpu_seconds(process.pid) for process in fleet.processes)


def _longest(seconds: list[float | None]) -> str:
    known = [each for each in seconds if each is not None]
    return f"{max(known):.1f} s" if len(known) == len(seconds) else "more than is waited for"


def main() -> int:
    """Run and print; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=200, help="how many")
    parser.add_argument("--servers", default="4", help="how many; 1,2,4 measures each of these")
    parser.add_argument("--seconds", type=int, default=60, help="of load")
    parser.add_argument("--rate", type=float, default=1.0, help="changes per client and second; 0: none, they are idle")
    parser.add_argument("--bytes", type=int, default=4096, help="size of a changed file")
    parser.add_argument("--processes", type=int, default=4, help="that the clients are spread over")
    parser.add_argument("--rest", type=float, default=3.0, help="seconds between the first sync and the load")
    parser.add_argument("--own", action="store_true", help="a volume for each server, instead of a shared one")
    parser.add_argument("--fsync", default="batch", help="FSYNC of the servers")
    parser.add_argument("--kill", action="store_true", help="kill -9 the first server in the middle")
    parser.add_argument("--write", type=Path, help="directory for load.md and load.svg")
    arguments = parser.parse_args()
    runs, wrong = [], []
    for servers in map(int, arguments.servers.split(",")):
        # A machine has inotify for so many clients; idle ones need none.
        watch = "auto" if arguments.rate else "off"
        load = Load(arguments.clients, servers, arguments.processes, not arguments.own, arguments.fsync, watch)
        with tempfile.TemporaryDirectory(prefix="dirsync-load-") as place:
            found, bad = run(Path(place), load, arguments)
        runs.append(found)
        wrong += bad
    text = f"{machine()}\n\n{table(runs)}"
    print(f"\n{text}")
    if arguments.write:
        arguments.write.mkdir(parents=True, exist_ok=True)
        (arguments.write / "load.md").write_text(text)
        if arguments.rate:
            (arguments.write / "load.svg").write_text(chart(runs))
    if any(found.polling for found in runs):
        print("clients that poll see a change up to two seconds late: raise fs.inotify.max_user_instances")
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return int(bool(wrong) or any(found.late or found.in_sync is None for found in runs))


if __name__ == "__main__":
    sys.exit(main())
