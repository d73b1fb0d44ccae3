"""A new directory in sections: packed entries and contents, without a message or an object of protobuf for each file.

An entry travels as the head of its record, 51 bytes that both sides use as they are
(:func:`dirsync.tree.entry.covered`).
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

from dirsync.errors import InvalidMessage, LimitExceeded
from dirsync.limits import LIMITS
from dirsync.tree.entry import HEAD_SIZE, PERMISSION_BITS, UNKNOWN, Kind
from dirsync.tree.path import RelPath, parse_entry_path
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression, decompress, smaller
from dirsync.wire.parse import parse

_HEAD: Final = struct.Struct("<BHQq32s")
_PARENT_BYTES: Final = 4
_FILE, _DIRECTORY = int(Kind.FILE), int(Kind.DIRECTORY)
_FORBIDDEN: Final = frozenset({b"", b".", b".."})
_REASON: Final = "INVALID_SECTION"


class NewDirectory(NamedTuple):
    """What the first section of a directory says."""

    path: RelPath
    mode: int


class SectionEntry(NamedTuple):
    """A file or directory in a section."""

    parent: int
    """The number of the directory that holds it; 0 is the new directory itself."""
    name: bytes
    head: bytes
    """The head of its record."""
    mode: int
    mtime_ns: int
    digest: bytes
    content: bytes | None
    """``None``: it is a directory."""


class DirectorySection(NamedTuple):
    """A part of a new directory."""

    number: int
    begin: NewDirectory | None
    """In the first section only."""
    entries: list[SectionEntry]
    last: bool
    saved: int = 0
    """Bytes that compression saved."""


class Columns(NamedTuple):
    """The entries of a section that is to be sent."""

    parents: list[int]
    names: list[bytes]
    heads: list[bytes]
    contents: list[bytes]
    """Of the files only."""


def encode_section(
    number: int,
    begin: NewDirectory | None,
    columns: Columns,
    *,
    last: bool,
    compression: Compression = Compression.NONE,
) -> tuple[bytes, int]:
    """A section, and how many bytes compression saved."""
    request = pb.PushChangesRequest()
    section = request.section
    section.number, section.last = number, last
    if begin is not None:
        section.begin.path, section.begin.mode = begin
    section.parents = struct.pack(f"<{len(columns.parents)}I", *columns.parents)
    section.names = b"".join(name + b"\0" for name in columns.names)
    section.entries = b"".join(columns.heads)
    section.contents = b"".join(columns.contents)
    if compression is Compression.NONE:
        return request.SerializeToString(), 0
    raw = section.SerializeToString()
    packed = smaller(compression, raw)
    if packed is None:
        return request.SerializeToString(), 0
    compressed = pb.PushChangesRequest.CompressedSection(
        compression=int(compression),  # type: ignore[arg-type]  # the numbers are those of the wire
        size=len(raw),
        payload=packed,
    )
    return pb.PushChangesRequest(compressed_section=compressed).SerializeToString(), len(raw) - len(packed)


def decode_sections(message: pb.PushChangesRequest) -> DirectorySection:
    """Validate a section that comes as it is, or compressed. Errors as :func:`decode_section`."""
    if message.WhichOneof("message") == "section":
        return decode_section(message.section)
    return _decode_compressed(message.compressed_section)


def _decode_compressed(message: pb.PushChangesRequest.CompressedSection) -> DirectorySection:
    payload = decompress(message.compression, message.payload, message.size)
    section = decode_section(parse(pb.PushChangesRequest.DirectorySection, payload))
    return section._replace(saved=max(0, message.size - len(message.payload)))


def decode_section(message: pb.PushChangesRequest.DirectorySection) -> DirectorySection:
    """Validate a section. Whether the directories are there that its entries are in is known where they are made.

    Raises:
        InvalidMessage: no correct client sends this.
        LimitExceeded: more entries than a section may have.
    """
    begin = None
    if message.HasField("begin"):
        begin = NewDirectory(parse_entry_path(message.begin.path), message.begin.mode & PERMISSION_BITS)
    return DirectorySection(message.number, begin, _entries(message), message.last)


def _entries(message: pb.PushChangesRequest.DirectorySection) -> list[SectionEntry]:
    heads, contents = message.entries, message.contents
    count = len(heads) // HEAD_SIZE
    if count > LIMITS.max_section_entries:
        msg = f"a section of {count} entries; at most {LIMITS.max_section_entries} are accepted"
        raise LimitExceeded("max_section_entries", msg)
    names = _names(message.names, count)
    if len(heads) != count * HEAD_SIZE or len(message.parents) != count * _PARENT_BYTES:
        raise _invalid("does not have one parent for each entry")
    parents = struct.unpack(f"<{count}I", message.parents)
    entries: list[SectionEntry] = []
    at = 0
    for number, (kind, mode, size, mtime_ns, digest) in enumerate(_HEAD.iter_unpack(heads)):
        content: bytes | None = None
        if mode & ~PERMISSION_BITS:
            raise _invalid("has a mode with other bits than permissions")
        if kind == _FILE:
            if digest == UNKNOWN or size > LIMITS.inline_file_bytes or at + size > len(contents):
                raise _invalid("has a file without its digest, a large one, or one without its content")
            content = contents[at : at + size]
            at += size
        elif kind != _DIRECTORY or size or mtime_ns or digest != UNKNOWN:
            raise _invalid("has an entry that is neither a file nor a directory")
        head = heads[number * HEAD_SIZE : (number + 1) * HEAD_SIZE]
        entries.append(SectionEntry(parents[number], names[number], head, mode, mtime_ns, digest, content))
    if at != len(contents):
        raise _invalid("has more content than its files")
    return entries


def _names(packed: bytes, count: int) -> Sequence[bytes]:
    """The names, each a component of a path, and so many."""
    names = packed.split(b"\0")
    if names.pop() or len(names) != count:
        raise InvalidMessage("a section does not have one name for each entry", reason="INVALID_PATH")
    if b"/" in packed or not _FORBIDDEN.isdisjoint(names) or max(map(len, names), default=0) > LIMITS.max_name_bytes:
        raise InvalidMessage("a section has a name that is none of a directory entry", reason="INVALID_PATH")
    return names


def _invalid(what: str) -> InvalidMessage:
    return InvalidMessage(f"a section of a new directory {what}", reason=_REASON)
