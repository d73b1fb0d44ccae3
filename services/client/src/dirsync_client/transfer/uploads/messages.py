"""Makes the messages of one large file after another, from its begin to what comes before its end."""

from collections.abc import Callable, Iterator
from itertools import chain

from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.limits import LIMITS
from dirsync.tree.plan import PutFile
from dirsync.wire.push.messages import Upload, encode_begin
from dirsync.wire.push.pieces import delta_frames
from dirsync_client.transfer.delta.encoder import Delta
from dirsync_client.transfer.delta.signature_store import builder_for
from dirsync_client.transfer.uploads.frame_encoder import FrameEncoder
from dirsync_client.transfer.uploads.joined_copies import JoinedCopies
from dirsync_client.transfer.uploads.resumption import Beginning, Resumption
from dirsync_client.transfer.uploads.skip import Skip
from dirsync_client.transfer.uploads.transfer import Transfer


class UploadMessages:
    """Reads the files as their messages are taken."""

    def __init__(
        self,
        encoder: FrameEncoder,
        resumption: Resumption,
        signed_blocks: int,
        hashes: KnownHashes | None,
        number_of: Callable[[Transfer], int],
    ) -> None:
        """What is sent whole gets a signature with blocks of ``signed_blocks`` bytes; 0: none.

        ``hashes`` has what is known of earlier versions; ``number_of`` is told that a file begins, and numbers it.
        """
        self._encoder = encoder
        self._resumption = resumption
        self._signed_blocks = signed_blocks
        self._hashes = hashes
        self._number_of = number_of

    def of(self, transfer: Transfer, delta: Delta | None) -> Iterator[bytes]:
        """The messages of a file, an empty one for each part that is only read.

        Raises:
            PathFailure: the file cannot be read, or was rewritten meanwhile.
        """
        path, file = transfer.path, transfer.file
        # Asked before the file begins: from then on it counts as interrupted.
        frame_bytes = self._resumption.frame_bytes(path)
        beginning = Beginning(Upload())
        for found in self._resumption.begin(path, file):
            if found is None:
                yield b""
            else:
                beginning = found
        transfer.begin(beginning, is_delta=delta is not None)
        number = transfer.number = self._number_of(transfer)
        operation = transfer.transmit.operation
        assert isinstance(operation, PutFile)
        operation = operation._replace(entry=file.entry)
        if file.entry.size >= LIMITS.min_bulk_bytes:
            # Loaded here, because few syncs have such files.
            from dirsync.runtime.process.malloc import keep_message_memory  # noqa: PLC0415

            keep_message_memory()
        if delta is None:
            yield encode_begin(number, operation, upload=beginning.upload)
            if not beginning.upload.offset:
                # What is known of all of a file needs all of it.
                size = file.entry.size
                transfer.builder = builder_for(size, self._signed_blocks) if self._signed_blocks else None
                self._make_checkpoints(transfer, b"")
            yield from self._whole(transfer, frame_bytes)
        else:
            yield encode_begin(number, operation, delta.block_size, delta.basis.digest, beginning.upload)
            transfer.builder = delta.builder
            # Where a line is cut often, the server is to have all that it can have when it is.
            held_bytes = LIMITS.joined_copy_bytes if frame_bytes == LIMITS.frame_bytes else 0
            yield from self._delta(transfer, delta, beginning.upload.offset, held_bytes)

    def _make_checkpoints(self, transfer: Transfer, basis: bytes) -> None:
        """Have the file hashed on from what it has in common with the content of this digest."""
        if self._hashes is not None and transfer.file.entry.size >= LIMITS.min_checkpointed_bytes:
            transfer.file.make_checkpoints(self._hashes.get(basis))

    def _whole(self, transfer: Transfer, frame_bytes: int) -> Iterator[bytes]:
        builder = transfer.builder
        for frame in transfer.file.frames(frame_bytes):
            if builder is not None:
                builder.feed(frame)
            message = self._encoder.frame(transfer, frame)
            # Before it goes: the stream may end with it, and then this is where the next one goes on.
            self._note(transfer)
            yield message

    def _delta(self, transfer: Transfer, delta: Delta, offset: int, held_bytes: int) -> Iterator[bytes]:
        encoder, file = delta.encoder, transfer.file
        # What is made of the content before the offset is left out, so that the encoder sees all of the file.
        file.go_to(0)
        self._make_checkpoints(transfer, delta.basis.digest)
        skip = Skip(offset, delta.block_size, delta.basis.size, file.read_at)
        joined = JoinedCopies(delta.block_size, held_bytes)
        for frame in file.frames():
            for pieces in delta_frames(joined.pieces(skip.pieces(encoder.feed(frame)))):
                message = self._encoder.pieces(transfer, pieces)
                self._note(transfer)
                yield message
            yield b""
        for pieces in delta_frames(chain(joined.pieces(skip.pieces(encoder.finish())), joined.rest())):
            yield self._encoder.pieces(transfer, pieces)

    def _note(self, transfer: Transfer) -> None:
        self._resumption.note(transfer.path, transfer.file, transfer.literal_bytes, transfer.compressed_bytes)
