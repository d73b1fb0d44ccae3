"""The workloads, W1 to W12: what is done to a source, and what is waited for."""

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dirsync.limits import KIB, MIB
from tests.bench.data import LARGE_BYTES, MEDIUM_BYTES, SMALL_FILES, Data, copy, small_name
from tests.bench.measure import Action
from tests.bench.peers.peer import Peer, PeerFailed

Step = tuple[str, Action]
"""The short name of a workload, and what is measured of it."""

SPARSE_BYTES = 10 * 1024 * MIB
SPARSE_PIECES = 16
LATENCIES = 50
BURST = 2_000
_VISIBLE_SECONDS = 120.0
_POLL_SECONDS = 0.001

TITLES = {
    "W1": "first sync of 10,000 files of 1 to 16 KiB",
    "W2": "first sync of 1 GiB",
    "W3": "10,000 files, nothing changed",
    "W4": "100 edits of 4 KiB in 1 GiB",
    "W5": "1 KiB inserted near the start of 1 GiB",
    "W6": "10 MiB appended to 1 GiB",
    "W7a": "a new file of 1 KiB becomes visible",
    "W7b": "an edit of 4 KiB in 100 MiB becomes visible",
    "W8a": "rename of a file of 1 GiB",
    "W8b": "rename of a directory of 10,000 files",
    "W9": "2,000 files rewritten at once",
    "W10": "first sync of a source tree",
    "W11": "first sync of 10 GiB with 1 MiB of data",
    "W12": "4 KiB written into the 10 GiB",
}


def small(peer: Peer, data: Data, _number: int) -> Iterator[Step]:
    """W1 and W3."""
    copy(data.small, peer.source)
    peer.serve()
    yield "W1", peer.sync
    yield "W3", peer.sync


def sources(peer: Peer, data: Data, _number: int) -> Iterator[Step]:
    """W10."""
    copy(data.sources, peer.source)
    peer.serve()
    yield "W10", peer.sync


def large(peer: Peer, data: Data, number: int) -> Iterator[Step]:
    """W2, W4, W5 and W6."""
    copy(data.large, peer.source)
    peer.serve()
    file, dice = peer.source / "large.bin", random.Random(1000 + number)
    yield "W2", peer.sync
    with file.open("r+b") as content:
        for _ in range(100):
            content.seek(dice.randrange(LARGE_BYTES - 4 * KIB))
            content.write(dice.randbytes(4 * KIB))
    yield "W4", peer.sync
    beside = file.with_name("new")
    with file.open("rb") as old, beside.open("wb") as new:
        new.write(old.read(MIB) + dice.randbytes(KIB))
        shutil.copyfileobj(old, new, 8 * MIB)
    beside.replace(file)
    yield "W5", peer.sync
    with file.open("ab") as content:
        content.write(dice.randbytes(10 * MIB))
    yield "W6", peer.sync


def sparse(peer: Peer, _data: Data, number: int) -> Iterator[Step]:
    """W11 and W12: a file of which nearly all is a hole, such as the disk of a virtual machine."""
    peer.is_sparse = True
    dice = random.Random(2000 + number)
    with (peer.source / "sparse.img").open("wb") as content:
        content.truncate(SPARSE_BYTES)
        for piece in range(SPARSE_PIECES):
            content.seek(piece * (SPARSE_BYTES // SPARSE_PIECES))
            content.write(dice.randbytes(MIB // SPARSE_PIECES))
    peer.serve()
    yield "W11", peer.sync
    with (peer.source / "sparse.img").open("r+b") as content:
        content.seek(dice.randrange(SPARSE_BYTES - 4 * KIB))
        content.write(dice.randbytes(4 * KIB))
    yield "W12", peer.sync


def live(peer: Peer, data: Data, number: int) -> Iterator[Step]:
    """W7, W8 and W9, while the source is watched."""
    copy(data.small, peer.source / "small")
    copy(data.medium, peer.source)
    copy(data.large, peer.source)
    (peer.source / "new").mkdir()
    peer.serve()
    peer.watch()
    time.sleep(1.5)
    dice = random.Random(100 + number)
    yield "W7a", lambda: _latencies(peer, dice, _new_file)
    yield "W7b", lambda: _latencies(peer, dice, _edit)
    yield "W9", lambda: _rewrite_many(peer, dice)
    yield "W8a", lambda: _rename(peer, "large.bin", "renamed.bin")
    yield "W8b", lambda: _rename(peer, "small", "renamed")


Change = Callable[[Peer, random.Random, int], Callable[[], bool]]
"""Makes one change; gives what tells whether it is visible."""


def _latencies(peer: Peer, dice: random.Random, change: Change) -> list[float]:
    took: list[float] = []
    for number in range(LATENCIES):
        visible = change(peer, dice, number)
        took.append(_wait_until(visible))
        time.sleep(0.05 + dice.random() * 0.15)
    return took


def _new_file(peer: Peer, dice: random.Random, number: int) -> Callable[[], bool]:
    content, name = dice.randbytes(KIB), f"new/{number}"
    (peer.source / name).write_bytes(content)
    return lambda: _has(peer.destination / name, 0, content)


def _edit(peer: Peer, dice: random.Random, _number: int) -> Callable[[], bool]:
    content, at = dice.randbytes(4 * KIB), dice.randrange(MEDIUM_BYTES - 4 * KIB)
    with (peer.source / "medium.bin").open("r+b") as file:
        file.seek(at)
        file.write(content)
    return lambda: _has(peer.destination / "medium.bin", at, content)


def _rewrite_many(peer: Peer, dice: random.Random) -> None:
    missing: list[tuple[Path, bytes]] = []
    for number in dice.sample(range(SMALL_FILES), BURST):
        name, content = Path("small") / small_name(number), dice.randbytes(dice.randint(KIB, 16 * KIB))
        beside = peer.source / name.with_suffix(".new")
        beside.write_bytes(content)
        beside.replace(peer.source / name)
        missing.append((peer.destination / name, content))

    def all_there() -> bool:
        while missing and _has(missing[-1][0], 0, missing[-1][1]):
            missing.pop()
        return not missing

    _wait_until(all_there)
    _wait_until(lambda: not any(peer.destination.glob("small/*/*.new")))


def _rename(peer: Peer, old: str, new: str) -> None:
    top = peer.source / old
    files = [os.path.join(at, name) for at, _, names in os.walk(top) for name in names]
    missing = [os.path.relpath(file, top) for file in files] or ["."]
    (peer.source / old).rename(peer.source / new)

    def all_there() -> bool:
        while missing and _is_as_large(peer.source / new / missing[-1], peer.destination / new / missing[-1]):
            missing.pop()
        return not missing and not os.path.lexists(peer.destination / old)

    _wait_until(all_there)


def _wait_until(done: Callable[[], bool]) -> float:
    started = time.perf_counter()
    while not done():
        if time.perf_counter() - started > _VISIBLE_SECONDS:
            msg = f"not at the destination within {_VISIBLE_SECONDS:g} s"
            raise PeerFailed(msg)
        time.sleep(_POLL_SECONDS)
    return time.perf_counter() - started


def _has(path: Path, at: int, content: bytes) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read(len(content)) == content
    except OSError:
        return False


def _is_as_large(one: Path, other: Path) -> bool:
    try:
        return one.stat().st_size == other.stat().st_size
    except OSError:
        return False


CHAINS = {"small": small, "sources": sources, "large": large, "sparse": sparse, "live": live}
"""Workloads that follow one another on one source; all but the last sync once at a time."""
