"""Makes the messages with the content of large files."""

from dirsync.delta.blocks import BlockRange
from dirsync.delta.pieces import Piece, Zeros
from dirsync.delta.zeros import split_zeros
from dirsync.wire.compression import Compression
from dirsync.wire.push.messages import encode_data, encode_delta
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.reader import is_zeros
from dirsync_client.transfer.uploads.transfer import Transfer


class FrameEncoder:
    """Chooses the compression of each file, and counts what its messages carry."""

    def __init__(self, compressor: Compressor, *, zeros: bool) -> None:
        """``zeros``: the server takes runs of zeros as a number."""
        self._compressor = compressor
        self._zeros = zeros

    def frame(self, transfer: Transfer, frame: bytes) -> bytes:
        """A message with the next bytes of a file."""
        if self._zeros and is_zeros(frame):
            return self.pieces(transfer, [Zeros(len(frame))])
        if self._zeros and transfer.file.is_sparse and len(pieces := split_zeros(frame)) > 1:
            return self.pieces(transfer, pieces)
        if transfer.compression is None:
            transfer.compression = self._compressor.choose(frame)
        message, saved = encode_data(transfer.number, frame, transfer.compression)
        transfer.literal_bytes += len(frame)
        transfer.compressed_bytes += saved
        return message

    def pieces(self, transfer: Transfer, pieces: list[Piece]) -> bytes:
        """A message with pieces of a file; zeros count as content that compression saved."""
        zeros = sum(piece.length for piece in pieces if isinstance(piece, Zeros))
        literals = [piece for piece in pieces if not isinstance(piece, Zeros | BlockRange)]
        if literals and transfer.compression is None:
            transfer.compression = self._compressor.choose(bytes(max(literals, key=len)))
        compression = (transfer.compression if literals else None) or Compression.NONE
        message, saved = encode_delta(transfer.number, pieces, compression)
        transfer.literal_bytes += zeros + sum(len(piece) for piece in literals)
        # Compression may save on the copies too, which are no content: that counts for nothing.
        transfer.compressed_bytes = min(transfer.compressed_bytes + zeros + saved, transfer.literal_bytes)
        return message
