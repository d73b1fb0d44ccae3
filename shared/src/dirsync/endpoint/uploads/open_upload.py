"""The content of one upload while a stream fills it."""

import os
import threading
from typing import TYPE_CHECKING

from dirsync.errors import Unavailable
from dirsync.fs.failure import StorageFailed, shown, writing_failure
from dirsync.fs.read.content_hash import ContentHash
from dirsync.fs.read.hashing import Cancelled
from dirsync.limits import LIMITS

if TYPE_CHECKING:
    from dirsync.fs.write.staged import StagedFile


class OpenUpload:
    """A staged file, and what is known of its content. The stream holds :attr:`lock` while it changes any of it.

    A newer session may take the content over at any time between two such changes. Then :attr:`is_over` is set, and
    the stream must not touch the file again.
    """

    def __init__(
        self,
        upload_id: bytes,
        staged: "StagedFile",
        hashed: ContentHash | None = None,
        literal: int = 0,
        saved: int = 0,
    ) -> None:
        """``hashed`` is known of what ``staged`` has already; without it, it has to be read."""
        self.id = upload_id
        """Empty if nothing is kept of it."""
        self.staged = staged
        self.hash = hashed if hashed is not None else ContentHash()
        """SHA-256 of what is staged, if :attr:`is_read`."""
        self.is_read = hashed is not None or not staged.size
        self.literal = literal
        """Bytes of the content that came as such, runs of zeros included."""
        self.saved = saved
        """Bytes of those that compression saved on the way here."""
        self.is_over = False
        """It was published, dropped, kept, or taken over."""
        self.generation = 0
        """That of the session whose stream has it open."""
        self.lock = threading.Lock()

    def read(self, cancelled: Cancelled) -> bytes:
        """The SHA-256 of what is staged, which is read if it is not known.

        Raises:
            PathFailure: StorageFailed if it cannot be read.
            Unavailable: cancelled.
        """
        with self.lock:
            if not self.is_read:
                self._read(cancelled)
            return self.hash.digest()

    def _read(self, cancelled: Cancelled) -> None:
        staged, hashed, at = self.staged, ContentHash(), 0
        buffer = memoryview(bytearray(LIMITS.file_read_bytes))
        while at < staged.size:
            if cancelled():
                raise Unavailable("reading what was kept was cancelled")
            try:
                count = os.preadv(staged.fd, [buffer[: staged.size - at]], at)
            except OSError as error:
                raise writing_failure(staged.path, "continue", error) from error
            if not count:
                raise StorageFailed(staged.path, f"cannot continue {shown(staged.path)}: what was kept is shorter")
            hashed.update(buffer[:count])
            at += count
        self.hash, self.is_read = hashed, True
