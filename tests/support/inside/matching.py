"""Deltas in memory, both sides of them, and blocks that are hard to tell apart."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dirsync.delta.blocks import BlockRange
from dirsync.delta.match.matcher import Effort, Matcher
from dirsync.delta.pieces import Piece, Zeros
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.built import BuiltSignature
from dirsync.delta.signature.from_wire import signature_from_wire
from dirsync.delta.signature.packed import pack_checksums
from dirsync.delta.signature.signature import Signature
from dirsync.delta.strong import XXH3, Strong
from dirsync.limits import LIMITS, Limits


class Delta(NamedTuple):
    """The pieces of a delta, its neighbours merged as far as they can be, and what it cost."""

    pieces: list[Piece]
    effort: Effort

    @property
    def literal_bytes(self) -> int:
        """What travels as it is."""
        return sum(len(piece) for piece in self.pieces if not isinstance(piece, BlockRange | Zeros))


def framed(content: bytes, lengths: Iterable[int]) -> Iterator[bytearray]:
    """The content in frames of these lengths, the remainder in one. What was taken is overwritten, as callers may."""
    start = 0
    for length in (*lengths, len(content)):
        frame = bytearray(content[start : start + length])
        yield frame
        frame[:] = b"\xaa" * len(frame)
        start += length


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """The same content in as few pieces as their kinds allow."""
    result: list[Piece] = []
    for piece in pieces:
        match result[-1] if result else None, piece:
            case BlockRange(first, count), BlockRange(following, more) if first + count == following:
                result[-1] = BlockRange(first, count + more)
            case Zeros(length), Zeros(more):
                result[-1] = Zeros(length + more)
            case bytes() as literal, bytes() | memoryview():
                result[-1] = literal + piece
            case _:
                result.append(bytes(piece) if isinstance(piece, memoryview) else piece)
    return result


def built(
    basis: bytes, block_size: int, *, strong: Strong = XXH3, stride: int = 1, lengths: Iterable[int] = ()
) -> BuiltSignature:
    """The signature that a builder makes."""
    builder = SignatureBuilder(block_size, strong, stride=stride)
    for frame in framed(basis, lengths):
        builder.feed(frame)
    signature = builder.finish()
    assert signature is not None
    return signature


def signed(
    basis: bytes, block_size: int, *, strong: Strong = XXH3, stride: int = 1, lengths: Iterable[int] = ()
) -> Signature:
    """The same for searching."""
    return built(basis, block_size, strong=strong, stride=stride, lengths=lengths).signature()


def fetched(basis: bytes, block_size: int, ranges: list[BlockRange] | None = None) -> Signature:
    """The signature that a server's checksums make."""
    wanted = [basis] if ranges is None else [basis[f * block_size : (f + n) * block_size] for f, n in ranges]
    packed = b"".join(pack_checksums(part, block_size) for part in wanted)
    return signature_from_wire(block_size, len(basis), packed, ranges)


def fed(matcher: Matcher, target: bytes, lengths: Iterable[int] = ()) -> Iterator[Piece]:
    """The pieces of a target, each copied before the next frame comes."""
    for frame in framed(target, lengths):
        yield from [bytes(piece) if isinstance(piece, memoryview) else piece for piece in matcher.feed(frame)]
    yield from [bytes(piece) if isinstance(piece, memoryview) else piece for piece in matcher.finish()]


def delta_of(
    signature: Signature,
    target: bytes,
    *,
    lengths: Iterable[int] = (),
    builder: SignatureBuilder | None = None,
    limits: Limits = LIMITS,
) -> Delta:
    """The delta of a target that comes in frames of these lengths, the remainder in one."""
    matcher = Matcher(signature, builder, limits=limits)
    return Delta(merged(fed(matcher, target, lengths)), matcher.effort)


def collide_blocks(count: int, block_size: int) -> list[bytes]:
    """Different blocks with one weak checksum: +1, -2, +1 added to three bytes in a row changes neither of its sums."""
    blocks = []
    for number in range(count):
        block = bytearray(b"\x80" * block_size)
        for bit in range(number.bit_length()):
            if number >> bit & 1:
                at = 3 * bit
                block[at : at + 3] = bytes((block[at] + 1, block[at + 1] - 2, block[at + 2] + 1))
        blocks.append(bytes(block))
    return blocks
