"""What is not hashed again, and what is kept for that."""

import hashlib
import random
from itertools import pairwise

import pytest

from dirsync.fs.read.content_hash import Checkpoint, ContentHash
from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.limits import LIMITS

PART = LIMITS.min_hash_part_bytes
CONTENT = random.Random(1).randbytes(4 * PART)


def hashed(content: bytes, former: list[Checkpoint] | None = None, step: int = PART) -> ContentHash:
    """Content that comes in parts of one length."""
    found = ContentHash()
    found.make_checkpoints(lambda offset, size: content[offset : offset + size], former or ())
    for at in range(0, len(content), step):
        found.update(content[at : at + step])
    return found


def lying(checkpoints: list[Checkpoint]) -> list[Checkpoint]:
    """The same with states of something else, by which one can tell what was taken over."""
    return [checkpoint._replace(state=hashlib.sha256(b"else")) for checkpoint in checkpoints]


def test_the_same_is_not_hashed_again() -> None:
    """Its parts are recognised, and the state behind the last one is taken over."""
    found = hashed(CONTENT, lying(hashed(CONTENT).checkpoints))

    assert hashlib.sha256(b"else").digest() == found.digest()


def test_what_is_appended_is_hashed() -> None:
    """From the state behind the part before it."""
    found = hashed(CONTENT + b"more", lying(hashed(CONTENT).checkpoints))

    assert hashlib.sha256(b"else" + b"more").digest() == found.digest()


@pytest.mark.parametrize("step", [1000, PART - 1, PART + 1, 2 * PART])
def test_in_whatever_parts_it_comes(step: int) -> None:
    """What was kept is of use, also if the last part is not whole when the digest is wanted."""
    former = lying(hashed(CONTENT).checkpoints)

    assert hashlib.sha256(b"else").digest() == hashed(CONTENT, former, step).digest()
    assert (
        hashlib.sha256(b"else" + CONTENT[PART : PART + 9]).digest()
        == hashed(CONTENT[: PART + 9], former, step).digest()
    )


def test_nothing_is_followed_behind_a_difference() -> None:
    """Also if what comes then is what was there before: the state is another."""
    content = CONTENT[:PART] + b"?" + CONTENT[PART + 1 :]
    former = hashed(CONTENT).checkpoints
    found = hashed(content, [former[0], *lying(former[1:])])

    assert hashlib.sha256(content).digest() == found.digest()


def test_a_small_part_makes_no_checkpoint() -> None:
    """Each costs memory, so what comes in small pieces makes one part."""
    ends = [0, *(checkpoint.end for checkpoint in hashed(CONTENT, step=1000).checkpoints)]

    assert [PART // 1000 * 1000 + 1000] * 3 == [end - start for start, end in pairwise(ends)]


def test_without_being_asked_there_are_none() -> None:
    """Small files need none."""
    found = ContentHash()
    found.update(CONTENT)

    assert [] == found.checkpoints
    with pytest.raises(ValueError, match="all of the content"):
        found.make_checkpoints(lambda _offset, _size: b"")


def test_goes_on_behind_what_is_not_there() -> None:
    """An upload that is continued: the state is known, the bytes are not."""
    found = ContentHash.continued(hashlib.sha256(CONTENT[:100]), 100)
    found.update(CONTENT[100:])

    assert hashlib.sha256(CONTENT).digest() == found.digest()


def test_of_contents_the_last_used_are_kept() -> None:
    """As many as there is room for."""
    checkpoints = hashed(CONTENT).checkpoints
    assert 4 == len(checkpoints)
    known = KnownHashes(most=8)
    known.remember(b"a", checkpoints)
    known.remember(b"b", checkpoints[:3])
    assert known.get(b"a")
    known.remember(b"c", checkpoints[:2])
    known.remember(b"too many", checkpoints * 3)
    known.remember(b"none", [])

    assert [4, 0, 2, 0, 0] == [len(known.get(digest)) for digest in (b"a", b"b", b"c", b"too many", b"none")]


def test_the_same_content_counts_once() -> None:
    """It may be remembered again, with other checkpoints."""
    checkpoints = hashed(CONTENT).checkpoints
    known = KnownHashes(most=4)
    for count in (4, 1, 3):
        known.remember(b"a", checkpoints[:count])
    known.remember(b"b", checkpoints[:1])

    assert [3, 1] == [len(known.get(digest)) for digest in (b"a", b"b")]
