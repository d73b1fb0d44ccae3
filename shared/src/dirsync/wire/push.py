"""Messages of the push stream, from client to server: the hot path of the wire.

A message is one of a closed set of values (:data:`PushMessage`). Data frames are sliced out of the received bytes by
hand, because a copy of every payload would cost as much as hashing it; everything else goes through protobuf.
"""

from collections.abc import Iterable
from typing import NamedTuple

from dirsync.errors import InvalidMessage
from dirsync.tree.entry import DIGEST_SIZE, UNKNOWN, Entry, Kind, symlink_entry
from dirsync.tree.path import RelPath, escape, parse_entry_path
from dirsync.tree.plan import Delete, MakeDirectory, Operation, PutFile, PutSymlink, SetMetadata
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression, compress, decompress
from dirsync.wire.entries import UnknownKind, decode_entry, decode_target, encode_entry, fill_entry
from dirsync.wire.parse import parse
from dirsync.wire.session import check_session_id


class Open(NamedTuple):
    """First message of a stream: the session that it belongs to."""

    session_id: bytes


class Unsupported(NamedTuple):
    """An operation of a kind that this version does not know; it is answered as such and harms no other."""

    path: RelPath
    expected: Entry | None


class Item(NamedTuple):
    """A numbered operation of a batch; ``content`` is that of a small file."""

    number: int
    operation: Operation | Unsupported
    content: bytes = b""


class Batch(NamedTuple):
    """Small operations in the order in which they are to be applied."""

    items: list[Item]
    saved: int = 0
    """Bytes that compression saved."""


class FileBegin(NamedTuple):
    """A file whose content follows; the entry's digest is unknown until the end."""

    number: int
    operation: PutFile


class FileData(NamedTuple):
    """A frame of a file's content."""

    number: int
    literal: memoryview | bytes
    saved: int = 0
    """Bytes that compression saved."""


class FileEnd(NamedTuple):
    """The file is complete and must have this SHA-256."""

    number: int
    digest: bytes


class FileAbort(NamedTuple):
    """The client gives the file up."""

    number: int


class Commit(NamedTuple):
    """Make everything so far durable and answer; before that, with ``rescan``, look at the replica's files again."""

    rescan: bool = False


PushMessage = Open | Batch | FileBegin | FileData | FileEnd | FileAbort | Commit

_DATA_TAG = 0x2A  # field 5 of PushChangesRequest, length-delimited
_NUMBER_TAG = 0x08  # field 1 of FileData, varint
_LITERAL_TAG = 0x12  # field 2 of FileData, length-delimited


def encode_stream_open(session_id: bytes) -> bytes:
    """The first message of a push stream."""
    return pb.PushChangesRequest(open=pb.PushChangesRequest.Open(session_id=session_id)).SerializeToString()


def encode_batch(items: Iterable[Item], compression: Compression = Compression.NONE) -> tuple[bytes, int]:
    """A batch, and how many bytes compression saved."""
    request = pb.PushChangesRequest()
    batch = request.batch
    batch.SetInParent()
    for number, operation, content in items:
        message = batch.operations.add()
        message.number, message.path = number, operation.path
        if operation.expected is None:
            message.expected.absent = True
        else:
            fill_entry(message.expected.entry, operation.expected)
        match operation:
            case PutFile(entry=entry):
                fill_entry(message.put_file.entry, entry)
                message.put_file.content = content
            case PutSymlink(entry=entry):
                message.put_symlink.target = entry.target
            case MakeDirectory(mode=mode):
                message.make_directory.mode = mode
            case SetMetadata(entry=entry):
                message.set_metadata.mode, message.set_metadata.mtime_ns = entry.mode, entry.mtime_ns
            case Delete():
                message.delete.SetInParent()
            case Unsupported():
                msg = "only what this version knows can be sent"
                raise TypeError(msg)
    if compression is Compression.NONE:
        return request.SerializeToString(), 0
    raw = batch.SerializeToString()
    packed = compress(compression, raw)
    if len(packed) >= len(raw):
        return request.SerializeToString(), 0
    compressed = pb.PushChangesRequest.CompressedBatch(
        compression=int(compression),  # type: ignore[arg-type]  # the numbers are those of the wire
        size=len(raw),
        payload=packed,
    )
    return pb.PushChangesRequest(compressed_batch=compressed).SerializeToString(), len(raw) - len(packed)


def encode_begin(number: int, operation: PutFile) -> bytes:
    """The beginning of a large file."""
    begin = pb.PushChangesRequest.FileBegin(
        number=number,
        path=operation.path,
        expected=encode_expected(operation.expected),
        entry=encode_entry(operation.entry._replace(digest=UNKNOWN)),
    )
    return pb.PushChangesRequest(begin=begin).SerializeToString()


def encode_data(number: int, literal: bytes, compression: Compression = Compression.NONE) -> tuple[bytes, int]:
    """A frame of a large file, and how many bytes compression saved."""
    if compression is not Compression.NONE:
        packed = compress(compression, literal)
        if len(packed) < len(literal):
            content = pb.PushChangesRequest.CompressedLiteral(
                compression=int(compression),  # type: ignore[arg-type]
                size=len(literal),
                payload=packed,
            )
            data = pb.PushChangesRequest.FileData(number=number, compressed=content)
            return pb.PushChangesRequest(data=data).SerializeToString(), len(literal) - len(packed)
    inner = bytes((_NUMBER_TAG,)) + _varint(number) + bytes((_LITERAL_TAG,)) + _varint(len(literal))
    outer = bytes((_DATA_TAG,)) + _varint(len(inner) + len(literal))
    return b"".join((outer, inner, literal)), 0


def encode_end(number: int, digest: bytes) -> bytes:
    """The end of a large file."""
    return pb.PushChangesRequest(end=pb.PushChangesRequest.FileEnd(number=number, digest=digest)).SerializeToString()


def encode_abort(number: int) -> bytes:
    """The client gives a large file up."""
    return pb.PushChangesRequest(abort=pb.PushChangesRequest.FileAbort(number=number)).SerializeToString()


def encode_commit(*, rescan: bool = False) -> bytes:
    """A request to commit."""
    return pb.PushChangesRequest(commit=pb.PushChangesRequest.Commit(rescan=rescan)).SerializeToString()


def encode_expected(expected: Entry | None) -> pb.Expected:
    """What the planner saw."""
    return pb.Expected(absent=True) if expected is None else pb.Expected(entry=encode_entry(expected))


def decode_push(raw: bytes) -> PushMessage:
    """Validate one message of the push stream.

    Raises:
        InvalidMessage: no correct client sends this.
    """
    frame = _slice_data(raw)
    if frame is not None:
        return frame
    message = parse(pb.PushChangesRequest, raw)
    match message.WhichOneof("message"):
        case "batch":
            return _decode_batch(message.batch)
        case "compressed_batch":
            packed = message.compressed_batch
            payload = decompress(packed.compression, packed.payload, packed.size)
            batch = _decode_batch(parse(pb.PushChangesRequest.Batch, payload))
            return batch._replace(saved=max(0, packed.size - len(packed.payload)))
        case "begin":
            return _decode_begin(message.begin)
        case "data":
            return _decode_data(message.data)
        case "end":
            if len(message.end.digest) != DIGEST_SIZE:
                msg = f"a file ends with a digest of {DIGEST_SIZE} bytes"
                raise InvalidMessage(msg, reason="INVALID_DIGEST")
            return FileEnd(message.end.number, message.end.digest)
        case "abort":
            return FileAbort(message.abort.number)
        case "commit":
            return Commit(message.commit.rescan)
        case "open":
            return Open(check_session_id(message.open.session_id))
        case _:
            msg = "a push message of a kind that this version does not know"
            raise InvalidMessage(msg, reason="UNKNOWN_MESSAGE")


def _decode_batch(batch: pb.PushChangesRequest.Batch) -> Batch:
    return Batch([_decode_operation(message) for message in batch.operations])


def _decode_operation(message: pb.Operation) -> Item:
    path = parse_entry_path(message.path)
    number = message.number
    try:
        expected = _decode_expected(message.expected, path)
        match message.WhichOneof("operation"):
            case "put_file":
                put = message.put_file
                return Item(number, PutFile(path, expected, _decode_small_file(put, path)), put.content)
            case "put_symlink":
                return Item(
                    number, PutSymlink(path, expected, symlink_entry(decode_target(message.put_symlink.target)))
                )
            case "make_directory":
                return Item(number, MakeDirectory(path, expected, message.make_directory.mode & 0o777))
            case "set_metadata":
                metadata = message.set_metadata
                if expected is None:
                    msg = f"metadata for {escape(path)!r}, which is expected to be absent"
                    raise InvalidMessage(msg)
                entry = expected._replace(mode=metadata.mode & 0o777)
                if expected.kind is Kind.FILE:
                    entry = entry._replace(mtime_ns=metadata.mtime_ns)
                return Item(number, SetMetadata(path, expected, entry))
            case "delete":
                if expected is None:
                    msg = f"a delete of {escape(path)!r}, which is expected to be absent"
                    raise InvalidMessage(msg)
                return Item(number, Delete(path, expected))
            case _:
                return Item(number, Unsupported(path, expected))
    except UnknownKind:
        return Item(number, Unsupported(path, None))


def _decode_small_file(put: pb.Operation.PutFile, path: RelPath) -> Entry:
    entry = _check_file(decode_entry(put.entry), path)
    if entry.digest == UNKNOWN or entry.size != len(put.content):
        msg = f"the file {escape(path)!r} comes without its digest or with another size than announced"
        raise InvalidMessage(msg, reason="INVALID_SIZE")
    return entry


def _decode_begin(begin: pb.PushChangesRequest.FileBegin) -> FileBegin:
    path = parse_entry_path(begin.path)
    entry = _check_file(decode_entry(begin.entry), path)
    return FileBegin(
        begin.number, PutFile(path, _decode_expected(begin.expected, path), entry._replace(digest=UNKNOWN))
    )


def _check_file(entry: Entry, path: RelPath) -> Entry:
    if entry.kind is not Kind.FILE:
        msg = f"the content of {escape(path)!r} is announced as that of something else than a file"
        raise InvalidMessage(msg, reason="INVALID_KIND")
    return entry


def _decode_data(data: pb.PushChangesRequest.FileData) -> FileData:
    match data.WhichOneof("content"):
        case "literal":
            return FileData(data.number, data.literal)
        case "compressed":
            packed = data.compressed
            literal = decompress(packed.compression, packed.payload, packed.size)
            return FileData(data.number, literal, max(0, packed.size - len(packed.payload)))
        case _:
            msg = "a data frame of a kind that the server did not offer"
            raise InvalidMessage(msg, reason="STRATEGY_NOT_OFFERED")


def _decode_expected(expected: pb.Expected, path: RelPath) -> Entry | None:
    match expected.WhichOneof("state"):
        case "entry":
            return decode_entry(expected.entry)
        case "absent":
            return None
        case _:
            msg = f"the operation on {escape(path)!r} does not say what it expects there"
            raise InvalidMessage(msg, reason="NO_EXPECTATION")


def _slice_data(raw: bytes) -> FileData | None:
    """A data frame with a literal, without a copy of the literal; ``None`` if the message is anything else."""
    if not raw or raw[0] != _DATA_TAG:
        return None
    try:
        length, at = _read_varint(raw, 1)
        if at + length != len(raw) or raw[at] != _NUMBER_TAG:
            return None
        number, at = _read_varint(raw, at + 1)
        if raw[at] != _LITERAL_TAG:
            return None
        length, at = _read_varint(raw, at + 1)
    except IndexError:
        return None
    return FileData(number, memoryview(raw)[at:]) if at + length == len(raw) else None


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError
