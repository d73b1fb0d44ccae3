"""New directories in sections: what was encoded is decoded, and what no correct client sends is refused."""

import hashlib
from collections.abc import Callable

import pytest

from dirsync.errors import DirsyncError
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record, covered, directory_entry, file_entry, from_head, pack
from dirsync.tree.path import RelPath
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.compression import Compression
from dirsync.wire.push.messages import DirectorySection, decode_push
from dirsync.wire.push.sections import Columns, NewDirectory, encode_section
from tests.support.peers.operations import Inside, inner, section

BEGIN = NewDirectory(RelPath(b"d/new"), 0o750)
CONTENT = b"content " * 100


def record(content: bytes) -> Record:
    """That of a file."""
    return pack(
        file_entry(mode=0o644, size=len(content), mtime_ns=-5, digest=hashlib.sha256(content).digest()), b"fingerprint"
    )


@pytest.mark.parametrize("compression", Compression)
def test_round_trip(compression: Compression) -> None:
    """Parents, names, records and contents come as they were sent, without the fingerprints."""
    records = [record(CONTENT), pack(directory_entry(0o700)), record(b""), record(b"x")]
    contents = [CONTENT, b"", b"x"]
    columns = Columns([0, 0, 2, 2], [b"a", b"sub", b"\xff", b"b"], [covered(one) for one in records], contents)
    raw, saved = encode_section(7, BEGIN, columns, last=True, compression=compression)
    found = decode_push(raw)

    assert isinstance(found, DirectorySection)
    assert (7, BEGIN, True, saved) == (found.number, found.begin, found.last, found.saved)
    assert (compression is Compression.NONE) == (saved == 0)
    assert columns.parents == [entry.parent for entry in found.entries]
    assert columns.names == [entry.name for entry in found.entries]
    assert [CONTENT, None, b"", b"x"] == [entry.content for entry in found.entries]
    assert [from_head(covered(one)) for one in records] == [from_head(entry.head) for entry in found.entries]
    assert [0o644, 0o700, 0o644, 0o644] == [entry.mode for entry in found.entries]


def test_a_later_section() -> None:
    """It names no path, and need not be the last."""
    raw, _ = encode_section(7, None, Columns([], [], [], []), last=False)

    assert DirectorySection(7, None, [], last=False) == decode_push(raw)


def lying(change: Callable[[pb.PushChangesRequest.DirectorySection], None]) -> bytes:
    """A section that is good but for one thing."""
    request = section(1, b"new", Inside(b"a", CONTENT), inner(b"sub"), Inside(b"b", b"x", 2))
    change(request.section)
    return request.SerializeToString()


def head_at(at: int, value: bytes) -> Callable[[pb.PushChangesRequest.DirectorySection], None]:
    """Overwrite some of the first entry's head."""

    def change(message: pb.PushChangesRequest.DirectorySection) -> None:
        message.entries = message.entries[:at] + value + message.entries[at + len(value) :]

    return change


def replace(field: str, value: bytes) -> Callable[[pb.PushChangesRequest.DirectorySection], None]:
    """Give a field another value."""
    return lambda message: setattr(message, field, value)


LIES: dict[str, Callable[[pb.PushChangesRequest.DirectorySection], None]] = {
    "INVALID_PATH: the last name has no end": replace("names", b"a\0sub\0b"),
    "INVALID_PATH: a name is missing": replace("names", b"a\0sub\0"),
    "INVALID_PATH: an empty name": replace("names", b"a\0sub\0\0"),
    "INVALID_PATH: a name that climbs": replace("names", b"a\0sub\0..\0"),
    "INVALID_PATH: a path for a name": replace("names", b"a\0sub\0x/y\0"),
    "INVALID_PATH: a long name": replace("names", b"a\0sub\0" + b"n" * 256 + b"\0"),
    "INVALID_PATH: the root": lambda message: setattr(message.begin, "path", b""),
    "INVALID_PATH: outside": lambda message: setattr(message.begin, "path", b"../x"),
    "INVALID_SECTION: half a parent": replace("parents", bytes(11)),
    "INVALID_SECTION: a parent too many": replace("parents", bytes(16)),
    "INVALID_SECTION: content is missing": replace("contents", CONTENT),
    "INVALID_SECTION: content too much": replace("contents", CONTENT + b"xy"),
    "INVALID_SECTION: a link": head_at(0, b"\x03"),
    "INVALID_SECTION: no kind": head_at(0, b"\x00"),
    "INVALID_SECTION: a directory with a size": head_at(0, b"\x02"),
    "INVALID_SECTION: a setuid bit": head_at(1, b"\xed\x09"),
    "INVALID_SECTION: a large file": head_at(3, (LIMITS.inline_file_bytes + 1).to_bytes(8, "little")),
    "INVALID_SECTION: a huge file": head_at(3, b"\xff" * 8),
    "INVALID_SECTION: no digest": head_at(19, bytes(32)),
}


@pytest.mark.parametrize("lie", LIES)
def test_refused(lie: str) -> None:
    """Names that lead elsewhere, columns that do not fit together, files without their content."""
    with pytest.raises(DirsyncError) as caught:
        decode_push(lying(LIES[lie]))

    assert lie.partition(":")[0] == caught.value.reason


def test_too_many() -> None:
    """More entries than a section may have are refused before they cost anything."""
    many = section(1, b"new", *(Inside(b"%d" % number, b"") for number in range(LIMITS.max_section_entries + 1)))
    with pytest.raises(DirsyncError) as caught:
        decode_push(many.SerializeToString())

    assert "MAX_SECTION_ENTRIES" == caught.value.reason
