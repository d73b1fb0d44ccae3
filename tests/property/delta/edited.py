"""Contents to draw: a basis, and a target that is the basis after a few edits.

Two contents drawn independently share nothing, and what shrinks well says little about deltas. So a basis is made of
stretches (random, zeros, periodic), and a target is the basis perturbed.
"""

import random

from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.signature import Signature
from dirsync.delta.strong import SHA256, XXH3
from dirsync.limits import LIMITS, Limits
from tests.support.inside.matching import fetched, signed

EDITS = ("insert", "overwrite", "delete", "move", "repeat", "truncate", "append", "zeros")
block_sizes = st.sampled_from((1, 3, 16, 64, 100, 512, 4096))
lengths = st.lists(st.sampled_from((0, 1, 7, 100, 513, 4096, 40_000)), max_size=12)
"""Of frames, in bytes; the remainder comes in one."""


@st.composite
def contents(draw: st.DrawFn) -> bytes:
    """Up to some 20 KiB."""
    stretches = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5000), st.integers(0, 99)), max_size=4))
    return b"".join(_stretch(*stretch) for stretch in stretches)


def _stretch(kind: int, length: int, seed: int) -> bytes:
    dice = random.Random(seed)
    match kind:
        case 0:
            return bytes(length)
        case 1:
            return (dice.randbytes(1 + seed) * (length // (1 + seed) + 1))[:length]
        case _:
            return dice.randbytes(length)


@st.composite
def edited(draw: st.DrawFn, basis: bytes) -> bytes:
    """The basis after up to five edits."""
    target = bytearray(basis)
    for _ in range(draw(st.integers(0, 5))):
        start, to = draw(st.integers(0, len(target))), draw(st.integers(0, len(target)))
        length = draw(st.sampled_from((1, 2, 60, 700, 5000)))
        fresh = random.Random(draw(st.integers(0, 99))).randbytes(length)
        match draw(st.sampled_from(EDITS)):
            case "insert":
                target[start:start] = fresh
            case "overwrite":
                target[start : start + length] = fresh[: len(target) - start]
            case "delete":
                del target[start : start + length]
            case "move":
                moved = target[start : start + length]
                del target[start : start + length]
                target[to:to] = moved
            case "repeat":
                target[start:start] = 3 * target[start : start + length]
            case "truncate":
                del target[start:]
            case "append":
                target += fresh
            case _:
                target[start:start] = bytes(length)
    return bytes(target)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """Bounds small enough to be reached."""
    return Limits(
        min_block_size=1,
        search_window_bytes=draw(st.sampled_from((1, 1000, 20_000, LIMITS.search_window_bytes))),
        search_window_blocks=draw(st.sampled_from((1, 5, LIMITS.search_window_blocks))),
        search_tile_bytes=draw(st.sampled_from((1, 300, LIMITS.search_tile_bytes))),
        search_free_bytes=draw(st.sampled_from((0, 1000, LIMITS.search_free_bytes))),
        max_pending_bytes=draw(st.sampled_from((0, LIMITS.max_pending_bytes))),
        min_zero_run=draw(st.sampled_from((1, 2, 33, LIMITS.min_zero_run))),
        max_candidates=draw(st.sampled_from((1, LIMITS.max_candidates))),
    )


@st.composite
def ranges(draw: st.DrawFn, blocks: int) -> list[BlockRange]:
    """Some of so many blocks."""
    borders = sorted(draw(st.sets(st.integers(0, blocks), max_size=8)))
    pairs = zip(borders[::2], borders[1::2], strict=False)
    return [BlockRange(start, end - start) for start, end in pairs]


@st.composite
def signatures(draw: st.DrawFn, basis: bytes, block_size: int) -> Signature:
    """A signature of the basis, of any kind: our own, dense or sparse, or a server's, whole or of some blocks."""
    match draw(st.sampled_from(("own", "fetched", "partial"))):
        case "own":
            strong, stride = draw(st.sampled_from((SHA256, XXH3))), draw(st.sampled_from((1, 2, 4)))
            return signed(basis, block_size, strong=strong, stride=stride)
        case "fetched":
            return fetched(basis, block_size)
        case _:
            return fetched(basis, block_size, draw(ranges(-(-len(basis) // block_size))))


def builder_like(signature: Signature) -> SignatureBuilder:
    """What makes the signature of the next version, with all that it can take over."""
    return SignatureBuilder(signature.block_size, signature.strong, stride=signature.stride, like=signature)
