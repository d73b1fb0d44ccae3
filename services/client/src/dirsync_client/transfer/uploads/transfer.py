"""A large file that is open on the push stream."""

from typing import TYPE_CHECKING

from dirsync.fs.read.growing import GrowingFile
from dirsync.tree.path import RelPath
from dirsync_client.reconcile.commands import Sent, Transmit
from dirsync_client.reconcile.pacing.pace import Cost
from dirsync_client.transfer.uploads.resumption import Beginning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dirsync.delta.signature.builder import SignatureBuilder
    from dirsync.wire.compression import Compression


class Transfer:
    """Its file, and what was sent of it."""

    def __init__(self, transmit: Transmit, file: GrowingFile, started: float) -> None:
        self.number = 0
        """In the stream; 0 before it has begun there."""
        self.transmit = transmit
        self.file = file
        self.started = started
        self.messages: Iterator[bytes] = iter(())
        """Those that are left. An empty one stands for work that sends nothing."""
        self.builder: SignatureBuilder | None = None
        self.compression: Compression | None = None
        self.literal_bytes = 0
        self.compressed_bytes = 0
        self.continued_bytes = 0
        """What the server had kept, and was not sent again."""

    @property
    def path(self) -> RelPath:
        """Where the file is."""
        return self.transmit.path

    def begin(self, beginning: Beginning, *, is_delta: bool) -> None:
        """Count what was sent before, when the upload was interrupted."""
        self.continued_bytes = beginning.upload.offset
        self.literal_bytes = beginning.literal_bytes if is_delta else beginning.upload.offset
        self.compressed_bytes = beginning.compressed_bytes

    def cost(self, now: float) -> Cost:
        """What was spent on it by now."""
        return Cost(now - self.started, max(0, self.literal_bytes - self.continued_bytes))

    def draft(self) -> Sent:
        """What is known of the file before it was read to its end."""
        return Sent(self.transmit, self.transmit.operation, self.transmit.choice, None, self.started)
