"""Entries, and the records that trees hold them in."""

import hashlib
import struct

import pytest

from dirsync.tree.entry import (
    MAX_MTIME_NS,
    MIN_MTIME_NS,
    UNKNOWN,
    Entry,
    Kind,
    clamp_mtime,
    covered,
    directory_entry,
    file_entry,
    fingerprint_of,
    is_known,
    pack,
    symlink_entry,
    unpack,
    unread_digest,
)

F1 = file_entry(mode=0o640, size=3, mtime_ns=-5, digest=hashlib.sha256(b"one").digest())


@pytest.mark.parametrize("entry", [F1, directory_entry(0o700), symlink_entry(b"../\xff"), symlink_entry(b"t" * 4095)])
@pytest.mark.parametrize("fingerprint", [b"", b"print"])
def test_record_holds_entry_and_fingerprint(entry: Entry, fingerprint: bytes) -> None:
    """Packing loses nothing, and the fingerprint is no part of the entry."""
    record = pack(entry, fingerprint)

    assert (entry, fingerprint) == (unpack(record), fingerprint_of(record))


def test_covered_part_is_as_documented() -> None:
    """Digests of directories cover kind, mode, size, mtime and digest, little-endian, and not the fingerprint."""
    expected = struct.pack("<BHQq32s", 1, 0o640, 3, -5, F1.digest)

    assert expected == covered(pack(F1, b"print"))


def test_only_permission_bits_are_kept() -> None:
    """Setuid, setgid and sticky never enter a tree."""
    assert file_entry(mode=0o107755, size=0, mtime_ns=0).mode == 0o755
    assert directory_entry(0o41777).mode == 0o777


def test_link_is_known_by_its_target() -> None:
    """A link's digest is that of its target; mode, size and time are nothing."""
    assert Entry(Kind.SYMLINK, 0, 0, 0, hashlib.sha256(b"t").digest(), b"t") == symlink_entry(b"t")


def test_unread_file_has_the_unknown_digest() -> None:
    """A file that has not been read yet says so."""
    assert file_entry(mode=0, size=1, mtime_ns=0).digest == UNKNOWN


@pytest.mark.parametrize(
    "given, expected", [(1 << 70, MAX_MTIME_NS), (-(1 << 70), MIN_MTIME_NS), (7, 7), (MAX_MTIME_NS, MAX_MTIME_NS)]
)
def test_times_stay_within_64_bits(given: int, expected: int) -> None:
    """Times outside the wire's range are the nearest inside."""
    assert expected == clamp_mtime(given)


def test_only_directories_have_children() -> None:
    """The kind says what may have children."""
    assert directory_entry(0).is_directory
    assert not F1.is_directory
    assert not symlink_entry(b"t").is_directory


def test_unread_digests() -> None:
    """What stands in for the digest of an unreadable file tells its states apart, and is no digest of content."""
    one, other = unread_digest(b"one"), unread_digest(b"other")

    assert (32, 32) == (len(one), len(other))
    assert one != other
    assert one == unread_digest(b"one")
    assert [False, False, False, True] == [is_known(digest) for digest in (UNKNOWN, one, other, F1.digest)]
