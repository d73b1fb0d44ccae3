"""One large file that is coming in: its frames are put together and hashed as they arrive.

A file that cannot be taken (over a limit, disk full, no such basis) is noted as failed, and the rest of its frames is
read and dropped. What no correct client sends ends the stream.
"""

from collections.abc import Callable
from typing import assert_never

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.pieces import Piece, Zeros, copy_span
from dirsync.endpoint.apply.outcomes import ContentNotFound, Mismatch, UploadNotFound
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.finder import ContentFinder
from dirsync.endpoint.uploads.kept_uploads import KeptUploads
from dirsync.endpoint.uploads.open_upload import OpenUpload
from dirsync.errors import DirsyncError, InvalidMessage, Unavailable
from dirsync.fs.failure import BasisLost
from dirsync.fs.read.hashing import Cancelled
from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.fs.read.stable import StableFile
from dirsync.fs.write.rebuild import Rebuild
from dirsync.fs.write.staging import Staging
from dirsync.limits import LIMITS
from dirsync.tree.path import escape
from dirsync.wire.push.messages import FileBegin, FileData, FileDelta
from dirsync_server.ingest.budget import SpaceBudget


class Upload:
    """A file between its begin and its end. One thread."""

    def __init__(self, begin: FileBegin, uploads: KeptUploads, hashes: KnownHashes) -> None:
        """``uploads`` and ``hashes`` are those of the replica."""
        self.number = begin.number
        self.operation = begin.operation
        self.error: DirsyncError | None = None
        """Why it cannot be taken, if it cannot."""
        self.ended: OpenUpload | None = None
        """Its content, once it has ended and is whole."""
        self._begin = begin.upload
        self._uploads = uploads
        self._hashes = hashes
        self._content: OpenUpload | None = None
        self._digest_of_basis = begin.basis
        self._block_size = begin.block_size
        self._finder: ContentFinder | None = None
        self._basis: StableFile | None = None
        self._rebuild: Rebuild | None = None

    @property
    def announced(self) -> int:
        """Bytes that it will have; 0 if it cannot be taken."""
        return 0 if self._rebuild is None else self.operation.entry.size

    @property
    def arrived(self) -> int:
        """Bytes that are staged."""
        return 0 if self._rebuild is None else self._rebuild.size

    def open(
        self, space: SpaceBudget, finder: ContentFinder, staging: Staging, generation: int, cancelled: Cancelled
    ) -> None:
        """Make ready for its frames; ``generation`` is that of the session.

        Raises:
            InvalidMessage: no file may have so many blocks.
            Unavailable: cancelled.
        """
        path = self.operation.path
        try:
            if not self._begin.offset:
                space.admit(path, self.operation.entry.size)
            if self._digest_of_basis:
                self._finder = finder
                self._basis = self._open_basis(finder)
            content = self._content = self._uploads.begin(self._begin, path, staging, generation)
            if self._begin.offset:
                self._continue(content, space, cancelled)
            elif self.operation.entry.size >= LIMITS.min_checkpointed_bytes:
                content.hash.make_checkpoints(content.staged.read_at, self._hashes.get(self._digest_of_basis))
            self._rebuild = Rebuild(content.staged, self._basis, cancelled=cancelled, hashed=content.hash)
        except (InvalidMessage, Unavailable):
            raise
        except DirsyncError as error:
            self._fail(error)

    def _continue(self, content: OpenUpload, space: SpaceBudget, cancelled: Cancelled) -> None:
        """Check that what is kept is what the client has, and that the rest has room.

        Raises:
            UploadNotFound: it is not.
            LimitExceeded, StorageError: it has not; what is kept stays kept.
        """
        path = self.operation.path
        if content.read(cancelled) != self._begin.prefix_digest:
            raise UploadNotFound(path)
        try:
            space.admit(path, self.operation.entry.size, content.staged.size)
        except DirsyncError:
            self._uploads.keep(content)
            raise

    def add(self, frame: FileData | FileDelta) -> None:
        """Append what a frame has.

        Raises:
            InvalidMessage: it copies what the basis has not got.
            Unavailable: cancelled.
        """
        content = self._content
        if self._rebuild is None or content is None:
            return
        try:
            with content.lock:
                self._add(frame, content, self._rebuild)
        except (InvalidMessage, Unavailable):
            raise
        except BasisLost:
            self._report_stale_basis()
            self._fail(ContentNotFound(self.operation.path))
        except DirsyncError as error:
            self._fail(error)

    def _add(self, frame: FileData | FileDelta, content: OpenUpload, rebuild: Rebuild) -> None:
        if content.is_over:
            raise UploadNotFound(self.operation.path)
        if isinstance(frame, FileData):
            self._write(rebuild, frame.literal, content)
        else:
            for piece in frame.pieces:
                self._apply(rebuild, piece, content)
        # Of a delta compression may save more than its literals are: what it saved on the copies counts for nothing.
        content.saved = min(content.saved + frame.saved, content.literal)

    def end(self, digest: bytes) -> Step:
        """The step that publishes it; with :attr:`error` set, one without content."""
        operation = self.operation._replace(entry=self.operation.entry._replace(digest=digest))
        step = Step(self.number, operation)
        content = self._content
        if self._rebuild is None or content is None:
            return step
        if self._rebuild.size != operation.entry.size or self._rebuild.digest() != digest:
            if self._basis is not None and self._basis.settled() is None:
                self._report_stale_basis()
            self._fail(Mismatch(operation.path))
            return step
        self._content = None
        self.discard()
        self._hashes.remember(digest, content.hash.checkpoints)
        self.ended = content
        return step._replace(
            staged=content.staged,
            literal=content.literal,
            saved=content.saved,
            continued=self._begin.offset,
            is_delta=bool(self._digest_of_basis),
        )

    def discard(self) -> None:
        """Drop what is staged, and let go of the basis."""
        self._let_go(self._uploads.drop)

    def interrupt(self) -> None:
        """The stream is over: what is staged may be continued on another. Let go of the basis."""
        self._let_go(self._uploads.keep)

    def _let_go(self, release: Callable[[OpenUpload], None]) -> None:
        self._rebuild = None
        if self._content is not None:
            release(self._content)
            self._content = None
        if self._basis is not None:
            self._basis.close()
            self._basis = None

    def _fail(self, error: DirsyncError) -> None:
        self.error = error
        self.discard()

    def _report_stale_basis(self) -> None:
        assert self._finder is not None
        assert self._basis is not None
        self._finder.report_stale(self._basis.path, self._digest_of_basis)

    def _open_basis(self, finder: ContentFinder) -> StableFile:
        path = self.operation.path
        basis = finder.open(self._digest_of_basis, near=path)
        if basis is None:
            raise ContentNotFound(path)
        finder.report_hit()
        if block_count(basis.size, self._block_size) > LIMITS.max_blocks:
            basis.close()
            msg = f"the basis of {escape(path)!r} has more than {LIMITS.max_blocks} blocks of {self._block_size} bytes"
            raise InvalidMessage(msg, reason="INVALID_BLOCK_SIZE")
        return basis

    def _apply(self, rebuild: Rebuild, piece: Piece, content: OpenUpload) -> None:
        match piece:
            case BlockRange():
                if self._basis is None:
                    msg = f"a frame of {escape(self.operation.path)!r} copies, but the file has no basis"
                    raise InvalidMessage(msg, reason="INVALID_DELTA")
                offset, length = copy_span(piece, self._block_size, self._basis.size)
                self._require_announced(rebuild, length)
                rebuild.copy(offset, length)
            case Zeros(length=length):
                self._require_announced(rebuild, length)
                rebuild.zeros(length)
                content.literal += length
                content.saved += length
            case bytes() | memoryview():
                self._write(rebuild, piece, content)
            case _:
                assert_never(piece)

    def _write(self, rebuild: Rebuild, literal: bytes | memoryview, content: OpenUpload) -> None:
        self._require_announced(rebuild, len(literal))
        rebuild.write(literal)
        content.literal += len(literal)

    def _require_announced(self, rebuild: Rebuild, length: int) -> None:
        """More than was announced is neither written nor hashed (I09, I11)."""
        if length > self.operation.entry.size - rebuild.size:
            raise Mismatch(self.operation.path)
