"""What the way back costs: how soon a new file at the replica is at the source, and what an edit there sends and takes.

``make test ARGS='-m bench -n 0 -s tests/bench/costs/test_two_way.py'`` prints it. ``TWO_WAY_MIB=16`` takes a smaller
file than the 1 GiB of the figures.
"""

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from dirsync.limits import MIB
from tests.integration.two_way.three import Laptops
from tests.support.proxy import Proxy
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import equal

pytestmark = [pytest.mark.bench, pytest.mark.programs, pytest.mark.timeout(1800)]

FILES = 100
"""New files, one after the other, of each kind."""
FILE_BYTES = 1024
PAUSE = 0.1
"""Between two changes."""
LARGE_BYTES = int(os.environ.get("TWO_WAY_MIB", "1024")) * MIB
EDIT_BYTES = 4096
EDITS = 5
"""In each direction, taking turns."""
REST_SECONDS = 1.0
"""After an edit has arrived: what is still said about it counts."""
MAX_WIRE_BYTES = 1_000_000
"""What an edit may send, in both directions of the line together."""
SYNC_SECONDS = 600.0


def quantiles(times: Sequence[float]) -> str:
    """The median and the 95th percentile."""
    median, high = statistics.median(times) * 1000, statistics.quantiles(times, n=20)[18] * 1000
    return f"p50 {median:.1f} ms, p95 {high:.1f} ms, of {len(times)}"


def seconds_until_there(path: Path, content: bytes, offset: int = 0) -> float:
    """How long it takes until a file has this content at an offset."""
    begin = time.monotonic()
    while _read(path, len(content), offset) != content:
        assert time.monotonic() - begin < SYNC_SECONDS
        time.sleep(0.0005)
    return time.monotonic() - begin


def _read(path: Path, size: int, offset: int) -> bytes:
    try:
        with path.open("rb") as file:
            return os.pread(file.fileno(), size, offset)
    except FileNotFoundError:
        return b""


def test_new_files(pair: Pair) -> None:
    """A new file of 1 KiB, made by hand at the replica or at another client, until it is readable at the source."""
    laptops = Laptops(pair, 2)
    laptops.start()
    makers = {"by hand": pair.replica, "by another client": laptops.at("ben")}
    times: dict[str, list[float]] = {maker: [] for maker in makers}
    for number in range(FILES):
        for maker, place in makers.items():
            name, content = f"{maker} {number}", os.urandom(FILE_BYTES)
            (place / name).write_bytes(content)
            times[maker].append(seconds_until_there(laptops.at("anna", name), content))
            time.sleep(PAUSE)
    print()
    for maker, taken in times.items():
        print(f"new file of {FILE_BYTES} bytes {maker}, until readable at the source: {quantiles(taken)}")

    laptops.wait_until_equal()
    assert 2 * FILES == len(list(laptops.at("anna").iterdir()))
    assert [] == laptops.conflicts()


def test_edit_of_a_large_file(pair: Pair) -> None:
    """4 KiB edited in 1 GiB at the replica sends at most 1 MB; how long that takes, beside an edit at the source."""
    laptops = Laptops(pair, 1)
    source, replica = laptops.at("anna", "large"), pair.replica / "large"
    with source.open("wb") as file:
        for number in range(LARGE_BYTES // MIB):
            file.write(random_bytes(MIB, number))
    times: dict[str, list[float]] = {"at the replica": [], "at the source": []}
    sent: dict[str, list[int]] = {where: [] for where in times}
    with Proxy(laptops.server.address) as line:
        laptops.start(server=line.address, synced=False)
        laptops.clients["anna"].wait_for("sync.completed", seconds=SYNC_SECONDS)
        for number in range(EDITS):
            for where, edited, other in (("at the replica", replica, source), ("at the source", source, replica)):
                offset = (2 * number + (where == "at the source")) * LARGE_BYTES // (2 * EDITS) + 12_345
                content = os.urandom(EDIT_BYTES)
                laptops.clients["anna"].wait_until_in_sync()
                time.sleep(REST_SECONDS)
                before = line.sent + line.received
                with edited.open("r+b") as file:
                    file.seek(offset)
                    file.write(content)
                times[where].append(seconds_until_there(other, content, offset))
                time.sleep(REST_SECONDS)
                sent[where].append(line.sent + line.received - before)
        until(lambda: equal(laptops.at("anna"), pair.replica), "equal", seconds=SYNC_SECONDS)
        laptops.clients["anna"].stop()
    print()
    for where, taken in times.items():
        print(
            f"{EDIT_BYTES} bytes edited {where}, in {LARGE_BYTES // MIB} MiB: median {statistics.median(taken):.2f} s, "
            f"{min(taken):.2f} to {max(taken):.2f}; at most {max(sent[where]):,} bytes on the wire"
        )
    back, forth = (statistics.median(taken) for taken in times.values())
    print(f"the replica's edit takes {back / forth:.2f} times as long as the source's")

    assert max(max(counts) for counts in sent.values()) <= MAX_WIRE_BYTES
    assert [] == laptops.conflicts()
