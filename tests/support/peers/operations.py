"""Messages of the push stream, short enough that a test shows what is sent."""

import hashlib
import struct
from typing import NamedTuple

from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb

FILE, DIRECTORY, SYMLINK = entry_pb2.KIND_FILE, entry_pb2.KIND_DIRECTORY, entry_pb2.KIND_SYMLINK
MTIME_NS = 1_000_000_000_000_000_000
Request = pb.PushChangesRequest

ABSENT = pb.Expected(absent=True)


def digest(content: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(content).digest()


def file(content: bytes, mode: int = 0o644) -> entry_pb2.Entry:
    """The entry of a file."""
    return entry_pb2.Entry(kind=FILE, mode=mode, size=len(content), mtime_ns=MTIME_NS, digest=digest(content))


def link(target: bytes) -> entry_pb2.Entry:
    """The entry of a symbolic link."""
    return entry_pb2.Entry(kind=SYMLINK, target=target, digest=digest(target))


def directory(mode: int = 0o755) -> entry_pb2.Entry:
    """The entry of a directory."""
    return entry_pb2.Entry(kind=DIRECTORY, mode=mode)


def seen(entry: entry_pb2.Entry | None) -> pb.Expected:
    """The precondition that this is there."""
    return ABSENT if entry is None else pb.Expected(entry=entry)


def put(number: int, path: bytes, content: bytes, expected: pb.Expected = ABSENT, mode: int = 0o644) -> pb.Operation:
    """Put a small file."""
    what = pb.Operation.PutFile(entry=file(content, mode), content=content)
    return pb.Operation(number=number, path=path, expected=expected, put_file=what)


def put_link(number: int, path: bytes, target: bytes, expected: pb.Expected = ABSENT) -> pb.Operation:
    """Put a symbolic link."""
    what = pb.Operation.PutSymlink(target=target)
    return pb.Operation(number=number, path=path, expected=expected, put_symlink=what)


def make_directory(number: int, path: bytes, expected: pb.Expected = ABSENT, mode: int = 0o755) -> pb.Operation:
    """Make a directory."""
    what = pb.Operation.MakeDirectory(mode=mode)
    return pb.Operation(number=number, path=path, expected=expected, make_directory=what)


class Inside(NamedTuple):
    """An entry of a directory that is built; without content it is a directory."""

    name: bytes
    content: bytes | None = None
    parent: int = 0
    mode: int = 0o644

    @property
    def head(self) -> bytes:
        """The head of its record."""
        if self.content is None:
            return struct.pack("<BHQq32s", DIRECTORY, self.mode, 0, 0, bytes(32))
        return struct.pack("<BHQq32s", FILE, self.mode, len(self.content), MTIME_NS, digest(self.content))


def inner(name: bytes, parent: int = 0, mode: int = 0o755) -> Inside:
    """A directory in a directory that is built."""
    return Inside(name, None, parent, mode)


def section(number: int, path: bytes | None, *inside: Inside, last: bool = True, mode: int = 0o755) -> Request:
    """A section of a directory that is built; the first one has its path."""
    what = Request.DirectorySection(number=number, last=last)
    if path is not None:
        what.begin.path, what.begin.mode = path, mode
    what.parents = struct.pack(f"<{len(inside)}I", *(one.parent for one in inside))
    what.names = b"".join(one.name + bytes(1) for one in inside)
    what.entries = b"".join(one.head for one in inside)
    what.contents = b"".join(one.content or b"" for one in inside)
    return Request(section=what)


def set_metadata(number: int, path: bytes, expected: pb.Expected, mode: int = 0o600) -> pb.Operation:
    """Set mode and mtime."""
    what = pb.Operation.SetMetadata(mode=mode, mtime_ns=MTIME_NS + 1)
    return pb.Operation(number=number, path=path, expected=expected, set_metadata=what)


def delete(number: int, path: bytes, expected: pb.Expected) -> pb.Operation:
    """Delete what is at a path."""
    return pb.Operation(number=number, path=path, expected=expected, delete=pb.Operation.Delete())


def batch(*operations: pb.Operation) -> Request:
    """Small operations in one message."""
    return Request(batch=Request.Batch(operations=operations))


def begin(
    number: int, path: bytes, size: int, expected: pb.Expected = ABSENT, entry: entry_pb2.Entry | None = None
) -> Request:
    """The beginning of a file that comes in frames."""
    announced = entry or entry_pb2.Entry(kind=FILE, mode=0o644, size=size, mtime_ns=MTIME_NS)
    return Request(begin=Request.FileBegin(number=number, path=path, expected=expected, entry=announced))


def data(number: int, literal: bytes) -> Request:
    """A frame of content."""
    return Request(data=Request.FileData(number=number, literal=literal))


def end(number: int, content_digest: bytes) -> Request:
    """The end of a file."""
    return Request(end=Request.FileEnd(number=number, digest=content_digest))


def abort(number: int) -> Request:
    """The client drops a file."""
    return Request(abort=Request.FileAbort(number=number))


def commit(*, rescan: bool = False) -> Request:
    """Make it durable and answer."""
    return Request(commit=Request.Commit(rescan=rescan))


def with_commit(request: Request) -> Request:
    """A commit in the same message."""
    request.commit_after.SetInParent()
    return request


def drop_uploads() -> Request:
    """Nothing that was interrupted is continued."""
    return Request(commit=Request.Commit(drop_uploads=True))
