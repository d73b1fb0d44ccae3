"""Compression of single messages, each on its own and of a size that is known beforehand.

A peer's claim of the decompressed size is the most that is ever produced, and the claim itself is bounded by the size
of a message, so a decompression bomb costs what an honest message costs.
"""

import enum
import zlib
from collections.abc import Iterable, Sequence

from dirsync.errors import InvalidMessage, LimitExceeded
from dirsync.limits import LIMITS

GZIP_LEVEL = 1
"""zlib's fastest level: the network of a sidecar is fast, and a slower level saves a few percent."""
ZSTD_LEVEL = 1
_GZIP_WINDOW = 31
"""zlib's way to ask for the gzip format."""


class Compression(enum.IntEnum):
    """How bytes are encoded; the numbers are those of the wire."""

    NONE = 1
    GZIP = 2
    ZSTD = 3


def known_compressions(numbers: Iterable[int]) -> frozenset[Compression]:
    """Those of the wire's numbers that this version knows."""
    known = {int(compression) for compression in Compression}
    return frozenset(Compression(number) for number in numbers if number in known)


def compress(compression: Compression, payload: bytes) -> bytes:
    """The payload, encoded."""
    match compression:
        case Compression.GZIP:
            return zlib.compress(payload, GZIP_LEVEL, _GZIP_WINDOW)
        case Compression.ZSTD:
            # Imported late: a run that compresses nothing starts faster.
            import zstandard  # noqa: PLC0415

            return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(payload)
        case Compression.NONE:
            return payload


def smaller(compression: Compression, payload: bytes) -> bytes | None:
    """The payload, encoded; ``None`` if it is to stay as it is, or would not get smaller."""
    if compression is Compression.NONE:
        return None
    packed = compress(compression, payload)
    return packed if len(packed) < len(payload) else None


def decompress(compression: int, payload: bytes, size: int) -> bytes:
    """The ``size`` bytes that ``payload`` encodes.

    Raises:
        LimitExceeded: the size is more than a message may hold.
        InvalidMessage: the payload is damaged or has another size, or the compression is not known.
    """
    if size > LIMITS.max_message_bytes:
        msg = f"a compressed message of {size} bytes; at most {LIMITS.max_message_bytes} are accepted"
        raise LimitExceeded("max_message_bytes", msg)
    if compression == Compression.GZIP:
        data = _gunzip(payload, size)
    elif compression == Compression.ZSTD:
        data = _unzstd(payload, size)
    else:
        msg = f"unknown compression {compression}"
        raise InvalidMessage(msg, reason="UNKNOWN_COMPRESSION")
    if len(data) != size:
        msg = f"a compressed message does not have the announced size of {size} bytes"
        raise InvalidMessage(msg, reason="INVALID_COMPRESSION")
    return data


def _gunzip(payload: bytes, size: int) -> bytes:
    decompressor = zlib.decompressobj(_GZIP_WINDOW)
    try:
        # One byte more than announced is enough to see that there is more.
        return decompressor.decompress(payload, size + 1)
    except zlib.error:
        msg = "a gzip message is damaged"
        raise InvalidMessage(msg, reason="INVALID_COMPRESSION") from None


def _unzstd(payload: bytes, size: int) -> bytes:
    import zstandard  # noqa: PLC0415

    try:
        with zstandard.ZstdDecompressor(max_window_size=LIMITS.max_message_bytes * 8).stream_reader(payload) as reader:
            return reader.read(size + 1)
    except zstandard.ZstdError:
        msg = "a zstd message is damaged"
        raise InvalidMessage(msg, reason="INVALID_COMPRESSION") from None


def shares(saved: int, sizes: Sequence[int]) -> list[int]:
    """What compression saved on a batch, spread over its contents by their sizes; none saves more than it has."""
    total = sum(sizes)
    return [min(saved, total) * size // total if total else 0 for size in sizes]


def shrinks(sample: bytes) -> bool:
    """Whether a sample of some content is worth compressing: zstd saves a tenth or more of it."""
    return len(compress(Compression.ZSTD, sample)) < len(sample) * 0.9
