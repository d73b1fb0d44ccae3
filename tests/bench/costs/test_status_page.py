"""What the status page costs while somebody has it open."""

import time

import pytest

from tests.support.running.figures import cpu_seconds
from tests.support.running.programs import Pair, Process

pytestmark = [pytest.mark.bench, pytest.mark.programs, pytest.mark.timeout(900)]

FILES = 100_000
SECONDS = 40.0
REFRESH_SECONDS = 2.0


def used(process: Process, *, looking: bool) -> tuple[float, int]:
    """Seconds of a core that a program uses while it rests, and the bytes of the largest answer."""
    before, ends, largest = cpu_seconds(process.pid), time.monotonic() + SECONDS, 0
    while time.monotonic() < ends:
        if looking:
            largest = max(largest, len(process.get("/status.json").body.encode()))
        time.sleep(REFRESH_SECONDS)
    return cpu_seconds(process.pid) - before, largest


def test_open_page(pair: Pair) -> None:
    """The share of a core that an open page takes of each service, with a hundred thousand files."""
    for number in range(FILES):
        place = pair.source / f"{number // 1000:03}"
        place.mkdir(exist_ok=True)
        (place / f"{number:06}").write_text(str(number))
    server = pair.server()
    client = pair.client(synced=False, rescan_interval="1h")
    client.wait_for("sync.completed", seconds=600)
    for process in (client, server):
        alone, _ = used(process, looking=False)
        watched, largest = used(process, looking=True)
        share = 100 * (watched - alone) / SECONDS

        print(f"{process.service}: {share:.2f} % of a core for an open page, {largest} bytes for each refresh")
        assert process.get("/status.json").status == 200
