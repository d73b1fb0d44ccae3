"""A pair that mirrors a source which never rests: equal whenever it does rest, and no bigger at the end.

``make soak MINUTES=60`` runs it for an hour; two minutes are what it takes to see most leaks at all.
"""

import os
import random
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.running.programs import Pair, Process
from tests.support.running.waiting import until
from tests.support.trees.trees import equal

pytestmark = pytest.mark.soak

MINUTES = float(os.environ.get("SOAK_MINUTES", "2"))
TURN_SECONDS = 5.0
"""How long the source changes before it rests and both sides are compared."""
DIRECTORIES, NAMES = 20, 30
LARGE = 300_000


class Use(NamedTuple):
    """What a program holds."""

    descriptors: int
    threads: int
    memory: int
    """Resident, in bytes."""


def use(process: Process) -> Use:
    """What it holds now."""
    proc = Path(f"/proc/{process.pid}")
    resident = int((proc / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Use(len(os.listdir(proc / "fd")), process.threads(), resident)


def churn(root: Path, dice: random.Random) -> None:
    """One change of any kind, of a population that stays about as large."""
    directory = root / f"d{dice.randrange(DIRECTORIES)}"
    directory.mkdir(exist_ok=True)
    path = directory / f"f{dice.randrange(NAMES)}"
    match dice.choices(["write", "append", "replace", "rename", "delete", "clear"], [8, 4, 4, 4, 4, 0.2])[0]:
        case "write":
            path.write_bytes(dice.randbytes(dice.choice((0, 10, 3000, 20_000, LARGE))))
        case "append" if path.exists() and path.stat().st_size < LARGE:
            with path.open("ab") as file:
                file.write(dice.randbytes(500))
        case "replace":
            beside = path.with_name(f".{path.name}.new")
            beside.write_bytes(dice.randbytes(2000))
            beside.rename(path)
        case "rename" if path.exists():
            path.rename(root / f"moved{dice.randrange(NAMES)}")
        case "delete":
            path.unlink(missing_ok=True)
        case "clear":
            shutil.rmtree(directory)
        case _:
            pass


def turns(root: Path) -> Iterator[int]:
    """Change the source for a while, then give the number of the turn; until the time is over."""
    dice = random.Random(1)
    end = time.monotonic() + 60 * MINUTES
    number = 0
    while time.monotonic() < end:
        rest = time.monotonic() + TURN_SECONDS
        while time.monotonic() < rest:
            churn(root, dice)
            time.sleep(0.002)
        number += 1
        yield number


def test_churn(pair: Pair) -> None:
    """Both sides are equal after each turn, and neither program's descriptors, threads and memory grow."""
    server = pair.server()
    client = pair.client(delete_settle="100ms", guard_max_delete_percent=100)
    used: dict[Process, list[Use]] = {server: [], client: []}
    for number in turns(pair.source):
        until(lambda: equal(pair.source, pair.replica), f"equal after turn {number}", seconds=60)
        client.wait_until_in_sync()
        for process, uses in used.items():
            uses.append(use(process))
    deep = client.command("verify", "--deep").code
    for process, uses in used.items():
        print(f"\n{process.service} after turn 1 and {len(uses)}: {uses[0]}, {uses[-1]}")

    assert 0 == deep
    for uses in used.values():
        early, late = uses[: max(1, len(uses) // 3)], uses[-max(1, len(uses) // 3) :]
        assert max(u.descriptors for u in late) <= max(u.descriptors for u in early) + 4
        assert max(u.threads for u in late) <= max(u.threads for u in early) + 4
        assert statistics.median(u.memory for u in late) < 1.25 * statistics.median(u.memory for u in early) + (8 << 20)
