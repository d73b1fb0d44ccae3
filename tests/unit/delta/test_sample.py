"""What a sample finds, and what it reads."""

import random

import numpy as np
import pytest

from dirsync.delta.blocks import BlockRange
from dirsync.delta.sample import sample_blocks, similarity
from dirsync.delta.signature.signature import Signature, sums_dtype
from dirsync.delta.strong import SHA256, XXH3
from dirsync.limits import LIMITS
from tests.support.inside.matching import fetched, signed

B = 4096
BASIS = random.Random(1).randbytes(1000 * B + 10)
FRESH = random.Random(2).randbytes(1000 * B)
HALF = len(BASIS) // 2
SHIFTED = (
    FRESH[:777] + BASIS[: HALF // 2] + FRESH[:555] + BASIS[HALF // 2 : HALF] + FRESH[:333] + BASIS[HALF:-99] + b"x"
)
SWAPPED = BASIS[HALF:] + BASIS[:HALF]

COMPLETE = signed(BASIS, B, stride=4)
SAMPLED = fetched(BASIS, B, [BlockRange(block, 1) for block in sample_blocks(1001)])


def estimated(signature: Signature, target: bytes) -> float:
    """The similarity of a target in memory."""
    return similarity(signature, lambda offset, length: target[offset : offset + length], len(target))


@pytest.mark.parametrize("signature", [COMPLETE, SAMPLED])
@pytest.mark.parametrize(
    "target, expected",
    [
        (BASIS, 1),
        (BASIS + FRESH[: HALF // 2], 0.8),
        (FRESH[: HALF // 2] + BASIS, 0.8),
        (BASIS[: HALF // 3], 1),
        (BASIS[-HALF // 3 :], 1),
        (SHIFTED, 1),
        (BASIS[:HALF] + FRESH[:HALF], 0.5),
        (FRESH[:HALF] + BASIS[HALF:], 0.5),
        (FRESH, 0),
        (b"", 0),
        (b"x", 0),
    ],
    ids=["same", "appended", "prepended", "head", "tail", "shifted", "first", "second", "other", "empty", "byte"],
)
def test_what_is_there_is_estimated(signature: Signature, target: bytes, expected: float) -> None:
    """In place, moved by what was put in before it, or elsewhere near: within a tenth of what a delta would find."""
    assert expected == pytest.approx(estimated(signature, target), abs=0.1)


@pytest.mark.parametrize("signature", [COMPLETE, SAMPLED])
@pytest.mark.parametrize("target", [BASIS, BASIS + FRESH[:99], FRESH[:99] + BASIS, BASIS[:HALF] + BASIS[HALF + 99 :]])
def test_what_is_in_place_is_not_searched(signature: Signature, target: bytes) -> None:
    """Blocks are looked for where they were, or as far from the end as before, and that is all that is read."""
    reads: list[int] = []

    def read(offset: int, length: int) -> bytes:
        reads.append(length)
        return target[offset : offset + length]

    assert similarity(signature, read, len(target)) == pytest.approx(1, abs=0.001)
    assert {B} == set(reads)


def test_what_moved_far_is_found_where_all_blocks_are_known() -> None:
    """With a complete signature content is recognised wherever it went."""
    assert estimated(COMPLETE, SWAPPED) == 1


@pytest.mark.parametrize("strong, partial", [(XXH3, False), (SHA256, True)], ids=["complete", "sampled"])
@pytest.mark.parametrize("block_size", [B, 256 << 10, 16 << 20])
def test_what_is_read_is_bounded(strong: object, partial: bool, block_size: int) -> None:
    """Of a file of any size a few megabytes are read; here of the largest, in which nothing is found."""
    size = LIMITS.max_blocks * block_size
    rows = LIMITS.sample_blocks if partial else LIMITS.max_blocks
    kind = SHA256 if strong is SHA256 else XXH3
    ranges = [BlockRange(block, 1) for block in sample_blocks(LIMITS.max_blocks)] if partial else None
    strong_sums = np.frombuffer(random.Random(3).randbytes(kind.size * rows), sums_dtype(kind))
    stride = 1 if partial else 4
    weak_sums = np.arange(0, rows, stride, dtype=np.uint32)
    signature = Signature(block_size, size, kind, strong_sums, weak_sums, stride=stride, ranges=ranges)
    reads: list[int] = []

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= size - length
        reads.append(length)
        return FRESH[:length].ljust(length, b"\xff")

    assert similarity(signature, read, size - 5 * block_size - 7) == 0
    assert sum(reads) <= max(LIMITS.sample_bytes, 2 * block_size) + LIMITS.sample_search_bytes + 8 * block_size
    assert len(reads) <= 2 * LIMITS.sample_blocks + LIMITS.sample_windows
