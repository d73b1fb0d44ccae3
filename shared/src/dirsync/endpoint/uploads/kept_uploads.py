"""The uploads of one replica that were interrupted, and can be continued by their ids.

What a stream has staged under an id is kept when the stream ends, also across a restart of the server, and a later
stream continues it. It names the SHA-256 of what it continues, which has to be that of what is kept. Afterwards the
digest of the whole file decides as for any file, so whatever is kept here can cost time, but never content.

Ids are looked up in one replica only. So nobody can find out by them what another replica has been sent (I19).

RACE: the connection of a stream may be dead long before the server notices. So a new session takes over what the
streams of older ones have open (:meth:`take_over`). From then on these write to no kept file, and start none: their
generation is too low. The worst is that frames which they received but had not staged come again. Two-way sessions of
other clients, which go on beside it, keep what they have open.
"""

import threading
from collections.abc import Callable, Collection
from typing import NamedTuple

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.endpoint.apply.outcomes import UploadNotFound
from dirsync.endpoint.uploads.bounds import Kept, surplus
from dirsync.endpoint.uploads.open_upload import OpenUpload
from dirsync.fs.failure import PathFailure
from dirsync.fs.read.content_hash import ContentHash
from dirsync.fs.write.kept import kept_files, kept_name, open_kept
from dirsync.fs.write.staging import Staging
from dirsync.tree.path import RelPath
from dirsync.wire.push.messages import Upload
from dirsync.wire.session import KeptUpload


class _Content(NamedTuple):
    """What is kept of one upload."""

    kept: Kept
    hash: ContentHash | None
    """``None``: it has not been read since the server started."""
    literal: int
    saved: int


class KeptUploads:
    """Thread-safe. Streams stage with clones of their own; this has one for what nobody has open."""

    def __init__(self, staging: Staging, free_bytes: Callable[[], int], now: WallNanoseconds = wall_ns) -> None:
        """Find what an earlier process has kept. ``free_bytes`` asks the disk what it has left."""
        self._staging = staging.clone()
        self._free_bytes = free_bytes
        self._now = now
        self._lock = threading.Lock()
        """Taken after the lock of an :class:`OpenUpload`, never before it."""
        self._generation = 0
        self._fellows: frozenset[int] = frozenset()
        """Older generations that go on beside the newest one."""
        self._open: dict[bytes, OpenUpload] = {}
        self._content = {
            file.id: _Content(Kept(file.id, file.size, file.changed_ns), None, file.size, 0)
            for file in kept_files(self._staging)
        }
        self.sweep()

    def close(self) -> None:
        """Let go of the staging directory; what is kept stays there."""
        self._staging.close()

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self._content)

    @property
    def size(self) -> int:
        """Bytes that they take."""
        with self._lock:
            return sum(content.kept.size for content in self._content.values())

    def listing(self) -> tuple[KeptUpload, ...]:
        """What is kept."""
        self.sweep()
        with self._lock:
            return tuple(
                KeptUpload(upload_id, content.kept.size, content.hash.digest() if content.hash else b"")
                for upload_id, content in self._content.items()
            )

    # Streams.

    def take_over(self, generation: int, fellows: Collection[int] = ()) -> None:
        """A session of this generation begins: keep what older ones have open, for this one to continue.

        ``fellows`` are the generations of the sessions that go on beside it.
        """
        with self._lock:
            if generation > self._generation:
                self._generation, self._fellows = generation, frozenset(fellows)
            opened = [upload for upload in self._open.values() if not self._is_current(upload.generation)]
        for upload in opened:
            self.keep(upload)

    def begin(self, upload: Upload, path: RelPath, staging: Staging, generation: int) -> OpenUpload:
        """Open what a file is staged in: a new file, or the kept one that it continues, which is not proved yet.

        Raises:
            UploadNotFound: what it continues is not kept.
            PathFailure: StorageFailed or Refused.
        """
        with self._lock:
            mine = self._is_current(generation) and upload.id not in self._open
            if not upload.id or not mine:
                if upload.offset:
                    raise UploadNotFound(path)
                return OpenUpload(b"", staging.create(path))
            content = self._content.pop(upload.id, None)
            opened = self._continue(upload, path, staging, content) if upload.offset else None
            if opened is None:
                self._remove(upload.id)
                opened = OpenUpload(upload.id, staging.create(path, kept_name(upload.id)))
            opened.generation = generation
            self._open[upload.id] = opened
            return opened

    def _continue(self, upload: Upload, path: RelPath, staging: Staging, content: _Content | None) -> OpenUpload:
        if content is None:
            raise UploadNotFound(path)
        if content.kept.size != upload.offset:
            self._content[upload.id] = content
            raise UploadNotFound(path)
        staging.look_again()
        try:
            staged = open_kept(staging, upload.id, path, upload.offset)
        except PathFailure as failure:
            self._remove(upload.id)
            raise UploadNotFound(path) from failure
        return OpenUpload(upload.id, staged, content.hash, content.literal, content.saved)

    def keep(self, upload: OpenUpload) -> None:
        """The stream of an upload is over: keep what there is, if it can be continued."""
        with upload.lock:
            if upload.is_over:
                return
            staged = upload.staged
            if not upload.id or not staged.size or staged.failed:
                self._drop(upload)
                return
            upload.is_over = True
            try:
                upload.hash.stop_following()
            except PathFailure:
                upload.is_read = False
            staged.release()
            kept = Kept(upload.id, staged.size, self._now())
            with self._lock:
                self._forget(upload)
                self._staging.look_again()
                if self._staging.holds(kept_name(upload.id)):
                    hashed = upload.hash if upload.is_read else None
                    self._content[upload.id] = _Content(kept, hashed, upload.literal, upload.saved)
        self.sweep()

    def drop(self, upload: OpenUpload) -> None:
        """An upload is given up: remove what is staged. Nothing happens if that was published or taken over."""
        with upload.lock:
            self._drop(upload)

    def published(self, upload: OpenUpload) -> None:
        """The file of an upload is a part of the replica."""
        with upload.lock, self._lock:
            upload.is_over = True
            self._forget(upload)

    # Bounds.

    def sweep(self) -> None:
        """Remove what is too old, and what is too much."""
        if not self._content:
            return
        free_bytes, now_ns = self._free_bytes(), self._now()
        with self._lock:
            kept = [content.kept for content in self._content.values()]
            dropped = surplus(kept, now_ns, free_bytes)
            for upload_id in dropped:
                del self._content[upload_id]
                self._remove(upload_id)
            if dropped:
                self._staging.tidy()

    def drop_all(self) -> None:
        """Remove all that nobody has open: nobody continues it, or its space is needed."""
        with self._lock:
            while self._content:
                self._remove(self._content.popitem()[0])
            self._staging.tidy()

    def _is_current(self, generation: int) -> bool:
        return generation >= self._generation or generation in self._fellows

    def _drop(self, upload: OpenUpload) -> None:
        if upload.is_over:
            return
        upload.is_over = True
        upload.staged.discard()
        with self._lock:
            self._forget(upload)

    def _forget(self, upload: OpenUpload) -> None:
        if self._open.get(upload.id) is upload:
            del self._open[upload.id]

    def _remove(self, upload_id: bytes) -> None:
        self._staging.look_again()
        self._staging.remove(kept_name(upload_id))
