"""Signatures: the same from every source, and soundly kept."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.pieces import DeltaError
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.from_wire import signature_from_wire
from dirsync.delta.signature.packed import CHECKSUMS_SIZE, pack_checksums
from dirsync.delta.signature.signature import Signature
from dirsync.delta.signature.stored import dump_signature, load_signature
from dirsync.delta.strong import SHA256, XXH3
from dirsync.limits import LIMITS
from tests.property.delta import edited
from tests.support.inside.matching import built, fetched, framed, signed


def known(signature: Signature) -> tuple[object, ...]:
    """All that a signature says."""
    return (
        signature.block_size,
        signature.size,
        signature.strong,
        signature.stride,
        signature.ranges,
        signature.strong_sums.tobytes(),
        signature.weak_sums.tolist(),
        signature.group,
        signature.group_sums.tobytes(),
    )


@given(edited.contents(), edited.block_sizes, edited.lengths)
def test_built_is_received(basis: bytes, block_size: int, lengths: list[int]) -> None:
    """However content is framed, its own signature is the one that a server would send of it."""
    assert known(fetched(basis, block_size)) == known(signed(basis, block_size, strong=SHA256, lengths=lengths))


@given(edited.contents(), edited.block_sizes, edited.lengths)
def test_every_group_has_its_sum(basis: bytes, block_size: int, lengths: list[int]) -> None:
    """However content is framed; the last group is as short as it is."""
    signature = signed(basis, block_size, lengths=lengths)
    size = signature.group * block_size

    assert LIMITS.group_blocks == signature.group
    assert b"".join(XXH3.digest(basis[at : at + size]) for at in range(0, len(basis), size)) == signature.group_sums


@given(st.data(), edited.block_sizes, edited.lengths, st.sampled_from((1, 4, 16)))
def test_what_it_is_like_changes_nothing(data: st.DataObject, block_size: int, lengths: list[int], stride: int) -> None:
    """The signature of an edited file is the same with and without what is known of the file before."""
    basis = data.draw(edited.contents())
    target = data.draw(edited.edited(basis))
    builder = SignatureBuilder(block_size, stride=stride, like=signed(basis, block_size, stride=stride))
    for frame in framed(target, lengths):
        builder.feed(frame)
    made = builder.finish()

    assert made is not None
    assert built(target, block_size, stride=stride) == made


@given(edited.contents(), edited.block_sizes, st.integers(1, 5))
def test_every_sum_is_that_of_its_block(basis: bytes, block_size: int, stride: int) -> None:
    """Strong checksums of all blocks, the last one as short as it is; weak ones of every so manieth."""
    signature = signed(basis, block_size, stride=stride)
    blocks = [basis[at : at + block_size] for at in range(0, len(basis), block_size)]

    assert [XXH3.digest(block) for block in blocks] == [signature.strong_sum(number) for number in range(len(blocks))]
    assert [zlib.adler32(block) for block in blocks[::stride]] == signature.weak_sums.tolist()


@given(st.data(), edited.contents(), edited.block_sizes)
def test_what_a_partial_signature_knows(data: st.DataObject, basis: bytes, block_size: int) -> None:
    """It knows exactly the blocks of its ranges, and says the same of them as a whole one."""
    ranges = data.draw(edited.ranges(block_count(len(basis), block_size)))
    whole, part = fetched(basis, block_size), fetched(basis, block_size, ranges)
    blocks = {block for first, count in ranges for block in range(first, first + count)}
    everything = range(-1, whole.count + 2)

    assert [whole.strong_sum(block) if block in blocks else None for block in everything] == [
        part.strong_sum(block) for block in everything
    ]
    for start in everything[1:]:
        run = next(n for n in range(whole.count + 3) if start + n not in blocks or start + n >= whole.whole)
        assert run == part.known_from(start)
        near = {block for block in blocks if start <= block < start + 3 and block < whole.whole}
        assert bool(near) == part.knows_any(start, 3)
    sums = whole.strong_sums.tobytes()
    assert [block in blocks for block in range(whole.count)] == (part.equal(0, sums).tolist() if sums else [])
    assert all(row == part.row(part.block(row)) for row in range(len(blocks)))


@given(edited.contents(), edited.block_sizes, st.sampled_from((SHA256, XXH3)), st.integers(1, 5))
@pytest.mark.case("A13")
def test_a_stored_signature_comes_back(basis: bytes, block_size: int, strong: object, stride: int) -> None:
    """What was written is read."""
    signature = built(basis, block_size, strong=SHA256 if strong is SHA256 else XXH3, stride=stride)
    loaded = load_signature(dump_signature(signature))

    assert loaded is not None
    assert known(signature.signature()) == known(loaded)


@given(edited.contents(), st.data())
@pytest.mark.case("A13")
def test_a_damaged_signature_is_none(basis: bytes, data: st.DataObject) -> None:
    """One byte that changed, or any that are missing or too many, and there is no signature."""
    stored = dump_signature(built(basis, 64))
    at = data.draw(st.integers(0, len(stored) - 1))
    flipped = stored[:at] + bytes([stored[at] ^ data.draw(st.integers(1, 255))]) + stored[at + 1 :]

    assert (None, None, None) == (load_signature(flipped), load_signature(stored[:at]), load_signature(stored + b"x"))


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda rest: dump_signature(built(b"", 64))[:-4] + rest))
@pytest.mark.case("A13")
def test_any_bytes_are_a_signature_or_none(stored: bytes) -> None:
    """No bytes raise; what is taken for a signature is whole."""
    signature = load_signature(stored)

    assert signature is None or signature.complete


@given(st.integers(0, 10_000), st.integers(1, 600), st.integers(-2, 2))
@pytest.mark.case("I07", "J01")
def test_checksums_that_do_not_fit_the_size_are_refused(size: int, block_size: int, more: int) -> None:
    """A server has to send as many checksums as the basis has blocks."""
    blocks = block_count(size, block_size)
    packed = bytes(max(0, CHECKSUMS_SIZE * blocks + more))
    if len(packed) == CHECKSUMS_SIZE * blocks:
        assert blocks == signature_from_wire(block_size, size, packed).count
    else:
        with pytest.raises(DeltaError):
            signature_from_wire(block_size, size, packed)


@given(st.lists(st.builds(BlockRange, st.integers(-1, 12), st.integers(-1, 12)), max_size=4))
@pytest.mark.case("J01")
def test_ranges_that_a_basis_has_not_are_refused(ranges: list[BlockRange]) -> None:
    """Ranges of checksums ascend, do not overlap, and are in the basis."""
    numbers = [block for first, count in ranges for block in range(first, first + count)]
    sound = numbers == sorted(set(numbers)) and all(0 <= block < 10 for block in numbers)
    sound = sound and all(count > 0 for _, count in ranges)
    packed = pack_checksums(bytes(64 * max(0, sum(count for _, count in ranges))), 64)
    if sound:
        assert numbers == [b for b in range(10) if signature_from_wire(64, 640, packed, ranges).row(b) is not None]
    else:
        with pytest.raises(DeltaError):
            signature_from_wire(64, 640, packed, ranges)
