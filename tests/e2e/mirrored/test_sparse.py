"""Files that are mostly holes: what they cost is what is in them, on the wire and at the replica, beyond 4 GiB too."""

import time
from pathlib import Path

import pytest

from dirsync.delta.blocks import block_size_for
from dirsync.limits import GIB, KIB, LIMITS, MIB
from tests.support.running.programs import Pair, Result
from tests.support.running.synced import prove_equal, synced
from tests.support.trees.content import random_bytes

pytestmark = pytest.mark.programs

PER_BYTE = 32 * KIB
"""Of so many bytes one byte may be needed on the wire to say that nothing is in them, or nothing new."""


BLOCK = 4 * KIB
"""A block with data in it travels whole."""


def make(path: Path, size: int, pieces: dict[int, bytes]) -> None:
    """A file of holes with these pieces at these offsets."""
    with path.open("wb") as file:
        file.truncate(size)
        for at, piece in pieces.items():
            file.seek(at)
            file.write(piece)


def write(path: Path, at: int, piece: bytes) -> None:
    """Overwrite a part of it."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(piece)


def allocated(path: Path) -> int:
    """Bytes that it takes on its disk."""
    return path.stat().st_blocks * 512


def check(pair: Pair, size: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Sync a file of that size with 1 MiB in it, edit it near the end, put a hole into it, and let it grow."""
    source, replica = pair.source / "sparse", pair.replica / "sparse"
    data = random_bytes(MIB)
    at = {0: data[: MIB // 4], size // 2 + 5: data[MIB // 4 : MIB // 2], size - MIB // 2: data[MIB // 2 :]}
    make(source, size, at)
    pair.server()
    took, events = [], []

    def sync() -> Result:
        started = time.monotonic()
        result = pair.once(compression="none")
        took.append(time.monotonic() - started)
        events.append(result.event("sync.completed"))
        assert result.code == 0
        return result

    sync()
    write(source, size - 12_345, b"edited at the tail")
    edited = synced(sync())
    write(source, size // 2, bytes(MIB))
    blanked = synced(sync())
    with source.open("ab") as file:
        file.truncate(size + 64 * MIB)
        file.seek(0, 2)
        file.write(b"the new end")
    grown = synced(sync())
    with capsys.disabled():
        figures = [f"{seconds:.1f} s {e['wire_bytes']:,} B" for seconds, e in zip(took, events, strict=True)]
        print(f"\n  {size / GIB:g} GiB of holes, edited, blanked, grown: {figures}; {allocated(replica):,} B allocated")

    assert {"sparse": "delta"} == edited.strategies == blanked.strategies == grown.strategies
    assert edited.literal <= 2 * block_size_for(size, 4 * KIB)
    assert events[0]["wire_bytes"] < MIB + len(at) * 2 * BLOCK + size // PER_BYTE
    assert max(event["wire_bytes"] for event in events[1:]) < 16 * KIB + size // PER_BYTE
    assert allocated(replica) < MIB + (len(at) + 2) * LIMITS.frame_bytes
    prove_equal(pair)


@pytest.mark.case("D13")
def test_quarter_of_a_gib(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    """256 MiB with 1 MiB in them travel as 1 MiB, stay holes at the replica, and change by a block."""
    check(pair, GIB // 4, capsys)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.case("D13", "D15")
def test_five_gib(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    """So do 5 GiB, and what is edited beyond offsets of 32 bits is exact."""
    check(pair, 5 * GIB, capsys)
