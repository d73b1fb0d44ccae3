"""Content and signatures made to be slow: cost is counted, not timed, and the result is right."""

import random
from collections.abc import Callable

import pytest

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Zeros
from dirsync.delta.signature.signature import Signature
from dirsync.limits import LIMITS
from tests.support.inside.matching import Delta, collide_blocks, delta_of, fetched, signed
from tests.support.inside.patch import patch

B = 1024
COLLIDING = collide_blocks(4096, B)


def bounded(basis: bytes, signature: Signature, target: bytes) -> Delta:
    """The delta of a target; it makes the target, and what it cost is in proportion to both sizes."""
    delta = delta_of(signature, target, lengths=[LIMITS.frame_bytes] * 20)
    effort = delta.effort

    assert target == patch(basis, delta.pieces, B)
    assert effort.searched_bytes <= len(target)
    assert (effort.failed_checks - 1) * 2048 <= LIMITS.failed_check_share * effort.searched_bytes
    assert effort.hashed_bytes <= 8 * len(target)
    return delta


@pytest.mark.case("I24")
def test_the_blocks_do_collide() -> None:
    """The generator is worth its name: many blocks, each of them different, one weak checksum."""
    signature = signed(b"".join(COLLIDING), B)

    assert (4096, 1) == (len(set(COLLIDING)), len(set(signature.weak_sums.tolist())))


@pytest.mark.case("I24")
@pytest.mark.parametrize("sign", [signed, fetched])
def test_a_target_of_collisions(sign: Callable[[bytes, int], Signature]) -> None:
    """Where nearly every offset has the weak checksum of every block, few strong ones are computed, none wrongly."""
    basis, target = b"".join(COLLIDING[:2048]), b"".join(COLLIDING[2048:])
    delta = bounded(basis, sign(basis, B), target)

    assert delta.effort.failed_checks >= 1000
    assert len(target) == delta.literal_bytes


@pytest.mark.case("I24")
def test_collisions_in_other_order() -> None:
    """Blocks that collide with one another are still found where they are in step, and nothing is found wrongly."""
    basis = b"".join(COLLIDING)
    shuffled = [COLLIDING[n : n + 16] for n in range(0, 4096, 16)]
    random.Random(1).shuffle(shuffled)
    delta = bounded(basis, signed(basis, B), b"".join(block for run in shuffled for block in run))

    assert delta.effort.matched_bytes > 0


@pytest.mark.case("I24")
def test_one_collision_does_not_hide_a_block() -> None:
    """Among a few blocks with one weak checksum the right one is found, wherever it moved."""
    few = LIMITS.max_candidates
    rest = random.Random(1).randbytes(100 * B)
    basis = b"".join(COLLIDING[:few]) + rest
    moved = b"".join(b"x" * 10 + COLLIDING[number] for number in range(few - 1, -1, -1))

    assert [BlockRange(n, 1) for n in range(few - 1, -1, -1)] == [
        piece for piece in bounded(basis, signed(basis, B), moved).pieces if isinstance(piece, BlockRange)
    ]


@pytest.mark.case("I25")
def test_zeros_against_zeros() -> None:
    """Zeros that grew and shifted are copies and numbers, in a handful of pieces."""
    basis, target = bytes(8 << 20), b"x" + bytes(16 << 20)
    delta = bounded(basis, signed(basis, B), target)

    assert delta.literal_bytes <= B
    assert len(delta.pieces) <= 20
    assert delta.effort.searched_bytes <= LIMITS.search_window_bytes


@pytest.mark.case("I25")
def test_zeros_against_anything_else() -> None:
    """Zeros that no block of the basis has, or only one, are one number."""
    dice = random.Random(1)
    basis = dice.randbytes(99 * B) + bytes(B) + dice.randbytes(99 * B)

    assert [Zeros(16 << 20)] == bounded(basis, signed(basis, B), bytes(16 << 20)).pieces


@pytest.mark.case("I25")
@pytest.mark.parametrize("sign", [signed, fetched])
def test_one_repeated_block(sign: Callable[[bytes, int], Signature]) -> None:
    """A basis and a target of one block again and again, the target shifted: found, and nearly unsearched."""
    block = random.Random(1).randbytes(B)
    delta = bounded(block * 4096, sign(block * 4096, B), b"shifted" + block * 8192)

    assert delta.literal_bytes == len(b"shifted")
    assert delta.effort.searched_bytes <= LIMITS.search_window_bytes


@pytest.mark.case("I25")
@pytest.mark.parametrize("period", [1, 3, 1000, B - 1, B + 1, 5000])
def test_periods_that_do_not_divide_a_block(period: int) -> None:
    """Content with a period, in the basis with a few faults."""
    cycle = random.Random(1).randbytes(period)
    target = (cycle * (8 * 1024 * B // period + 1))[: 4096 * B]
    basis = bytearray(target)
    for at in range(0, len(basis), 100 * period + 50 * B):
        basis[at] ^= 1
    delta = bounded(bytes(basis), signed(bytes(basis), B), b"12345" + target)

    assert delta.effort.matched_bytes >= 0.9 * len(target)


@pytest.mark.case("J01")
def test_a_signature_of_lies() -> None:
    """Checksums that are all the same, or those of other content, cost no more; the pieces are still within bounds."""
    target = random.Random(1).randbytes(1 << 20)
    for lie in (fetched(target[:B] * 1024, B), fetched(bytes(1024 * B), B), fetched(target[::-1], B)):
        delta = delta_of(lie, target)

        assert all(sum(piece) <= 1024 for piece in delta.pieces if isinstance(piece, BlockRange))
        assert delta.effort.searched_bytes <= len(target)
        assert (delta.effort.failed_checks - 1) * 2048 <= LIMITS.failed_check_share * len(target)
