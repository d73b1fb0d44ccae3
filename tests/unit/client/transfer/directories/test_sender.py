"""A new directory on its way: what its sections have, and what is left out of them."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.fs.fingerprint import FINGERPRINT_SIZE, directory_record, file_record
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record, digest_of
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Below, BuildDirectory
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync.wire.compression import Compression
from dirsync.wire.push.messages import DirectorySection, decode_push
from dirsync_client.reconcile.commands import Transmit
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.directories.sender import DirectorySender, SendingParts

OLD_NS = 10**18


class Source:
    """A directory ``new`` with files, as a scan saw it long after they were written."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "new").mkdir()
        self.root = Root.open(place)
        self.below: list[Below] = []

    def file(self, name: str, content: bytes, *, young: bool = False) -> Path:
        """A file, which the scan saw; ``young``: in the moment in which it was written."""
        path = self.place / "new" / name
        path.write_bytes(content)
        status = path.stat()
        record = file_record(status, status.st_ctime_ns if young else status.st_ctime_ns + OLD_NS)
        self.below.append(Below(RelPath(b"new/" + name.encode()), record))
        return path

    def directory(self, name: str) -> None:
        """A directory, which the scan saw."""
        path = self.place / "new" / name
        path.mkdir()
        self.below.append(Below(RelPath(b"new/" + name.encode()), directory_record(path.stat())))

    def sender(self, known: AssumedContent | None = None, compression: str = "none") -> DirectorySender:
        """What sends it."""
        step = BuildDirectory(RelPath(b"new"), None, 0o755, self.below)
        transmit = Transmit(step, directory_record((self.place / "new").stat()), 0.0, WHOLE)
        compressor = Compressor(compression, frozenset(Compression))
        known = known or AssumedContent(lambda _digest: False)
        return DirectorySender(7, transmit, SendingParts(self.root, known, compressor, dedups=True), 0.0)


WHOLE = Choice(Strategy.WHOLE, Reason.SMALL)


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """An empty new directory."""
    found = Source(tmp_path)
    yield found
    found.root.close()


def sections(sender: DirectorySender) -> list[DirectorySection]:
    """All of them, as a server sees them."""
    found: list[DirectorySection] = []
    while not sender.is_complete:
        section = decode_push(sender.next())
        assert isinstance(section, DirectorySection)
        found.append(section)
    return found


def names(found: list[DirectorySection]) -> list[bytes]:
    """What they have."""
    return [entry.name for section in found for entry in section.entries]


def record_of(sender: DirectorySender, name: bytes) -> Record:
    """What was sent of a file."""
    step = sender.sent().operation
    assert isinstance(step, BuildDirectory)
    return dict(step.below)[RelPath(b"new/" + name)]


def test_everything(source: Source) -> None:
    """Files and directories go in order, with what holds them, and with their digests."""
    source.file("a", b"one")
    source.directory("sub")
    source.file("sub/b", b"two")
    source.file("c", b"")
    sender = source.sender()
    (section,) = sections(sender)

    assert (7, (b"new", 0o755), True) == (section.number, section.begin, section.last)
    assert [(0, b"a", b"one"), (0, b"sub", None), (2, b"b", b"two"), (0, b"c", b"")] == [
        (entry.parent, entry.name, entry.content) for entry in section.entries
    ]
    assert hashlib.sha256(b"two").digest() == digest_of(record_of(sender, b"sub/b"))
    assert source.below[0].record[-FINGERPRINT_SIZE:] == record_of(sender, b"a")[-FINGERPRINT_SIZE:]
    assert (5, 6) == (sender.entries, sender.sent().literal_bytes)


def test_several_sections(source: Source) -> None:
    """A section has some hundred KiB; only the first says where the directory is, only the last that it is complete."""
    source.directory("sub")
    for number in range(20):
        source.file(f"sub/{number}", bytes([number]) * 40_000)
    found = sections(source.sender())

    assert [True, *[False] * (len(found) - 1)] == [section.begin is not None for section in found]
    assert [*[False] * (len(found) - 1), True] == [section.last for section in found]
    assert {1} == {entry.parent for section in found for entry in section.entries if entry.content is not None}
    assert 21 == len(names(found))
    sizes = [sum(len(entry.content or b"") for entry in section.entries) for section in found]
    assert max(sizes) <= LIMITS.batch_bytes + LIMITS.inline_file_bytes


@pytest.mark.parametrize("what", ["gone", "grown", "a link", "a fifo", "a directory"])
def test_left_out(source: Source, what: str) -> None:
    """What is not the file any more that the scan saw goes its own way; the rest is sent."""
    source.file("a", b"one")
    path = source.file("b", b"two")
    source.file("c", b"three")
    path.unlink()
    match what:
        case "grown":
            path.write_bytes(bytes(LIMITS.inline_file_bytes + 1))
        case "a link":
            path.symlink_to("a")
        case "a fifo":
            os.mkfifo(path)
        case "a directory":
            path.mkdir()
        case _:
            pass
    sender = source.sender()

    assert [b"a", b"c"] == names(sections(sender))
    assert 3 == sender.entries


def test_rewritten(source: Source) -> None:
    """A file that was rewritten since the scan goes as it is now, with the record of that."""
    path = source.file("a", b"one")
    path.write_bytes(b"other")
    sender = source.sender()
    (section,) = sections(sender)

    assert [b"other"] == [entry.content for entry in section.entries]
    assert hashlib.sha256(b"other").digest() == digest_of(record_of(sender, b"a"))


def test_young(source: Source) -> None:
    """A record that was made in the moment of the last change proves nothing: the file is read between two looks."""
    source.file("a", b"one", young=True)
    sender = source.sender()

    assert [b"a"] == names(sections(sender))


def test_a_directory_that_is_gone(source: Source) -> None:
    """Nothing in it is sent."""
    source.directory("sub")
    source.file("sub/a", b"one").unlink()
    (source.place / "new/sub").rmdir()

    assert [b"sub"] == names(sections(source.sender()))


def test_known_content(source: Source) -> None:
    """What the replica has, or gets from what was sent before, is not sent; of an empty file nothing is."""
    for name, content in (("a", b"known"), ("b", b"twice"), ("c", b"twice"), ("d", b""), ("e", b"")):
        source.file(name, content)
    known = AssumedContent(hashlib.sha256(b"known").digest().__eq__)
    sender = source.sender(known)

    assert [b"b", b"d", b"e"] == names(sections(sender))
    assert known.has(hashlib.sha256(b"twice").digest())
    known.release((sender.sent(),))
    assert not known.has(hashlib.sha256(b"twice").digest())


def test_compressed(source: Source) -> None:
    """What compression saves is shared among the files, and no more than they have."""
    for number in range(3):
        source.file(str(number), b"%d" % number * 5000)
    sender = source.sender(compression="zstd")
    (section,) = sections(sender)
    sent = sender.sent()

    assert 0 < sent.compressed_bytes <= 15_000
    assert sent.compressed_bytes == sum(sent.shares)
    assert 3 == len(sent.shares)
    assert section.saved >= sent.compressed_bytes
