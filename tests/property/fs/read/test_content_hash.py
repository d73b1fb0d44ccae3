"""SHA-256 that goes on from an earlier version is that of the content, however it comes."""

import hashlib
import random
from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dirsync.fs.read.content_hash import Checkpoint, ContentHash
from dirsync.limits import LIMITS

PART = LIMITS.min_hash_part_bytes
CONTENT = random.Random(1).randbytes(6 * PART + 1000)
lengths = st.lists(st.sampled_from((0, 1, 1000, PART // 2, PART - 1, PART, PART + 1, 2 * PART)), max_size=8)


def hashed(content: bytes, lengths: Iterable[int], former: Iterable[Checkpoint] = ()) -> ContentHash:
    """What comes in parts of these lengths, the remainder in one."""
    found, at = ContentHash(), 0
    found.make_checkpoints(lambda offset, size: content[offset : offset + size], [*former])
    for length in (*lengths, len(content)):
        found.update(content[at : at + length])
        at += length
    return found


@given(lengths, lengths, st.integers(0, len(CONTENT)), st.sampled_from(("edit", "append", "cut", "insert")))
def test_is_that_of_the_content(before: list[int], after: list[int], at: int, change: str) -> None:
    """Of an edited, longer or shorter version, read in other parts than the former one."""
    former = hashed(CONTENT, before)
    content = {
        "edit": CONTENT[:at] + b"?" * min(100, len(CONTENT) - at) + CONTENT[at + 100 :],
        "append": CONTENT + CONTENT[:at],
        "cut": CONTENT[:at],
        "insert": CONTENT[:at] + b"?" + CONTENT[at:],
    }[change]
    found = hashed(content, after, former.checkpoints)

    assert hashlib.sha256(content).digest() == found.digest() == found.copy().digest()
    ends = [checkpoint.end for checkpoint in found.checkpoints]
    assert sorted(set(ends)) == ends
    for checkpoint in found.checkpoints:
        assert hashlib.sha256(content[: checkpoint.end]).digest() == checkpoint.state.copy().digest()


@given(lengths, lengths, st.integers(0, len(CONTENT) - 1))
def test_goes_on_where_it_differs(before: list[int], after: list[int], at: int) -> None:
    """In whatever parts it comes, checkpoints before the difference are taken over, and at most a part is reread."""
    former = hashed(CONTENT, before).checkpoints
    content = CONTENT[:at] + bytes([CONTENT[at] ^ 1]) + CONTENT[at + 1 :]
    reread: list[int] = []

    def read(offset: int, size: int) -> bytes:
        reread.append(size)
        return content[offset : offset + size]

    found, start = ContentHash(), 0
    found.make_checkpoints(read, former)
    for length in (*after, len(content)):
        found.update(content[start : start + length])
        start += length
    same = [checkpoint for checkpoint in former if checkpoint.end <= at]

    assert hashlib.sha256(content).digest() == found.digest()
    assert same == found.checkpoints[: len(same)]
    longest = max((later - earlier for earlier, later in pairwise([0, *(one.end for one in former)])), default=0)
    assert len(reread) <= 1
    assert sum(reread) <= longest
