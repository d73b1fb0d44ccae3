"""What a matcher decides where it matters which way it decides."""

import random
from dataclasses import replace

import pytest

from dirsync.delta.blocks import BlockRange
from dirsync.delta.match.matcher import Matcher
from dirsync.delta.pieces import Zeros
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.signature import Signature
from dirsync.delta.strong import SHA256
from dirsync.limits import LIMITS, Limits
from tests.support.inside.matching import Delta, collide_blocks, delta_of, fed, fetched, merged, signed
from tests.support.inside.patch import patch

B = 4096
BASIS = random.Random(1).randbytes(100 * B + 100)
OTHER = random.Random(2).randbytes(4 << 20)
SIGNATURE = signed(BASIS, B)


def matched(target: bytes, limits: Limits = LIMITS) -> Delta:
    """The delta of a target against the basis; it makes the target."""
    delta = delta_of(SIGNATURE, target, limits=limits)

    assert target == patch(BASIS, delta.pieces, B)
    return delta


def test_equal_content_is_one_copy() -> None:
    """The whole basis, its short last block included, and nothing is searched."""
    delta = matched(BASIS)

    assert [BlockRange(0, 101)] == delta.pieces
    assert delta.effort.searched_bytes == 0


def test_the_short_last_block_is_only_at_the_end() -> None:
    """What follows a former end in the target has its remainder before it as a literal."""
    assert [BlockRange(0, 100), BASIS[-100:] + OTHER[:50]] == matched(BASIS + OTHER[:50]).pieces


def test_the_short_last_block_is_found_at_the_end() -> None:
    """The end of the basis is where the target ends, whatever was put in before it."""
    assert [BlockRange(0, 100), OTHER[:5000], BlockRange(100, 1)] == matched(
        BASIS[:-100] + OTHER[:5000] + BASIS[-100:]
    ).pieces


def test_in_place_edits_are_not_searched() -> None:
    """An edit of one or two blocks, with everything behind it in place, costs no search at all."""
    target = bytearray(BASIS)
    for block in (3, 4, 20, 50, 51, 98):
        target[block * B + 17] ^= 1
    delta = matched(bytes(target))

    assert 6 * B == delta.literal_bytes
    assert delta.effort.searched_bytes == 0


def test_a_longer_edit_is_searched_for_what_moved_there() -> None:
    """Between what stayed, blocks that come from elsewhere are found."""
    target = BASIS[: 10 * B] + OTHER[:77] + BASIS[60 * B : 64 * B] + OTHER[: B - 77] + BASIS[15 * B :]

    assert [BlockRange(0, 10), OTHER[:77], BlockRange(60, 4), OTHER[: B - 77], BlockRange(15, 86)] == matched(
        target
    ).pieces


@pytest.mark.parametrize("signature", [SIGNATURE, fetched(BASIS, B), signed(BASIS, B, stride=4)])
def test_only_what_was_edited_is_searched(signature: Signature) -> None:
    """Behind an edit of many blocks basis and target are in step again; the search ends there."""
    delta = delta_of(signature, BASIS[: 10 * B + 5] + OTHER[: 9 * B] + BASIS[19 * B + 5 :])

    assert 10 * B == delta.literal_bytes
    assert 9 * B + 1 == delta.effort.searched_bytes


def test_what_a_delta_costs_is_counted() -> None:
    """Each strong checksum that a weak one asked for, and what was hashed in step."""
    colliding = collide_blocks(3, B)
    basis = OTHER[:B] + colliding[0] + OTHER[B : 3 * B]
    effort = delta_of(signed(basis, B), b"1" + colliding[1] + OTHER[B : 3 * B]).effort

    assert (2 * B, 2, 1) == (effort.matched_bytes, effort.checks, effort.failed_checks)


def test_a_moved_stretch_is_found_in_a_sparse_signature() -> None:
    """Its first blocks, which have no weak checksum, are found backwards from the one that has one."""
    delta = delta_of(signed(BASIS, B, stride=4), OTHER[:777] + BASIS[9 * B : 30 * B])

    assert [OTHER[:777], BlockRange(9, 21)] == delta.pieces


def test_zeros_are_a_number() -> None:
    """Long runs travel as their length, to the byte; short ones do not."""
    target = OTHER[:500] + bytes(10_000) + OTHER[500:900] + bytes(LIMITS.min_zero_run - 1) + b"\x01" + bytes(300_000)
    expected = [OTHER[:500], Zeros(10_000), OTHER[500:900] + bytes(LIMITS.min_zero_run - 1) + b"\x01", Zeros(300_000)]

    assert expected == matched(target).pieces


def test_zeros_of_the_basis_are_copied_in_step() -> None:
    """Where the basis has the same zeros in the same place they are part of the copy."""
    basis = BASIS[: 5 * B] + bytes(20 * B) + BASIS[5 * B :]

    assert [BlockRange(0, 121)] == delta_of(signed(basis, B), basis).pieces


def test_a_repeated_block_is_copied_again() -> None:
    """A block that the target repeats, and the basis does not, is a copy each time, without a search for each."""
    delta = matched(BASIS[:B] * 500 + BASIS[B : 2 * B])

    assert [BlockRange(0, 1)] * 499 + [BlockRange(0, 2)] == delta.pieces
    assert delta.effort.searched_bytes <= LIMITS.search_window_bytes


def test_other_content_is_hardly_searched() -> None:
    """Beyond what is free, one of so many bytes is searched."""
    free = 100_000
    effort = matched(OTHER, replace(LIMITS, search_free_bytes=free)).effort

    assert effort.matched_bytes == 0
    assert free <= effort.searched_bytes <= free + len(OTHER) // LIMITS.search_share + LIMITS.search_tile_bytes


def test_a_search_that_finds_goes_on() -> None:
    """However much was searched without a match: some windows later something is found, and then everything is."""
    free = replace(LIMITS, search_free_bytes=1 << 20)
    shifted = (OTHER[:100] + BASIS[: 100 * B]) * 40
    delta = matched(OTHER + shifted, free)
    wait = LIMITS.search_tile_bytes * LIMITS.search_share + LIMITS.search_window_bytes

    assert delta.effort.searched_bytes < len(OTHER)
    assert delta.literal_bytes <= len(OTHER) + wait + 40 * (100 + B)


def test_what_was_found_before_buys_no_search() -> None:
    """A target that begins like the basis and goes on differently is not searched longer for that."""
    free = replace(LIMITS, search_free_bytes=100_000)

    assert matched(BASIS + OTHER, free).effort.searched_bytes <= matched(OTHER, free).effort.searched_bytes + B


def test_literals_are_views_of_the_frame() -> None:
    """Content that is only passed on is not copied."""
    frame = bytearray(OTHER[:3_000_000])
    literals = [piece for piece in Matcher(SIGNATURE).feed(frame) if isinstance(piece, memoryview)]

    assert sum(map(len, literals)) >= 2_500_000
    assert all(literal.obj is frame for literal in literals)


def test_pieces_come_as_soon_as_they_are_decided() -> None:
    """What is in step is put out with the frame that completes its block."""
    matcher = Matcher(SIGNATURE)

    assert [[], [BlockRange(0, 1)], [BlockRange(1, 2)]] == [
        matcher.feed(BASIS[:100]),
        matcher.feed(BASIS[100 : 2 * B - 1]),
        matcher.feed(BASIS[2 * B - 1 : 3 * B + 5]),
    ]


def test_stretches_may_be_matched_one_after_another() -> None:
    """A matcher that is restarted goes on with another stretch, at the block that is said to come next."""
    matcher = Matcher(fetched(BASIS, B, [BlockRange(10, 5), BlockRange(60, 5)]), expected=10)
    first = merged(fed(matcher, BASIS[10 * B : 16 * B]))
    matcher.restart(60)
    second = merged(fed(matcher, BASIS[60 * B : 62 * B] + OTHER[:50] + BASIS[63 * B : 65 * B]))

    assert [BlockRange(10, 5), BASIS[15 * B : 16 * B]] == first
    assert [BlockRange(60, 2), OTHER[:50], BlockRange(63, 2)] == second


def test_nothing_is_hashed_twice() -> None:
    """In place, a matcher takes the checksums that the target's own signature is made of."""
    target = BASIS[: 50 * B] + OTHER[: 2 * B] + BASIS[52 * B :]
    builders = (SignatureBuilder(B), SignatureBuilder(2 * B), SignatureBuilder(B, SHA256))
    hashed = [delta_of(SIGNATURE, target, builder=builder).effort.hashed_bytes for builder in builders]

    assert 0 == hashed[0]
    # But for a group that differs: its blocks are looked at one by one.
    assert max(hashed) <= (100 + LIMITS.group_blocks) * B


def test_a_builder_that_gave_up_does_no_harm() -> None:
    """A target that outgrew its own signature while it was read is matched as well as any other."""
    builder = SignatureBuilder(B, limits=Limits(max_blocks=10))
    delta = delta_of(SIGNATURE, BASIS[: 50 * B] + OTHER[:B] + BASIS[51 * B :], lengths=[3 * B] * 20, builder=builder)

    assert [BlockRange(0, 50), OTHER[:B], BlockRange(51, 50)] == delta.pieces
    assert builder.finish() is None


def test_of_equal_blocks_the_next_is_taken() -> None:
    """Where the basis repeats itself, a copy goes on behind the last one rather than at the first of its likes."""
    cycle = BASIS[: 8 * B]
    target = cycle[: 3 * B] + OTHER[:50] + cycle[4 * B :] + OTHER[50:90] + cycle * 2

    assert [BlockRange(0, 3), OTHER[:50], BlockRange(4, 4), OTHER[50:90], BlockRange(8, 16)] == delta_of(
        signed(cycle * 5, B), target
    ).pieces


def test_stretches_have_no_signature() -> None:
    """A builder would take the stretches for one target."""
    matcher = Matcher(SIGNATURE, SignatureBuilder(B))
    with pytest.raises(ValueError, match="cannot restart"):
        matcher.restart(0)


@pytest.mark.parametrize("basis", [b"", b"x", BASIS[: B - 1], BASIS[:B]])
@pytest.mark.parametrize("target", [b"", b"x", BASIS[: B - 1], BASIS[:B], BASIS[: B + 1]])
def test_content_of_hardly_a_block(basis: bytes, target: bytes) -> None:
    """Nothing is too small: empty files, and files shorter than a block."""
    delta = delta_of(signed(basis, B), target)

    assert target == patch(basis, delta.pieces, B)
    assert ([BlockRange(0, 1)] if target else []) == delta.pieces or basis != target
