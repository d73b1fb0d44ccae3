"""Signatures on the wire: a client takes exactly the blocks that it asked for, whatever a server sends."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange
from dirsync.delta.signature.packed import CHECKSUMS_SIZE
from dirsync.errors import InvalidMessage, RemoteError
from dirsync.limits import LIMITS
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import MAX_SIZE
from dirsync.wire.signature import (
    SignaturePage,
    SignatureRequest,
    check_signature_pages,
    decode_signature_page,
    decode_signature_request,
    encode_signature_pages,
    ranges_within,
)
from tests.property.wire.values import ranges

SESSION, DIGEST = b"s" * 16, b"d" * 32
uint64 = st.integers(0, 12) | st.sampled_from((MAX_SIZE - 1, MAX_SIZE, 1 << 63, (1 << 64) - 1))
hostile_ranges = st.lists(st.tuples(uint64, uint64), max_size=4)


def blocks_of(some: Sequence[tuple[int, int]]) -> list[int]:
    """The numbers of the blocks in ranges."""
    return [number for first, count in some for number in range(first, first + count)]


def spans(pages: Sequence[SignaturePage]) -> list[tuple[int, int]]:
    """The ranges of blocks that pages say they have."""
    return [(page.first, len(page.checksums) // CHECKSUMS_SIZE) for page in pages]


def checksum(block: int) -> bytes:
    """Some checksums that belong to this block only."""
    return block.to_bytes(CHECKSUMS_SIZE, "big")


def blocks_in(pages: Sequence[SignaturePage]) -> list[int]:
    """The blocks whose checksums are in pages, which must be those that the pages number."""
    numbers = blocks_of(spans(pages))
    assert b"".join(map(checksum, numbers)) == b"".join(page.checksums for page in pages)
    return numbers


@st.composite
def runs(draw: st.DrawFn, asked: Sequence[tuple[int, int]]) -> list[tuple[int, bytes]]:
    """The checksums of the blocks asked for, in runs as they might be made: some of no block at all."""
    made = []
    for first, count in asked:
        at = first
        while at < first + count:
            length = draw(st.integers(0, first + count - at))
            made.append((at, b"".join(map(checksum, range(at, at + length)))))
            at += length
    return made


@given(asked=ranges(), drawn=st.data())
def test_round_trip(asked: Sequence[BlockRange], drawn: st.DataObject) -> None:
    """However the server makes its checksums, the client gets those of the blocks that it asked for."""
    raws = list(encode_signature_pages(drawn.draw(runs(asked))))
    pages = list(check_signature_pages(map(decode_signature_page, raws), asked))

    assert blocks_of(asked) == blocks_in(pages)


@pytest.mark.parametrize("run", [1, 7, 256, 100_000])
def test_pages_are_full(run: int) -> None:
    """Checksums made in runs of any length travel in pages of the intended size, of which only the last is smaller."""
    total = 40_000
    made = ((at, bytes(CHECKSUMS_SIZE * min(run, total - at))) for at in range(0, total, run))
    pages = [decode_signature_page(raw) for raw in encode_signature_pages(made)]
    most = LIMITS.signature_bytes // CHECKSUMS_SIZE

    assert [*range(0, total, most)] == [page.first for page in pages]
    assert {most * CHECKSUMS_SIZE} == {len(page.checksums) for page in pages[:-1]}
    assert total * CHECKSUMS_SIZE == sum(len(page.checksums) for page in pages)


@pytest.mark.case("J01")
@given(asked=ranges(), drawn=st.data())
def test_only_what_was_asked_for(asked: Sequence[BlockRange], drawn: st.DataObject) -> None:
    """Pages that were dropped, repeated, swapped, cut or invented are refused, and nothing beyond them is passed on."""
    pages = [decode_signature_page(raw) for raw in encode_signature_pages(drawn.draw(runs(asked)))]
    for _ in range(drawn.draw(st.integers(1, 3))):
        at = drawn.draw(st.integers(0, len(pages)))
        match drawn.draw(st.sampled_from(("drop", "repeat", "swap", "cut", "invent"))):
            case "drop":
                del pages[at : at + 1]
            case "repeat":
                pages[at:at] = pages[at : at + 1]
            case "swap":
                pages[at : at + 2] = pages[at : at + 2][::-1]
            case "cut" if pages[at:] and len(pages[at].checksums) > CHECKSUMS_SIZE:
                pages[at] = pages[at]._replace(checksums=pages[at].checksums[CHECKSUMS_SIZE:])
            case _:
                first = drawn.draw(st.integers(0, 30))
                pages.insert(at, SignaturePage(first, checksum(first)))
    sent = blocks_of(spans(pages))
    passed: list[SignaturePage] = []
    reason = ""
    try:
        passed.extend(check_signature_pages(pages, asked))
    except RemoteError as error:
        reason = error.reason
    numbers = blocks_of(spans(passed))

    assert reason in (("",) if sent == blocks_of(asked) else ("SIGNATURE_OUT_OF_ORDER", "SIGNATURE_INCOMPLETE"))
    assert blocks_of(asked)[: len(numbers)] == numbers


@pytest.mark.case("J01")
def test_endless_signature() -> None:
    """A server that never stops is left at the first page too many; no page after it is read."""
    read = 0

    def endless() -> SignaturePage:
        nonlocal read
        read += 1
        return SignaturePage(read - 1, checksum(read - 1))

    with pytest.raises(RemoteError, match="2 on"):
        list(check_signature_pages(iter(endless, None), [(0, 2)]))

    assert 3 == read


@given(asked=hostile_ranges)
def test_ranges(asked: Sequence[tuple[int, int]]) -> None:
    """Ranges are taken exactly if each has a block, they ascend without overlapping, and no number overflows."""
    message = pb.GetSignatureRequest(
        session_id=SESSION,
        digest=DIGEST,
        block_size=4096,
        ranges=[pb.BlockRange(first=first, count=count) for first, count in asked],
    )
    ends = [0, *(first + count for first, count in asked)]
    sound = all(
        count >= 1 and end <= first and first + count < 1 << 63
        for (first, count), end in zip(asked, ends, strict=False)
    )
    if not sound:
        with pytest.raises(InvalidMessage) as refused:
            decode_signature_request(message.SerializeToString())

        assert "INVALID_RANGE" == refused.value.reason
        return

    assert tuple(asked) == decode_signature_request(message.SerializeToString()).ranges


@given(asked=ranges(), size=st.integers(0, 20 * 512))
def test_ranges_within(asked: tuple[BlockRange, ...], size: int) -> None:
    """Of content, its blocks may be asked for and no others; no ranges mean all of them."""
    request = SignatureRequest(SESSION, DIGEST, 512, asked)
    there = range(len(range(0, size, 512)))
    if set(blocks_of(asked)) - set(there):
        with pytest.raises(InvalidMessage) as refused:
            ranges_within(request, size)

        assert "INVALID_RANGE" == refused.value.reason
        return

    assert (blocks_of(asked) or list(there)) == blocks_of(ranges_within(request, size))


@pytest.mark.case("I07")
@pytest.mark.parametrize("block_size, taken", [(512, False), (1024, False), (2048, True), (4096, True)])
def test_too_many_blocks(block_size: int, *, taken: bool) -> None:
    """Content whose blocks would be more than a file may have is not cut into them."""
    size = LIMITS.max_blocks * 2048
    request = SignatureRequest(SESSION, DIGEST, block_size)
    if taken:
        assert (BlockRange(0, size // block_size),) == ranges_within(request, size)
        return
    with pytest.raises(InvalidMessage) as refused:
        ranges_within(request, size)

    assert "INVALID_BLOCK_SIZE" == refused.value.reason


@pytest.mark.case("J01")
@pytest.mark.parametrize("first, length", [(0, 0), (0, 1), (0, 35), (5, 37), (1 << 63, 36), (MAX_SIZE, 36)])
def test_pages_that_are_none(first: int, length: int) -> None:
    """A page without a whole number of checksums, or of blocks that no file has, is refused."""
    raw = pb.GetSignatureResponse(first_block=first, checksums=bytes(length)).SerializeToString()
    with pytest.raises(InvalidMessage) as refused:
        decode_signature_page(raw)

    assert "INVALID_SIGNATURE" == refused.value.reason
