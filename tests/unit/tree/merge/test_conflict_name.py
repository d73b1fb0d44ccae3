"""Names of kept versions: readable, bounded, and none that is taken."""

import pytest

from dirsync.tree.entry import MAX_MTIME_NS, MIN_MTIME_NS, Entry, file_entry
from dirsync.tree.merge.conflict_name import conflict_name

SAVED = 1_795_903_386 * 10**9
"""2026-11-28 22:03:06 in UTC."""


def kept(mtime_ns: int = SAVED) -> Entry:
    """A version that is kept."""
    return file_entry(mode=0o644, size=1, mtime_ns=mtime_ns)


@pytest.mark.parametrize(
    "name, client, expected",
    [
        (b"notes.txt", "laptop", b"notes.conflict-laptop-20261128T220306Z.txt"),
        (b"a.tar.gz", "laptop", b"a.tar.conflict-laptop-20261128T220306Z.gz"),
        (b"Makefile", "laptop", b"Makefile.conflict-laptop-20261128T220306Z"),
        (b".bashrc", "laptop", b".bashrc.conflict-laptop-20261128T220306Z"),
        (b"a" * 255, "laptop", b"a" * 222 + b".conflict-laptop-20261128T220306Z"),
        ("ü".encode() * 127, "laptop", "ü".encode() * 111 + b".conflict-laptop-20261128T220306Z"),
        ("ü".encode() * 126 + b".x", "laptop", "ü".encode() * 110 + b".conflict-laptop-20261128T220306Z.x"),
        (b"\x80" * 255, "laptop", b"\x80" * 222 + b".conflict-laptop-20261128T220306Z"),
        (b"a." + b"b" * 250, "laptop", b"a." + b"b" * 220 + b".conflict-laptop-20261128T220306Z"),
        (b"a", "Anna's laptop/../x", b"a.conflict-Anna-s-laptop-..-x-20261128T220306Z"),
        (b"a", "x" * 64, b"a.conflict-" + b"x" * 32 + b"-20261128T220306Z"),
        (b"a", "", b"a.conflict-client-20261128T220306Z"),
    ],
)
def test_name(name: bytes, client: str, expected: bytes) -> None:
    """The extension stays, the name is cut at a character, and nothing in it is special."""
    assert expected == conflict_name(name, kept(), client, lambda _: True)
    assert len(expected) <= 255


@pytest.mark.parametrize("mtime_ns", [MIN_MTIME_NS, 0, MAX_MTIME_NS])
def test_any_time(mtime_ns: int) -> None:
    """Every mtime that an entry can have is a time."""
    assert len(conflict_name(b"a", kept(mtime_ns), "c", lambda _: True)) == len(b"a.conflict-c-20261128T220306Z")


def test_numbers() -> None:
    """The first number that is free, within the bound."""
    asked: list[bytes] = []

    def is_free(name: bytes) -> bool:
        asked.append(name)
        return len(asked) > 11

    name = conflict_name(b"a" * 255, kept(), "c", is_free)
    assert name.endswith(b"Z-12")
    assert 12 == len({*asked})
    assert {255} == {len(candidate) for candidate in asked}
