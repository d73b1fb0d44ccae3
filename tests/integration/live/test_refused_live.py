"""What the server refuses for as long as it runs is sent once, and arrives soon after the cause is gone."""

import os
from typing import Any

import pytest

from dirsync.limits import LIMITS, MIB
from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import build, differences

pytestmark = pytest.mark.programs

SIZE = 4 * MIB
RETRIES = 4


def retried(client: Client) -> float:
    """How often a file was asked about or sent, and refused."""
    samples = client.metrics()
    return sum(
        samples.value("dirsync_changes_applied_total", operation=operation, outcome=outcome)
        for operation in ("put_file", "try_file")
        for outcome in ("refused", "limit")
    )


@pytest.mark.parametrize("settings", [{}, {"quota_bytes": SIZE // 2}], ids=["in the way", "quota"])
@pytest.mark.parametrize("small", [False, True], ids=["large", "small"])
def test_sent_once(pair: Pair, settings: dict[str, Any], *, small: bool) -> None:
    """The content of a file that is refused again and again crosses the wire once.

    New small files of one directory cross it once more if the server refuses the directory as a whole (ADR 19).
    """
    count, size = (SIZE // LIMITS.inline_file_bytes, LIMITS.inline_file_bytes) if small else (1, SIZE)
    names = [f"d/{number}" for number in range(count)]
    pair.server(**settings)
    if not settings:
        (pair.replica / "d").mkdir()
        for name in names:
            os.mkfifo(pair.replica / name)
    build(pair.source, {name: random_bytes(size, seed) for seed, name in enumerate(names, 1)})
    client = pair.client(rescan_interval="1h", compression="none")
    refused = count if not settings else max(1, count // 2)
    until(lambda: retried(client) >= RETRIES * refused, "refused again and again", seconds=60)
    sent = client.metrics().value("dirsync_wire_bytes_total", direction="sent")
    if not settings:
        for name in names:
            (pair.replica / name).unlink()
        until(lambda: differences(pair.source, pair.replica) == [], "there once nothing is in the way", seconds=60)

    times = 2 if small and settings else 1
    assert SIZE <= sent < (times + 0.5) * SIZE
