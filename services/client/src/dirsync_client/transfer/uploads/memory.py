"""What a client remembers of uploads that a lost connection interrupts, from one session to the next."""

import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, NamedTuple

from dirsync.limits import LIMITS

if TYPE_CHECKING:
    from hashlib import _Hash


class Checkpoint(NamedTuple):
    """How far an upload was at the end of one of its frames."""

    offset: int
    """Bytes of the file that were read."""
    hash: "_Hash"
    """SHA-256 of them."""


class Progress(NamedTuple):
    """An upload that has begun."""

    status: bytes
    """The status of the file while it was read. Empty if that would not show each change."""
    checkpoints: "deque[Checkpoint]"
    literal_bytes: int
    """Content that was sent, before compression."""
    compressed_bytes: int
    """Bytes of that which compression saved."""
    is_whole: bool = False
    """All of the file was sent. Whether it was applied is not known."""


class UploadMemory:
    """Thread-safe: the sender of a lost session may end after the next one has begun."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uploads: OrderedDict[bytes, Progress] = OrderedDict()

    def get(self, upload_id: bytes) -> Progress | None:
        """What is known of an upload that has begun."""
        with self._lock:
            progress = self._uploads.get(upload_id)
            return progress and progress._replace(checkpoints=progress.checkpoints.copy())

    def note(self, upload_id: bytes, status: bytes, checkpoint: Checkpoint, literal: int, compressed: int) -> None:
        """A frame of an upload is about to be sent."""
        with self._lock:
            before = self._uploads.pop(upload_id, None)
            same = before is not None and bool(status) and before.status == status
            checkpoints = before.checkpoints if before is not None and same else deque(maxlen=LIMITS.upload_checkpoints)
            if status:
                checkpoints.append(checkpoint)
            self._uploads[upload_id] = Progress(status, checkpoints, literal, compressed)
            while len(self._uploads) > LIMITS.remembered_uploads:
                self._uploads.popitem(last=False)

    def ended(self, upload_id: bytes) -> None:
        """All of a file was sent."""
        with self._lock:
            if upload_id in self._uploads:
                self._uploads[upload_id] = self._uploads[upload_id]._replace(is_whole=True)

    def forget(self, upload_id: bytes) -> None:
        """The upload was given up."""
        with self._lock:
            self._uploads.pop(upload_id, None)
