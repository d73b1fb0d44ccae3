"""The uploads that a session continues, and those that can be continued when it is lost itself.

One object for each session; what outlives it is in the :class:`UploadMemory`. Only the sender uses it.
"""

from collections.abc import Iterator
from typing import NamedTuple

from dirsync.fs.read.growing import GrowingFile
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath
from dirsync.wire.push.messages import Upload
from dirsync.wire.session import KeptUpload
from dirsync_client.transfer.uploads.continuation import Continuation, continuation, upload_id
from dirsync_client.transfer.uploads.memory import Checkpoint, UploadMemory


class Beginning(NamedTuple):
    """How the upload of a file begins."""

    upload: Upload
    """Its id, and what the server has of it."""
    literal_bytes: int = 0
    """What of that was sent as content, by this client; 0 from the beginning."""
    compressed_bytes: int = 0
    """Bytes of those that compression saved."""


class Resumption:
    """What the server of a session has kept, and what the client knows of it."""

    def __init__(self, memory: UploadMemory, kept: tuple[KeptUpload, ...] = (), *, offered: bool = False) -> None:
        """``offered``: the server keeps uploads."""
        self._memory = memory
        self._kept = {upload.id: upload for upload in kept}
        self._offered = offered

    def frame_bytes(self, path: RelPath) -> int:
        """How large the frames of a file may be, in bytes."""
        progress = self._memory.get(upload_id(path)) if self._offered else None
        interrupted = progress is not None and not progress.is_whole
        return LIMITS.interrupted_frame_bytes if interrupted else LIMITS.frame_bytes

    def begin(self, path: RelPath, file: GrowingFile) -> Iterator[Beginning | None]:
        """Find out where the upload of an open file begins; the file is read on from there.

        Yields ``None`` for each part that was read, and how it begins at last.

        Raises:
            PathFailure: the file cannot be read.
        """
        if not self._offered:
            yield Beginning(Upload())
            return
        name = upload_id(path)
        # What is kept is dropped when the upload begins, however it begins: it is not continued twice.
        kept, progress = self._kept.pop(name, None), self._memory.get(name)
        same = progress is not None and progress.status and progress.status == file.status
        known = dict(progress.checkpoints) if progress is not None and same else {}
        choice = continuation(kept, file.entry.size, {at: hashed.digest() for at, hashed in known.items()})
        if kept is None or choice is Continuation.START:
            yield Beginning(Upload(name))
            return
        if choice is Continuation.GO_ON:
            file.go_to(kept.size, known[kept.size])
        else:
            for _ in file.read_to(kept.size):
                yield None
        digest = file.digest()
        if file.position != kept.size or kept.digest not in (b"", digest):
            file.go_to(0)
            yield Beginning(Upload(name))
            return
        literal, compressed = (progress.literal_bytes, progress.compressed_bytes) if progress else (kept.size, 0)
        literal = min(literal, kept.size)
        yield Beginning(Upload(name, kept.size, digest), literal, min(compressed, literal))

    def note(self, path: RelPath, file: GrowingFile, literal: int, compressed: int) -> None:
        """A frame of a file is about to be sent, with so many bytes of content by then."""
        if self._offered:
            checkpoint = Checkpoint(file.position, file.hash())
            self._memory.note(upload_id(path), file.status, checkpoint, literal, compressed)

    def ended(self, path: RelPath) -> None:
        """A file was sent to its end."""
        if self._offered:
            self._memory.ended(upload_id(path))

    def given_up(self, path: RelPath) -> None:
        """A file is not sent to its end."""
        if self._offered:
            self._memory.forget(upload_id(path))
