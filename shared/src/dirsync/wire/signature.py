"""Messages of ``GetSignature``: the checksums of blocks of content that the replica has.

The client names the content by its digest. A wrong answer costs bytes, never correctness, because the SHA-256 of the
whole file decides at the end.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.signature.packed import CHECKSUMS_SIZE
from dirsync.errors import InvalidMessage, LimitExceeded, RemoteError
from dirsync.limits import LIMITS
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import MAX_SIZE
from dirsync.wire.parse import parse
from dirsync.wire.push.frames import check_block_size, check_content_digest
from dirsync.wire.ranges import ascending, runs
from dirsync.wire.session import check_session_id

_PAGE_BLOCKS = LIMITS.signature_bytes // CHECKSUMS_SIZE


class SignatureRequest(NamedTuple):
    """A request for the checksums of blocks of the content that has this SHA-256."""

    session_id: bytes
    digest: bytes
    block_size: int
    """In bytes."""
    ranges: tuple[BlockRange, ...] = ()
    """Ascending and disjoint. Empty means all blocks."""


class SignaturePage(NamedTuple):
    """Checksums of consecutive blocks, at least one, from block ``first`` on; 36 bytes each."""

    first: int
    checksums: bytes


def encode_signature_request(request: SignatureRequest) -> bytes:
    """A request for a signature."""
    message = pb.GetSignatureRequest(
        session_id=request.session_id, digest=request.digest, block_size=request.block_size
    )
    for first, count in request.ranges:
        message.ranges.add(first=first, count=count)
    return message.SerializeToString()


def decode_signature_request(raw: bytes) -> SignatureRequest:
    """Validate a request for a signature. :func:`ranges_within` checks that the content has such blocks.

    Raises:
        InvalidMessage: no correct client sends this.
        LimitExceeded: too many ranges.
    """
    message = parse(pb.GetSignatureRequest, raw)
    if len(message.ranges) > LIMITS.max_signature_ranges:
        msg = f"{len(message.ranges)} ranges of blocks in one call; at most {LIMITS.max_signature_ranges} are taken"
        raise LimitExceeded("max_signature_ranges", msg)
    return SignatureRequest(
        check_session_id(message.session_id),
        check_content_digest(message.digest),
        check_block_size(message.block_size),
        tuple(ascending((BlockRange(r.first, r.count) for r in message.ranges), "{1} blocks from block {0} on")),
    )


def ranges_within(request: SignatureRequest, size: int) -> tuple[BlockRange, ...]:
    """The ranges that a request asks for of content of ``size`` bytes: those that it names, or all blocks.

    Raises:
        InvalidMessage: the content has fewer blocks than the ranges, or more than any file may have.
    """
    blocks = block_count(size, request.block_size)
    if blocks > LIMITS.max_blocks:
        msg = f"{size} bytes in blocks of {request.block_size} are {blocks}; at most {LIMITS.max_blocks} are taken"
        raise InvalidMessage(msg, reason="INVALID_BLOCK_SIZE")
    if request.ranges and sum(request.ranges[-1]) > blocks:
        msg = f"block {sum(request.ranges[-1]) - 1} is asked for of content that has {blocks}"
        raise InvalidMessage(msg, reason="INVALID_RANGE")
    return request.ranges or ((BlockRange(0, blocks),) if blocks else ())


def encode_signature_pages(checksums: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
    """Pages of at most ``LIMITS.signature_bytes``, from runs of checksums as they are made.

    ``checksums`` yields the number of a run's first block and the checksums of its blocks, 36 bytes each; runs ascend.
    A run that continues the one before it shares its page.
    """
    first, gathered = 0, bytearray()
    for start, run in checksums:
        if start * CHECKSUMS_SIZE != first * CHECKSUMS_SIZE + len(gathered):
            yield from _pages(first, gathered)
            first, gathered = start, bytearray()
        gathered += run
        full = len(gathered) // CHECKSUMS_SIZE // _PAGE_BLOCKS * _PAGE_BLOCKS
        yield from _pages(first, gathered[: full * CHECKSUMS_SIZE])
        first += full
        del gathered[: full * CHECKSUMS_SIZE]
    yield from _pages(first, gathered)


def _pages(first: int, checksums: bytearray) -> Iterator[bytes]:
    step = _PAGE_BLOCKS * CHECKSUMS_SIZE
    for at in range(0, len(checksums), step):
        page = bytes(checksums[at : at + step])
        yield pb.GetSignatureResponse(first_block=first + at // CHECKSUMS_SIZE, checksums=page).SerializeToString()


def decode_signature_page(raw: bytes) -> SignaturePage:
    """Decode one page of a signature; :func:`check_signature_pages` checks that it was requested."""
    message = parse(pb.GetSignatureResponse, raw)
    length = len(message.checksums)
    if not length or length % CHECKSUMS_SIZE or length > LIMITS.max_message_bytes:
        msg = f"a page of a signature has {CHECKSUMS_SIZE} bytes for each of its blocks, not {length} in all"
        raise InvalidMessage(msg, reason="INVALID_SIGNATURE")
    if message.first_block + length // CHECKSUMS_SIZE > MAX_SIZE:
        msg = f"a page of a signature starts with block {message.first_block}, which no file has"
        raise InvalidMessage(msg, reason="INVALID_SIGNATURE")
    return SignaturePage(message.first_block, message.checksums)


def check_signature_pages(pages: Iterable[SignaturePage], wanted: Iterable[tuple[int, int]]) -> Iterator[SignaturePage]:
    """Yield pages that have exactly the requested blocks, in order.

    ``wanted`` are the ranges, ascending and not overlapping: first block and number of blocks. A page ends where its
    range does, unless the next range goes on there.

    Raises:
        RemoteError: a page has a block that was not asked for or is not due, or the pages end early.
    """
    due_runs = runs(wanted)
    due, end = next(due_runs, (0, 0))
    for first, checksums in pages:
        count = len(checksums) // CHECKSUMS_SIZE
        if first != due or first + count > end:
            msg = f"the server sent the checksums of {count} blocks from {first} on when {due} to {end} were due"
            raise RemoteError(msg, reason="SIGNATURE_OUT_OF_ORDER")
        due += count
        yield SignaturePage(first, checksums)
        if due == end:
            due, end = next(due_runs, (0, 0))
    if due != end:
        msg = f"the server's signature ended before block {due}"
        raise RemoteError(msg, reason="SIGNATURE_INCOMPLETE")
