"""A file that is sent in frames: its begin, its frames and its end.

Frames with a literal are sliced out of the received bytes by hand, because copying every payload would cost as much as
hashing it; everything else is decoded by protobuf.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dirsync.delta.pieces import Piece
from dirsync.errors import InvalidMessage
from dirsync.limits import LIMITS
from dirsync.tree.entry import DIGEST_SIZE, UNKNOWN
from dirsync.tree.path import RelPath, escape, parse_entry_path
from dirsync.tree.plan import PutFile
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression, decompress, smaller
from dirsync.wire.entries import decode_entry, fill_entry
from dirsync.wire.parse import parse
from dirsync.wire.push.operations import check_file, decode_expected, fill_expected
from dirsync.wire.push.pieces import decode_pieces, fill_delta
from dirsync.wire.varint import decode_varint, encode_varint


class Upload(NamedTuple):
    """How an upload can be continued after an interruption, and what it continues itself."""

    id: bytes = b""
    """Chosen by the client; empty if nothing is to be kept."""
    offset: int = 0
    """Bytes that the server has kept and that do not come again; 0 from the beginning."""
    prefix_digest: bytes = b""
    """SHA-256 of the content before the offset; empty without one."""


UNNAMED = Upload()
"""Nothing of it is kept."""


class FileBegin(NamedTuple):
    """A file whose content follows; the entry's digest is unknown until the end.

    ``basis`` is the SHA-256 of the content that copies are taken from, in blocks of ``block_size`` bytes. Without one
    it is empty, the block size is 0, and no frame copies.
    """

    number: int
    operation: PutFile
    block_size: int = 0
    basis: bytes = b""
    upload: Upload = UNNAMED


class FileData(NamedTuple):
    """A frame of a file's content, as it is."""

    number: int
    literal: memoryview | bytes
    saved: int = 0
    """Bytes that compression saved."""


class FileDelta(NamedTuple):
    """A frame of a file's content: literals, runs of zeros and copies, in order."""

    number: int
    pieces: list[Piece]
    saved: int = 0
    """Bytes that compression saved."""


class FileEnd(NamedTuple):
    """The file is complete and must have this SHA-256."""

    number: int
    digest: bytes


class FileAbort(NamedTuple):
    """The client drops the file."""

    number: int


"""A message about a file that comes in frames."""

_DATA_TAG = 0x2A  # field 5 of PushChangesRequest, length-delimited
_NUMBER_TAG = 0x08  # field 1 of FileData, varint
_LITERAL_TAG = 0x12  # field 2 of FileData, length-delimited


def encode_begin(
    number: int, operation: PutFile, block_size: int = 0, basis: bytes = b"", upload: Upload = UNNAMED
) -> bytes:
    """The beginning of a large file; with a basis copies may follow."""
    request = pb.PushChangesRequest()
    begin = request.begin
    begin.number, begin.path = number, operation.path
    fill_expected(begin.expected, operation.expected)
    fill_entry(begin.entry, operation.entry._replace(digest=UNKNOWN))
    begin.block_size, begin.basis = block_size, basis
    begin.upload_id, begin.offset, begin.prefix_digest = upload
    return request.SerializeToString()


def encode_data(number: int, literal: bytes, compression: Compression = Compression.NONE) -> tuple[bytes, int]:
    """A frame of a large file, and how many bytes compression saved."""
    packed = _compressed(literal, compression)
    if packed is not None:
        data = pb.PushChangesRequest.FileData(number=number, compressed=packed)
        return pb.PushChangesRequest(data=data).SerializeToString(), len(literal) - len(packed.payload)
    inner = bytes((_NUMBER_TAG,)) + encode_varint(number) + bytes((_LITERAL_TAG,)) + encode_varint(len(literal))
    outer = bytes((_DATA_TAG,)) + encode_varint(len(inner) + len(literal))
    return b"".join((outer, inner, literal)), 0


def encode_delta(
    number: int, pieces: Iterable[Piece], compression: Compression = Compression.NONE
) -> tuple[bytes, int]:
    """A frame of a large file that need not carry all of its content, and how many bytes compression saved.

    The pieces must fit into one message: :func:`dirsync.wire.push.pieces.delta_frames` sees to that.
    """
    request = pb.PushChangesRequest()
    data = request.data
    data.number = number
    delta = data.delta
    fill_delta(delta, pieces)
    if compression is not Compression.NONE:
        raw = delta.SerializeToString()
        packed = _compressed(raw, compression)
        if packed is not None:
            data.compressed_delta.CopyFrom(packed)
            return request.SerializeToString(), len(raw) - len(packed.payload)
    return request.SerializeToString(), 0


def encode_end(number: int, digest: bytes) -> bytes:
    """The end of a large file."""
    return pb.PushChangesRequest(end=pb.PushChangesRequest.FileEnd(number=number, digest=digest)).SerializeToString()


def encode_abort(number: int) -> bytes:
    """The client drops a large file."""
    return pb.PushChangesRequest(abort=pb.PushChangesRequest.FileAbort(number=number)).SerializeToString()


def decode_begin(begin: pb.PushChangesRequest.FileBegin) -> FileBegin:
    """Validate the beginning of a file.

    Whether a file of the basis' size can have so many blocks is known where the basis is.
    """
    path = parse_entry_path(begin.path)
    entry = check_file(decode_entry(begin.entry), path)
    operation = PutFile(path, decode_expected(begin.expected, path), entry._replace(digest=UNKNOWN))
    if begin.basis:
        check_content_digest(begin.basis)
        check_block_size(begin.block_size)
    elif begin.block_size:
        msg = f"{escape(path)!r} is announced with a block size but without the basis that it counts in"
        raise InvalidMessage(msg, reason="INVALID_BLOCK_SIZE")
    upload = Upload(begin.upload_id, begin.offset, begin.prefix_digest)
    _check_upload(upload, entry.size, path)
    return FileBegin(begin.number, operation, begin.block_size, begin.basis, upload)


def check_upload_id(upload_id: bytes) -> bytes:
    """The id of an upload, if it is one."""
    if len(upload_id) != LIMITS.upload_id_bytes:
        msg = f"the id of an upload has {LIMITS.upload_id_bytes} bytes"
        raise InvalidMessage(msg, reason="INVALID_UPLOAD")
    return upload_id


def _check_upload(upload: Upload, size: int, path: RelPath) -> None:
    if upload.id:
        check_upload_id(upload.id)
    continues = bool(upload.offset)
    if continues and not upload.id:
        msg = f"{escape(path)!r} continues an upload without its id"
        raise InvalidMessage(msg, reason="INVALID_UPLOAD")
    if len(upload.prefix_digest) != (DIGEST_SIZE if continues else 0):
        msg = f"{escape(path)!r} needs the digest of what it continues, and no other"
        raise InvalidMessage(msg, reason="INVALID_UPLOAD")
    if upload.offset > size:
        msg = f"{escape(path)!r} continues at {upload.offset} but has {size} bytes"
        raise InvalidMessage(msg, reason="INVALID_UPLOAD")


def check_content_digest(digest: bytes) -> bytes:
    """The digest, if some content can have it."""
    if len(digest) != DIGEST_SIZE or digest == UNKNOWN:
        msg = f"content is named by its SHA-256, which has {DIGEST_SIZE} bytes and not only zeros"
        raise InvalidMessage(msg, reason="INVALID_DIGEST")
    return digest


def check_block_size(block_size: int) -> int:
    """The block size, if it is one."""
    if not LIMITS.min_block_size <= block_size <= LIMITS.max_block_size:
        msg = f"blocks of {block_size} bytes; they have {LIMITS.min_block_size} to {LIMITS.max_block_size}"
        raise InvalidMessage(msg, reason="INVALID_BLOCK_SIZE")
    return block_size


def decode_data(data: pb.PushChangesRequest.FileData) -> FileData | FileDelta:
    """Validate a frame."""
    number = data.number
    match data.WhichOneof("content"):
        case "literal":
            return FileData(number, data.literal)
        case "compressed":
            return FileData(number, _decompressed(data.compressed), _saved(data.compressed))
        case "delta":
            return FileDelta(number, decode_pieces(data.delta))
        case "compressed_delta":
            delta = parse(pb.PushChangesRequest.Delta, _decompressed(data.compressed_delta))
            return FileDelta(number, decode_pieces(delta), _saved(data.compressed_delta))
        case _:
            msg = "a data frame of a kind that the server did not offer"
            raise InvalidMessage(msg, reason="STRATEGY_NOT_OFFERED")


def slice_data(raw: bytes) -> FileData | None:
    """A push message that is a frame with a literal, without a copy of that; ``None`` if it is anything else."""
    if not raw or raw[0] != _DATA_TAG:
        return None
    try:
        length, at = decode_varint(raw, 1)
        if at + length != len(raw) or raw[at] != _NUMBER_TAG:
            return None
        number, at = decode_varint(raw, at + 1)
        if raw[at] != _LITERAL_TAG:
            return None
        length, at = decode_varint(raw, at + 1)
    except IndexError:
        return None
    return FileData(number, memoryview(raw)[at:]) if at + length == len(raw) else None


def decode_end(end: pb.PushChangesRequest.FileEnd) -> FileEnd:
    """Validate the end of a file."""
    if len(end.digest) != DIGEST_SIZE:
        msg = f"a file ends with a digest of {DIGEST_SIZE} bytes"
        raise InvalidMessage(msg, reason="INVALID_DIGEST")
    return FileEnd(end.number, end.digest)


def _compressed(payload: bytes, compression: Compression) -> pb.PushChangesRequest.Compressed | None:
    """The payload, compressed; ``None`` if that would not make it smaller."""
    packed = smaller(compression, payload)
    if packed is None:
        return None
    return pb.PushChangesRequest.Compressed(
        compression=int(compression),  # type: ignore[arg-type]  # the numbers are those of the wire
        size=len(payload),
        payload=packed,
    )


def _decompressed(packed: pb.PushChangesRequest.Compressed) -> bytes:
    return decompress(packed.compression, packed.payload, packed.size)


def _saved(packed: pb.PushChangesRequest.Compressed) -> int:
    return max(0, packed.size - len(packed.payload))
