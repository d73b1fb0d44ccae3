"""Content that need not come in, because it is here already: under a name of the replica, or staged by this stream.

It is resolved when the operation arrives, not when it is committed. What the replica loses by an earlier operation of
the same stream it still has then, because nothing is applied before the commit; and no commit waits while a
large file is read.
"""

import hashlib
import os

from dirsync.endpoint.apply.outcomes import ContentNotFound, Mismatch
from dirsync.endpoint.finder import ContentFinder
from dirsync.fs.descriptors import OPEN_DIRECTORY
from dirsync.fs.failure import Changing, Unreadable, Vanished, writing_failure
from dirsync.fs.read.hashing import Cancelled
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.fs.write.rebuild import Rebuild
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent

_ATTEMPTS = LIMITS.max_content_paths + 1
"""Files that are tried for one content. Each that turns out to hold another is not found again, unless it is
changed to and fro."""


class ContentCopier:
    """Makes staged files of content that is here. One thread."""

    def __init__(self, finder: ContentFinder, staging: Staging, cancelled: Cancelled) -> None:
        self._finder = finder
        self._staging = staging
        self._cancelled = cancelled
        self._staged: dict[bytes, RelPath] = {}
        """Where they are, from the staging directory."""

    def remember(self, digest: bytes, staged: RelPath) -> None:
        """This stream has staged and sealed a file of this content, at this path from the staging directory."""
        self._staged[digest] = staged

    def forget(self) -> None:
        """What was staged is published, or dropped."""
        self._staged.clear()

    def make(self, operation: CopyContent) -> StagedFile:
        """A staged file of the content that the operation wants, not sealed; every byte of it was read and hashed.

        Raises:
            ContentNotFound: the replica has it nowhere.
            Mismatch: it has another size than the operation says.
            PathFailure: StorageFailed.
            Unavailable: cancelled.
        """
        path, entry = operation.path, operation.entry
        staged = self._copy_staged(path, entry.digest, entry.size)
        for _ in range(_ATTEMPTS):
            if staged is not None:
                self._finder.report_hit()
                return staged
            source = self._finder.open(entry.digest)
            if source is None:
                break
            with source:
                staged = self._copy(path, source, entry.digest, entry.size)
            if staged is None:
                self._finder.report_stale(source.path, entry.digest)
        raise ContentNotFound(path)

    def _copy_staged(self, path: RelPath, digest: bytes, size: int) -> StagedFile | None:
        known = self._staged.get(digest)
        if known is None:
            return None
        try:
            with (
                Root(b"", os.open(".", OPEN_DIRECTORY, dir_fd=self._staging.descriptor)) as root,
                StableFile(root, known) as source,
            ):
                return self._copy(path, source, digest, size)
        except (Vanished, Unreadable, Changing):
            return None  # to be published without permission to read it, for example
        except OSError as error:
            raise writing_failure(path, "stage", error) from error

    def _copy(self, path: RelPath, source: StableFile, digest: bytes, size: int) -> StagedFile | None:
        """A staged file of what ``source`` holds; ``None`` if that is not the content of this digest."""
        if source.size != size:
            raise Mismatch(path)
        staged = self._staging.create(path)
        try:
            if self._fill(staged, source) == digest:
                return staged
        except (Vanished, Unreadable, Changing):
            pass
        except BaseException:
            staged.discard()
            raise
        staged.discard()
        return None

    def _fill(self, staged: StagedFile, source: StableFile) -> bytes:
        """Copy all of ``source``; returns the digest of what was copied."""
        if source.size <= LIMITS.inline_file_bytes:
            content = next(source.frames(LIMITS.inline_file_bytes), b"")
            staged.write(content)
            return hashlib.sha256(content).digest()
        rebuild = Rebuild(staged, source, cancelled=self._cancelled)
        rebuild.copy(0, source.size)
        return rebuild.digest()
