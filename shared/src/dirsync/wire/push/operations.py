"""Operations of a plan as messages: one numbered step each, with what its planner saw at the path."""

from typing import NamedTuple

from dirsync.errors import InvalidMessage
from dirsync.tree.entry import UNKNOWN, Entry, Kind, symlink_entry
from dirsync.tree.path import RelPath, escape, is_within, parse_entry_path
from dirsync.tree.plan import (
    BuildDirectory,
    CopyContent,
    Delete,
    MakeDirectory,
    Move,
    Operation,
    PutFile,
    PutSymlink,
    SetMetadata,
    TryFile,
)
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import UnknownKind, decode_entry, decode_target, fill_entry


class Unsupported(NamedTuple):
    """An operation of a kind that this version does not know; it is answered as such and harms no other."""

    path: RelPath
    expected: Entry | None


class Item(NamedTuple):
    """A numbered operation of a batch; ``content`` is that of a small file."""

    number: int
    operation: Operation | Unsupported
    content: bytes = b""


def fill_operation(message: pb.Operation, item: Item) -> None:
    """Write an item into a message that is part of another: cheaper than to make one and copy it.

    Raises:
        TypeError: an :class:`Unsupported`, which can be received but not sent, or a directory with what is in it.
    """
    number, operation, content = item
    message.number, message.path = number, operation.path
    fill_expected(message.expected, operation.expected)
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
        case Move(source=source, source_expected=source_expected, exchange=exchange):
            message.move.source, message.move.exchange = source, exchange
            fill_entry(message.move.source_expected.entry, source_expected)
        case CopyContent(entry=entry):
            fill_entry(message.copy_content.entry, entry)
        case TryFile(entry=entry):
            fill_entry(message.try_file.entry, entry)
        case BuildDirectory() | Unsupported():
            msg = "only what this version knows can be sent, and a directory that is built has messages of its own"
            raise TypeError(msg)


def decode_operation(message: pb.Operation) -> Item:
    """Validate an operation. One that a newer client may send becomes an :class:`Unsupported`.

    Raises:
        InvalidMessage: no correct client sends this.
    """
    path = parse_entry_path(message.path)
    try:
        expected = decode_expected(message.expected, path)
        operation = _decode_known(message, path, expected)
    except UnknownKind:
        return Item(message.number, Unsupported(path, None))
    return Item(message.number, operation, message.put_file.content if isinstance(operation, PutFile) else b"")


def _decode_known(message: pb.Operation, path: RelPath, expected: Entry | None) -> Operation | Unsupported:
    match message.WhichOneof("operation"):
        case "put_file":
            return PutFile(path, expected, _decode_small_file(message.put_file, path))
        case "put_symlink":
            return PutSymlink(path, expected, symlink_entry(decode_target(message.put_symlink.target)))
        case "make_directory":
            return MakeDirectory(path, expected, message.make_directory.mode & 0o777)
        case "set_metadata":
            return _decode_metadata(message.set_metadata, path, expected)
        case "delete":
            if expected is None:
                msg = f"a delete of {escape(path)!r}, which is expected to be absent"
                raise InvalidMessage(msg)
            return Delete(path, expected)
        case "move":
            return _decode_move(message.move, path, expected)
        case "copy_content":
            return CopyContent(path, expected, _decode_known_content(message.copy_content.entry, path))
        case "try_file":
            return TryFile(path, expected, check_file(decode_entry(message.try_file.entry), path))
        case _:
            return Unsupported(path, expected)


def _decode_small_file(put: pb.Operation.PutFile, path: RelPath) -> Entry:
    entry = check_file(decode_entry(put.entry), path)
    if entry.digest == UNKNOWN or entry.size != len(put.content):
        msg = f"the file {escape(path)!r} comes without its digest or with another size than announced"
        raise InvalidMessage(msg, reason="INVALID_SIZE")
    return entry


def _decode_metadata(metadata: pb.Operation.SetMetadata, path: RelPath, expected: Entry | None) -> SetMetadata:
    if expected is None:
        msg = f"metadata for {escape(path)!r}, which is expected to be absent"
        raise InvalidMessage(msg)
    entry = expected._replace(mode=metadata.mode & 0o777)
    if expected.kind is Kind.FILE:
        entry = entry._replace(mtime_ns=metadata.mtime_ns)
    return SetMetadata(path, expected, entry)


def _decode_move(move: pb.Operation.Move, path: RelPath, expected: Entry | None) -> Move:
    source = parse_entry_path(move.source)
    if is_within(source, path) or is_within(path, source):
        msg = f"a move from {escape(source)!r} to {escape(path)!r}, which are the same or one in the other"
        raise InvalidMessage(msg, reason="INVALID_MOVE")
    moved = decode_expected(move.source_expected, source)
    if moved is None:
        msg = f"a move of {escape(source)!r}, which is expected to be absent"
        raise InvalidMessage(msg, reason="INVALID_MOVE")
    # Without a digest there is no saying which of two directories the planner saw, nor whether this one was moved
    # already.
    _require_digest(moved, source)
    if move.exchange:
        if expected is None:
            msg = f"{escape(source)!r} is to change places with {escape(path)!r}, which is expected to be absent"
            raise InvalidMessage(msg, reason="INVALID_MOVE")
    elif expected is not None and (moved.is_directory or expected.is_directory):
        msg = f"a move from {escape(source)!r} cannot replace {escape(path)!r}: only a file or link can replace another"
        raise InvalidMessage(msg, reason="INVALID_MOVE")
    return Move(path, expected, source, moved, move.exchange)


def _decode_known_content(message: entry_pb2.Entry, path: RelPath) -> Entry:
    entry = check_file(decode_entry(message), path)
    _require_digest(entry, path)
    return entry


def _require_digest(entry: Entry, path: RelPath) -> None:
    if entry.digest == UNKNOWN:
        msg = f"the operation needs the digest of what is at {escape(path)!r}"
        raise InvalidMessage(msg, reason="INVALID_DIGEST")


def check_file(entry: Entry, path: RelPath) -> Entry:
    """The entry, if content can be that of such a one."""
    if entry.kind is not Kind.FILE:
        msg = f"the content of {escape(path)!r} is announced as that of something else than a file"
        raise InvalidMessage(msg, reason="INVALID_KIND")
    return entry


def fill_expected(message: pb.Expected, expected: Entry | None) -> None:
    """Write what the planner saw into a message that is part of another."""
    if expected is None:
        message.absent = True
    else:
        fill_entry(message.entry, expected)


def decode_expected(message: pb.Expected, path: RelPath) -> Entry | None:
    """What the planner saw at ``path``.

    Raises:
        UnknownKind: an entry of a kind that this version does not know.
        InvalidMessage: the message does not say.
    """
    match message.WhichOneof("state"):
        case "entry":
            return decode_entry(message.entry)
        case "absent":
            return None
        case _:
            msg = f"the operation on {escape(path)!r} does not say what it expects there"
            raise InvalidMessage(msg, reason="NO_EXPECTATION")
