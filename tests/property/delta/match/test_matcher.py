"""T3: a delta applied to its basis is the target, whatever both are, and costs no more than it may."""

from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Zeros
from dirsync.limits import Limits
from tests.property.delta import edited
from tests.support.inside.matching import built, delta_of
from tests.support.inside.patch import patch


@given(st.data(), edited.contents(), edited.block_sizes, edited.limits())
def test_patched_basis_is_the_target(data: st.DataObject, basis: bytes, block_size: int, limits: Limits) -> None:
    """For every kind of signature, framing and bounds; and no more is literal than the target has."""
    target = data.draw(edited.edited(basis))
    signature = data.draw(edited.signatures(basis, block_size))
    delta = delta_of(signature, target, lengths=data.draw(edited.lengths), limits=limits)

    assert target == patch(basis, delta.pieces, block_size)
    assert len(target) >= delta.literal_bytes


@given(st.data(), edited.contents(), edited.block_sizes, edited.limits())
def test_framing_makes_no_difference(data: st.DataObject, basis: bytes, block_size: int, limits: Limits) -> None:
    """The same pieces come out, at the same cost of searching, however the target is framed."""
    target = data.draw(edited.edited(basis))
    signature = data.draw(edited.signatures(basis, block_size))
    whole = delta_of(signature, target, limits=limits)
    framed = delta_of(signature, target, lengths=data.draw(edited.lengths), limits=limits)

    assert whole.pieces == framed.pieces
    assert whole.effort._replace(hashed_bytes=0) == framed.effort._replace(hashed_bytes=0)


@given(st.data(), edited.contents(), edited.block_sizes)
def test_the_targets_signature_comes_along(data: st.DataObject, basis: bytes, block_size: int) -> None:
    """A builder that shares its checksums with the matcher changes no piece, and makes the target's own signature."""
    target = data.draw(edited.edited(basis))
    signature = data.draw(edited.signatures(basis, block_size))
    builder = edited.builder_like(signature)
    delta = delta_of(signature, target, lengths=data.draw(edited.lengths), builder=builder)
    made = builder.finish()
    alone = built(target, block_size, strong=signature.strong, stride=signature.stride)

    assert delta_of(signature, target).pieces == delta.pieces
    assert made is not None
    assert alone == made


@given(st.data(), edited.contents(), st.sampled_from((16, 100, 512)))
def test_pieces_are_what_they_promise(data: st.DataObject, basis: bytes, block_size: int) -> None:
    """No literal is empty, no run of zeros short, no literal holds a long one, every copy is of known blocks."""
    target = data.draw(edited.edited(basis))
    signature = data.draw(edited.signatures(basis, block_size))
    limits = Limits(min_block_size=1, min_zero_run=100)
    for piece in delta_of(signature, target, limits=limits).pieces:
        match piece:
            case BlockRange(first, count):
                assert count >= 1
                assert None not in [signature.row(block) for block in range(first, first + count)]
            case Zeros(length):
                assert length >= 100
            case _:
                assert len(piece) >= 1
                # Two that were decided separately may meet in one literal, each just too short.
                assert bytes(2 * 100) not in bytes(piece)


@given(st.data(), edited.contents(), edited.contents(), st.sampled_from((64, 512)))
def test_cost_is_linear(data: st.DataObject, basis: bytes, other: bytes, block_size: int) -> None:
    """Each offset is searched once at most, and what is hashed is bounded by it and by what is found."""
    target = data.draw(st.permutations([data.draw(edited.edited(basis)), other, basis[::-1]]).map(b"".join))
    signature = data.draw(edited.signatures(basis, block_size))
    limits = Limits(
        min_block_size=1, search_window_blocks=2, search_tile_bytes=64, search_free_bytes=200, search_reward=1
    )
    effort = delta_of(signature, target, limits=limits).effort

    assert effort.searched_bytes <= len(target)
    assert (effort.failed_checks - 1) * 2048 <= limits.failed_check_share * max(effort.searched_bytes, 64)
    assert effort.hashed_bytes <= (2 + limits.search_window_blocks) * (len(target) + block_size)
    assert effort.searched_bytes <= 200 + effort.matched_bytes + len(target) // limits.search_share
