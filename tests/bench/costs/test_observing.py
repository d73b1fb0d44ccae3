"""What it costs to be looked at: log, metrics and status page, beside a pair that shows nothing.

Both kinds of pair take turns. The figures are ratios of the same round. A pair that is seen logs at level info to a
file, both its pages are open and both its ``/metrics`` are scraped. The other one has no page and logs errors only.
``ROUNDS=15`` and ``--basetemp`` on a tmpfs make the figures steadier.
"""

import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.running.figures import cpu_seconds
from tests.support.running.ports import free_port
from tests.support.running.programs import Service, environment
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes

pytestmark = [pytest.mark.bench, pytest.mark.programs, pytest.mark.timeout(1800)]

FILES = 10_000
REWRITTEN = 2_000
SIZE = 4096
ROUNDS = int(os.environ.get("ROUNDS", "5"))
REFRESH_SECONDS = 2.0
SCRAPE_SECONDS = 5.0
TAIL_SECONDS = 2.0
"""What follows a burst, such as the log, counts too."""


class Cost(NamedTuple):
    """What a workload took."""

    wall: float
    cpu: float
    """Of both ends, in seconds."""


class Costs(NamedTuple):
    """Of one pair."""

    first: Cost
    """W1: the first sync of many small files."""
    burst: Cost
    """W9: many files rewritten at once."""


def used(*programs: subprocess.Popen[bytes]) -> float:
    """Processor time that these have taken so far."""
    return sum(cpu_seconds(program.pid) for program in programs)


@contextmanager
def running(service: Service, place: Path, settings: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A service whose log is a file."""
    command = [sys.executable, "-m", f"dirsync_{service}"]
    variables = environment(service, dict(settings))
    with (place / f"{service}.log").open("wb") as log:
        program = subprocess.Popen(command, cwd=place, env=variables, stdin=subprocess.DEVNULL, stderr=log)
    try:
        yield program
    finally:
        program.terminate()
        assert program.wait() == 0


@contextmanager
def looked_at(*ports: int) -> Iterator[None]:
    """Have the pages open and the metrics scraped."""
    ended = threading.Event()

    def ask(path: str, seconds: float) -> None:
        while not ended.wait(seconds):
            for port in ports:
                with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                    answer.read()

    asking = (("/status.json", REFRESH_SECONDS), ("/metrics", SCRAPE_SECONDS))
    threads = [threading.Thread(target=ask, args=arguments) for arguments in asking]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def is_ready(port: int) -> bool:
    """Whether a service says so."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
            return True
    except OSError:
        return False


def fill(source: Path, number: int, content: bytes) -> Path:
    """Write one of the files."""
    path = source / f"{number % 100:02}" / f"{number:05}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def measure(place: Path, *, seen: bool) -> Costs:
    """Run both workloads with a pair that is seen or not."""
    source, replica = place / "source", place / "replica"
    for number in range(FILES):
        fill(source, number, random_bytes(SIZE, number))
    listen, *pages = (free_port() for _ in range(3))
    shared = {"state_dir": str(place / "state"), "log_format": "json", "log_level": "info" if seen else "error"}
    shared |= {"status_page": str(seen).lower()}
    of_server = {"listen": f"127.0.0.1:{listen}", "metrics_listen": f"127.0.0.1:{pages[0]}", "root": str(replica)}
    of_client = {"server": f"127.0.0.1:{listen}", "listen": "127.0.0.1:0", "metrics_listen": f"127.0.0.1:{pages[1]}"}
    with ExitStack() as stack:
        server = stack.enter_context(running(Service.SERVER, place, {**shared, **of_server, "fsync": "never"}))
        until(lambda: is_ready(pages[0]), "the server is ready")
        if seen:
            stack.enter_context(looked_at(*pages))
        before, started = used(server), time.perf_counter()
        shared["state_dir"] += "-client"
        client = stack.enter_context(running(Service.CLIENT, place, {**shared, **of_client, "source": str(source)}))
        until(lambda: is_ready(pages[1]), "the first sync is done", seconds=60)
        first = Cost(time.perf_counter() - started, used(server, client) - before)
        time.sleep(TAIL_SECONDS)
        before, started = used(server, client), time.perf_counter()
        written = [fill(source, number, random_bytes(SIZE, FILES + number)) for number in range(REWRITTEN)]
        missing = {path: replica / path.relative_to(source) for path in written}
        while missing:
            missing = {path: copy for path, copy in missing.items() if path.read_bytes() != copy.read_bytes()}
        wall = time.perf_counter() - started
        time.sleep(TAIL_SECONDS)
        return Costs(first, Cost(wall, used(server, client) - before))


def test_cost(tmp_path: Path) -> None:
    """The part of time and of processor time that being seen takes, in a first sync and in a burst."""
    pairs = []
    for number in range(ROUNDS):
        costs = {}
        for seen in (True, False) if number % 2 else (False, True):
            place = tmp_path / f"{number}{seen}"
            place.mkdir()
            costs[seen] = measure(place, seen=seen)
        pairs.append((costs[True], costs[False]))
    for index, name in enumerate(("first sync of 10,000 files", "2,000 files rewritten at once")):
        for field in Cost._fields:
            ratios = [getattr(seen[index], field) / getattr(unseen[index], field) for seen, unseen in pairs]
            middle, low, high = statistics.median(ratios), min(ratios), max(ratios)
            print(f"\n{name}, {field}: {middle:.3f} of an unseen pair ({low:.3f} to {high:.3f})", end="")
