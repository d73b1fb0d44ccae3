"""What the largest signature and the largest blocks take of memory."""

import random
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from dirsync.delta.match.matcher import Matcher
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.from_wire import signature_from_wire
from dirsync.delta.signature.packed import CHECKSUMS_SIZE
from dirsync.delta.signature.signature import Signature
from dirsync.delta.signature.stored import dump_signature, load_signature
from dirsync.limits import LIMITS
from tests.support.inside.matching import built

MIB = 1 << 20
FRAME = random.Random(1).randbytes(LIMITS.frame_bytes)


@pytest.fixture
def traced() -> Iterator[None]:
    """Count what is allocated from here on."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def peak() -> float:
    """The most that was allocated at a time, in MiB."""
    return tracemalloc.get_traced_memory()[1] / MIB


@pytest.mark.usefixtures("traced")
def test_the_largest_signature_of_a_server() -> None:
    """All of its checksums, what finds them, and a matcher that searches: less than 40 MiB."""
    packed = np.random.default_rng(1).bytes(CHECKSUMS_SIZE * LIMITS.max_blocks)
    matcher = Matcher(signature_from_wire(4096, 4096 * LIMITS.max_blocks, packed))
    for _ in range(4):
        matcher.feed(FRAME)

    assert matcher.effort.searched_bytes > MIB
    assert peak() < 40


@pytest.mark.usefixtures("traced")
def test_the_largest_signature_of_our_own() -> None:
    """Building one while matching against another, with blocks that are all different: less than 40 MiB for both."""
    blocks = LIMITS.max_blocks
    size = 512
    signature = Signature(
        size,
        size * blocks,
        SignatureBuilder(size).strong,
        np.frombuffer(np.random.default_rng(1).bytes(16 * blocks), "V16"),
        np.random.default_rng(2).integers(0, 1 << 32, blocks // 4, dtype=np.uint32),
        stride=4,
    )
    builder = SignatureBuilder(size, stride=4, like=signature)
    matcher = Matcher(signature, builder)
    for _ in range(size * blocks // len(FRAME)):
        matcher.feed(FRAME)

    assert builder.finish() is not None
    assert peak() < 40


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("block_size, bound", [(4096, 8), (1 * MIB, 16), (16 * MIB, 100)])
def test_what_is_undecided_is_bounded(block_size: int, bound: int) -> None:
    """However much of a target matches nothing, a window and a few blocks of it are kept."""
    matcher = Matcher(
        Signature(
            block_size,
            100 * block_size,
            SignatureBuilder(1).strong,
            np.zeros(100, "V16"),
            np.arange(25, dtype=np.uint32),
            stride=4,
        )
    )
    for _ in range(110):
        matcher.feed(FRAME)

    assert peak() < bound


def test_a_stored_signature_is_not_copied() -> None:
    """What was read from a file is the signature's memory."""
    loaded = load_signature(dump_signature(built(FRAME, 4096)))

    assert loaded is not None
    assert not loaded.strong_sums.flags.owndata
    assert not loaded.weak_sums.flags.owndata
