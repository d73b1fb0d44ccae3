"""Downloads that were cut: what had come of a large file, kept until the rest comes.

They stay in the staging directory, also when the client ends, and are found again by the digest of the file that they
are the beginning of. What is there proves nothing: it is read again when the download goes on, and the digest of the
whole decides (P9). The bounds are those of uploads that a server keeps (:mod:`dirsync.endpoint.uploads.bounds`).
"""

from collections.abc import Callable

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.endpoint.uploads.bounds import Kept, surplus
from dirsync.endpoint.uploads.open_upload import OpenUpload
from dirsync.fs.failure import PathFailure
from dirsync.fs.read.hashing import Cancelled
from dirsync.fs.write.kept import kept_files, kept_name, open_kept
from dirsync.fs.write.staging import Staging
from dirsync.limits import LIMITS
from dirsync.tree.entry import is_known
from dirsync.tree.plan import PutFile

_ID_BYTES = 16
"""As many as an upload's id has."""


class PartialDownloads:
    """Of one thread that stages, with that thread's staging directory."""

    def __init__(self, staging: Staging, free_bytes: Callable[[], int], now: WallNanoseconds = wall_ns) -> None:
        """``free_bytes`` asks the disk what it has left."""
        self._staging = staging
        self._free_bytes = free_bytes
        self._now = now

    def begin(self, step: PutFile, cancelled: Cancelled) -> OpenUpload:
        """Where the file is staged: what is kept of it, read, or a new file.

        Raises:
            PathFailure: StorageFailed or Refused.
            Unavailable: cancelled.
        """
        entry = step.entry
        if entry.size <= LIMITS.inline_file_bytes or not is_known(entry.digest):
            return OpenUpload(b"", self._staging.create(step.path))
        download_id, size = entry.digest[:_ID_BYTES], self.size_of(step)
        if 0 < size <= entry.size:
            try:
                download = OpenUpload(download_id, open_kept(self._staging, download_id, step.path, size))
                download.read(cancelled)
            except PathFailure:
                pass  # it is begun anew
            else:
                return download
        name = kept_name(download_id)
        self._remove(download_id)
        if self._staging.holds(name):
            # Somebody put something there that we do not remove.
            return OpenUpload(b"", self._staging.create(step.path))
        return OpenUpload(download_id, self._staging.create(step.path, name))

    def size_of(self, step: PutFile) -> int:
        """Bytes that are kept of a file."""
        download_id = step.entry.digest[:_ID_BYTES]
        return next((file.size for file in kept_files(self._staging) if file.id == download_id), 0)

    def complete(self, download: OpenUpload) -> None:
        """Everything is there: it is a staged file like others, and its name is free for another download.

        Raises:
            PathFailure: StorageFailed.
        """
        if download.id:
            self._staging.rename(download.staged)

    def keep(self, download: OpenUpload) -> None:
        """It was cut: keep what there is."""
        if download.id and download.staged.size:
            download.staged.release()
        else:
            download.staged.discard()

    def sweep(self) -> None:
        """Remove what is too old, and what is too much."""
        found = kept_files(self._staging)
        kept = [Kept(file.id, file.size, file.changed_ns) for file in found]
        for download_id in surplus(kept, self._now(), self._free_bytes()) if kept else ():
            self._remove(download_id)
        self._staging.tidy()

    def _remove(self, download_id: bytes) -> None:
        self._staging.remove(kept_name(download_id))


def drop_all(staging: Staging) -> None:
    """Remove everything that is kept: both sides are equal, so nobody goes on with it."""
    staging.look_again()
    for file in kept_files(staging):
        staging.remove(kept_name(file.id))
    staging.tidy()
