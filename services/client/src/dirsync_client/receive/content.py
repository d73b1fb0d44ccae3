"""Staging one file that comes in: from the source itself where it has the content, and for the rest from the server.

The cheapest way that applies is taken:

- the source has the content under another name: it is copied;
- the file replaces another version: the server's checksums of the new version's blocks are looked for in the old one,
  and only the ranges that are not there are asked for;
- otherwise all of it is asked for.

Whatever was taken from where, the size and the SHA-256 of what is staged are checked. So a file that changed meanwhile,
and a server that lies, cost bytes and never correctness.

What had come of a large file when it was cut is kept, and the next try goes on from there
(:mod:`dirsync_client.receive.partial`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from dirsync.delta.blocks import BlockRange, block_size_for
from dirsync.delta.pieces import Piece, Zeros, copy_span
from dirsync.endpoint.apply.outcomes import Mismatch
from dirsync.endpoint.uploads.open_upload import OpenUpload
from dirsync.errors import DirsyncError, Unavailable
from dirsync.fs.failure import PathFailure, StorageFailed, shown
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.fs.write.durable import Durability, Fsync
from dirsync.fs.write.rebuild import Rebuild
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.limits import LIMITS
from dirsync.tree.entry import Kind
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.plan import PutFile
from dirsync.wire.compression import Compression
from dirsync.wire.content import ContentPiece, ContentRequest
from dirsync_client.receive.partial import PartialDownloads
from dirsync_client.receive.results import Counted
from dirsync_client.receive.segments import Segment, covering, from_offset, missing
from dirsync_client.reconcile.commands import Basis
from dirsync_client.reconcile.two_way.commands import Receive
from dirsync_client.transfer.delta.remote_signature import FetchBlocks, RemoteSignature

_MIN_SHARE = 8
"""A basis that has less than one part in so many of the new version is not worth the requests."""

ReadContent = Callable[[ContentRequest], Iterator[ContentPiece]]


class ContentStager:
    """Stages files for one source. One thread, with descriptors of its own."""

    def __init__(
        self,
        root: Root,
        staging: Staging,
        session_id: bytes,
        read: ReadContent,
        checksums: FetchBlocks,
        block_size: int,
        cancelled: Callable[[], bool],
    ) -> None:
        """``read`` and ``checksums`` ask the server; ``cancelled`` is asked between its answers."""
        self._root = root.clone()
        self._staging = staging.clone()
        self._session_id = session_id
        self._read = read
        self._checksums = checksums
        self._block_size = block_size
        self._cancelled = cancelled
        self._durability = Durability(Fsync.BATCH, self._root)
        self._partial = PartialDownloads(self._staging, self._root.free_bytes)
        self._came = 0
        """Bytes that came by the last try."""
        self.attributes = Attributes()
        """Those that the session preserves."""
        self._partial.sweep()

    def close(self) -> None:
        """Let go of the descriptors."""
        self._staging.close()
        self._root.close()

    def stage(self, receive: Receive) -> tuple[StagedFile, Counted]:
        """A staged file with the content that is to come, sealed. :meth:`make_durable` has to follow.

        Raises:
            NotFound: the replica has not got the content any more.
            Mismatch: what came is something else.
            DirsyncError: the server cannot be reached, or the disk fails. What came is kept.
        """
        step = receive.operation
        assert isinstance(step, PutFile)
        self._require_going_on()
        self._require_room(step)
        try:
            made = self._from_source(step, receive.near) if receive.near is not None else None
            while made is None:
                self._came = 0
                try:
                    made = self._from_server(step, receive.remote or ROOT)
                except Unavailable:
                    # A call has a deadline, whatever comes by it.
                    if not self._came or self._cancelled():
                        raise
        finally:
            # What is kept open may be another directory by the next file, and keeps a mount busy.
            self._root.forget_all()
        staged, counted = made
        try:
            staged.seal(step.entry.size, step.entry.mode, step.entry.mtime_ns if self.attributes.mtime else None)
        except BaseException:
            staged.discard()
            raise
        return staged, counted

    def make_durable(self, staged: Sequence[StagedFile]) -> None:
        """Make sealed files durable.

        Raises:
            NotDurable: with the files that are not.
        """
        self._durability.files(staged)

    def _from_source(self, step: PutFile, near: RelPath) -> tuple[StagedFile, Counted] | None:
        """A copy of what the source has at ``near``; ``None`` if that is not the content any more."""
        size = step.entry.size
        with suppress(PathFailure, Mismatch), StableFile(self._root, near) as file:
            if file.size == size:
                staged = self._staging.create(step.path)
                try:
                    whole = [Segment(0, size, 0)] if size else []
                    return staged, self._fill(step, OpenUpload(b"", staged), whole, file, ROOT)
                except BaseException:
                    staged.discard()
                    raise
        return None

    def _from_server(self, step: PutFile, remote: RelPath) -> tuple[StagedFile, Counted]:
        old, size = step.expected, step.entry.size
        if old is not None and old.kind is Kind.FILE and min(old.size, size) > LIMITS.inline_file_bytes:
            with suppress(PathFailure), StableFile(self._root, step.path) as file:
                segments = self._segments(step, file)
                reused = sum(segment.length for segment in segments if segment.at is not None)
                if reused * _MIN_SHARE >= size:
                    return self._download(step, segments, file, remote)
        return self._download(step, [Segment(0, size, None)] if size else [], None, remote)

    def _download(
        self, step: PutFile, segments: list[Segment], basis: StableFile | None, remote: RelPath
    ) -> tuple[StagedFile, Counted]:
        download = self._partial.begin(step, self._cancelled)
        try:
            counted = self._fill(step, download, segments, basis, remote)
            self._partial.complete(download)
        except Unavailable:
            self._partial.keep(download)
            raise
        except BaseException:
            # What is there may be what is wrong.
            download.staged.discard()
            raise
        return download.staged, counted

    def _segments(self, step: PutFile, file: StableFile) -> list[Segment]:
        """The new version in order, by where the old one has it."""
        size = step.entry.size
        basis, block_size = Basis(step.entry.digest, size), block_size_for(size, self._block_size)
        signature = RemoteSignature(basis, block_size, self._checksums, self._cancelled)
        found: dict[int, tuple[int, int]] = {}
        offset = 0
        encoder = signature.encoder(file, None)

        def take(pieces: Iterable[Piece]) -> None:
            nonlocal offset
            for piece in pieces:
                if isinstance(piece, BlockRange):
                    start, length = copy_span(piece, block_size, size)
                    found[start] = max(found.get(start, (0, 0)), (length, offset))
                    offset += length
                else:
                    offset += piece.length if isinstance(piece, Zeros) else len(piece)

        for frame in file.frames(LIMITS.frame_bytes):
            take(encoder.feed(frame))
            self._require_going_on()
        take(encoder.finish())
        return covering(found, size)

    def _pieces(self, step: PutFile, remote: RelPath, segments: list[Segment]) -> Iterator[ContentPiece]:
        """What the old version does not have, in order, from as few requests as are allowed."""
        ranges, compressions = missing(segments), frozenset(Compression)
        for first in range(0, len(ranges), LIMITS.max_content_ranges):
            wanted = tuple(ranges[first : first + LIMITS.max_content_ranges])
            yield from self._read(ContentRequest(self._session_id, step.entry.digest, remote, wanted, compressions))

    def _fill(
        self, step: PutFile, download: OpenUpload, segments: list[Segment], basis: StableFile | None, remote: RelPath
    ) -> Counted:
        rebuild = Rebuild(download.staged, basis, cancelled=self._cancelled, hashed=download.hash)
        counted = Counted(0, 0, resumed=rebuild.size)
        left = from_offset(segments, rebuild.size)
        pieces = self._pieces(step, remote, left)
        for segment in left:
            if segment.at is not None:
                rebuild.copy(segment.at, segment.length)
                counted = counted._replace(reused=counted.reused + segment.length)
                continue
            end = segment.offset + segment.length
            while rebuild.size < end:
                piece = next(pieces, None)
                if piece is None or piece.offset != rebuild.size or rebuild.size + piece.length > end:
                    raise Mismatch(step.path)
                _append(rebuild, piece)
                self._came += piece.length
                counted = counted.with_piece(piece.length, piece.saved)
                self._require_going_on()
        if rebuild.size != step.entry.size or rebuild.digest() != step.entry.digest:
            raise Mismatch(step.path)
        return counted

    def _require_room(self, step: PutFile) -> None:
        """Leave some space on the disk of the source, whatever a server announces."""
        to_come = step.entry.size - self._partial.size_of(step)
        if self._root.free_bytes() < to_come + LIMITS.source_free_bytes:
            message = f"{shown(step.path)} does not fit on the disk of the source: {step.entry.size} bytes are to come"
            raise StorageFailed(step.path, message)

    def _require_going_on(self) -> None:
        if self._cancelled():
            raise Unavailable("the session ended")


def _append(rebuild: Rebuild, piece: ContentPiece) -> None:
    if piece.zeros:
        rebuild.zeros(piece.zeros)
    else:
        rebuild.write(piece.literal)


def is_gone(error: DirsyncError) -> bool:
    """Whether the replica has not got the content any more, or it changed while it was read."""
    return error.reason in ("CONTENT_NOT_FOUND", "CONTENT_CHANGED")
