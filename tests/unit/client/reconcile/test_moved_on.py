"""When a reading finds another version of a file than was known: other targets of the source have to hear of it."""

import pytest

from dirsync.fs.fingerprint import RACY
from dirsync.tree.entry import UNKNOWN, Record, file_entry, pack
from dirsync_client.reconcile.context import has_moved_on

ONE, OTHER = b"1" * 32, b"2" * 32


def record(digest: bytes, *, size: int = 5, mtime_ns: int = 1, mode: int = 0o644, flags: int = 0) -> Record:
    """A file as it was looked at or read."""
    entry = file_entry(mode=mode, size=size, mtime_ns=mtime_ns, digest=digest)
    return pack(entry, bytes((flags,)) + bytes(48))


@pytest.mark.parametrize(
    "planned, read, expected",
    [
        (record(UNKNOWN), record(ONE), False),
        (record(ONE), record(ONE), False),
        (record(UNKNOWN), record(ONE, flags=RACY), False),
        (record(ONE), record(OTHER), True),
        (record(UNKNOWN), record(ONE, size=6), True),
        (record(UNKNOWN), record(ONE, mtime_ns=2), True),
        (record(UNKNOWN), record(ONE, mode=0o600), True),
    ],
)
def test_moved_on(planned: Record, read: Record, expected: bool) -> None:
    """An unknown digest that was found is no news; everything else is."""
    assert expected == has_moved_on(planned, read)
