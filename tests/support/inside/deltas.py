"""Messages that carry less than all content, and questions about what a server has: short enough to read in a test."""

from collections.abc import Iterable
from typing import Any

from dirsync.v1 import entry_pb2
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.peers.operations import ABSENT, Request, begin, digest, end, file, seen
from tests.support.peers.wire import REPLICA, SECONDS, SYNC, Status, Wire

BLOCK = 4096
Piece = Request.Piece


def literal(content: bytes) -> Piece:
    """Bytes as they are."""
    return Piece(literal=content)


def copied(first: int, count: int = 1) -> Piece:
    """Blocks of the basis."""
    return Piece(copy=pb.BlockRange(first=first, count=count))


def zeros(length: int) -> Piece:
    """Zero bytes."""
    return Piece(zeros=length)


def based(
    number: int, path: bytes, size: int, basis: bytes, expected: pb.Expected = ABSENT, block_size: int = BLOCK
) -> Request:
    """The beginning of a file of ``size`` bytes, rebuilt from the content whose digest is ``basis``."""
    message = begin(number, path, size, expected)
    message.begin.basis, message.begin.block_size = basis, block_size
    return message


def delta(number: int, *pieces: Piece) -> Request:
    """A frame of pieces."""
    return Request(data=Request.FileData(number=number, delta=Request.Delta(pieces=pieces)))


def rebuilt(number: int, path: bytes, old: bytes, new: bytes, *pieces: Piece) -> list[Request]:
    """All messages of a file that becomes ``new`` in place of ``old``, in one frame."""
    return [
        based(number, path, len(new), digest(old), seen(file(old))),
        delta(number, *pieces),
        end(number, digest(new)),
    ]


def copy_content(number: int, path: bytes, content: bytes, expected: pb.Expected = ABSENT) -> pb.Operation:
    """Make a file of content that is known already."""
    what = pb.Operation.CopyContent(entry=file(content))
    return pb.Operation(number=number, path=path, expected=expected, copy_content=what)


def move(
    number: int,
    source: bytes,
    path: bytes,
    moved: entry_pb2.Entry,
    there: entry_pb2.Entry | None = None,
    *,
    exchange: bool = False,
) -> pb.Operation:
    """Move ``moved``, which is at the source, to the path, where ``there`` is."""
    what = pb.Operation.Move(source=source, source_expected=seen(moved), exchange=exchange)
    return pb.Operation(number=number, path=path, expected=seen(there), move=what)


def entry(wire: Wire, path: bytes) -> entry_pb2.Entry:
    """What the server says is at a path, a directory with its digest."""
    request = rpb.StatEntryRequest(namespace="default", path=path)
    return wire.ask(REPLICA + "StatEntry", request, rpb.StatEntryResponse).entry.entry


def signature(
    wire: Wire, session_id: bytes, content: bytes, block_size: int = BLOCK, ranges: Iterable[tuple[int, int]] = ()
) -> tuple[list[pb.GetSignatureResponse], Status]:
    """What the server answers when it is asked for the signature of the content with this digest."""
    request = pb.GetSignatureRequest(session_id=session_id, digest=content, block_size=block_size)
    for first, count in ranges:
        request.ranges.add(first=first, count=count)
    answer = wire.call(SYNC + "GetSignature", request)
    return answer.as_messages(pb.GetSignatureResponse), answer.status


def signature_call(wire: Wire, session_id: bytes, content: bytes, block_size: int = BLOCK) -> Any:
    """The same call, open: pages come as they are taken."""
    request = pb.GetSignatureRequest(session_id=session_id, digest=content, block_size=block_size)
    stub: Any = wire._channel.unary_stream(SYNC + "GetSignature")
    return stub(request.SerializeToString(), timeout=SECONDS)
