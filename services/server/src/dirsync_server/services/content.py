"""Content for two-way clients: what the replica has, read when it is asked for.

What is read is of the version that the digest names: the file is one that was not touched since its digest was known,
and before a piece leaves it is looked at again. The client compares the digest of what it got in the end all the same.
No lock is held while a file is read.
"""

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dirsync.endpoint.finder import ContentFinder
from dirsync.endpoint.replica import Replica
from dirsync.errors import NotFound, Unavailable
from dirsync.fs.failure import Changing, PathFailure, Unreadable, reading_failure, shown
from dirsync.fs.read.extents import Extent, extents
from dirsync.fs.read.hashing import Cancelled
from dirsync.fs.read.stable import StableFile
from dirsync.limits import KIB, LIMITS
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.wire.compression import Compression, shrinks
from dirsync.wire.content import ByteRange, ContentRequest, content_ranges, encode_literal, encode_zeros
from dirsync.wire.push.results import CONTENT_NOT_FOUND
from dirsync_server.services.signature import ContentChanged

_SAMPLE_BYTES = 64 * KIB
"""The first bytes that are read decide whether content is compressed."""


class _Piece(NamedTuple):
    offset: int
    length: int
    is_hole: bool


def content_pieces(
    replica: Replica, request: ContentRequest, metrics: Metrics, cancelled: Cancelled
) -> Iterator[bytes]:
    """The pieces that answer a request.

    Raises:
        NotFound: the replica does not have the content (any more), or cannot read it.
        InvalidMessage: the content has no such bytes.
        ContentChanged: the file changed; what was sent so far is of one version.
        Unavailable: cancelled.
    """
    sent = metrics.counter("dirsync_content_sent_bytes_total")
    with ContentFinder(replica) as finder:
        file = finder.open(request.digest, request.path or None)
        if file is None:
            msg = "the replica has no content of this digest (any more); look at the path again"
            raise NotFound(msg, reason=CONTENT_NOT_FOUND)
        finder.report_hit()
        with file:
            compression = None
            try:
                for piece in _pieces(file, content_ranges(request, file.size)):
                    if cancelled():
                        raise Unavailable("the content is not wanted any more")
                    if piece.is_hole:
                        _require_settled(file)
                        yield encode_zeros(piece.offset, piece.length)
                        continue
                    literal = _read(file, piece)
                    if compression is None:
                        compression = _choose(request.compressions, literal)
                    sent.inc(len(literal))
                    yield encode_literal(piece.offset, literal, compression)[0]
            except Changing as error:
                finder.report_stale(file.path, request.digest)
                raise ContentChanged(str(error)) from error
            except Unreadable as error:
                raise NotFound(str(error), reason=CONTENT_NOT_FOUND) from error


def _pieces(file: StableFile, ranges: Iterable[ByteRange]) -> Iterator[_Piece]:
    """The ranges in pieces of at most a frame, holes as a whole."""
    for offset, length in ranges:
        for start, end, is_hole in _joined(extents(file.descriptor, offset, offset + length)):
            if is_hole:
                yield _Piece(start, end - start, is_hole=True)
                continue
            for at in range(start, end, LIMITS.frame_bytes):
                yield _Piece(at, min(LIMITS.frame_bytes, end - at), is_hole=False)


def _joined(found: Iterator[Extent]) -> Iterator[Extent]:
    """Neighbouring extents of data as one: a file with holes shows its data in small steps."""
    before: Extent | None = None
    for extent in found:
        if before is not None and before.is_hole == extent.is_hole and before.end == extent.start:
            before = before._replace(end=extent.end)
            continue
        if before is not None:
            yield before
        before = extent
    if before is not None:
        yield before


def _read(file: StableFile, piece: _Piece) -> bytes:
    """The bytes of a piece, of the version that was opened."""
    read = b""
    while len(read) < piece.length:
        try:
            more = os.pread(file.descriptor, piece.length - len(read), piece.offset + len(read))
        except OSError as error:
            raise reading_failure(file.path, "read", error) from error
        if not more:
            break
        read = read + more if read else more
    if len(read) != piece.length:
        raise _changed(file)
    _require_settled(file)
    return read


def _require_settled(file: StableFile) -> None:
    if file.settled() is None:
        raise _changed(file)


def _changed(file: StableFile) -> PathFailure:
    return Changing(file.path, f"{shown(file.path)} changed while it was read")


def _choose(compressions: frozenset[Compression], first: bytes) -> Compression:
    """How to send content that begins with these bytes to a client that can decode these."""
    best = next((one for one in (Compression.ZSTD, Compression.GZIP) if one in compressions), Compression.NONE)
    return best if best is not Compression.NONE and shrinks(first[:_SAMPLE_BYTES]) else Compression.NONE
