"""After an end that was not clean, the content of a file says whether what was agreed on is to be believed."""

import pytest

from dirsync.tree.entry import UNKNOWN, Entry, Record, file_entry, pack
from dirsync.tree.merge.distrust import UncleanEnd
from dirsync.tree.merge.policy import Policy
from dirsync.tree.path import RelPath
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import HashFile, Transmit
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import Connected, FileHashed
from dirsync_client.reconcile.reconciler import Reconciler
from dirsync_client.reconcile.two_way.commands import Receive, ReportConflict
from tests.unit.client.reconcile.model import Model

PATH = RelPath(b"notes.txt")
BOTH_HAD = file_entry(mode=0o644, size=1, mtime_ns=5 * 10**9, digest=b"1" * 32)
THEIRS = file_entry(mode=0o644, size=1, mtime_ns=9 * 10**9, digest=b"2" * 32)
WRITTEN_AT = 10


def fingerprinted(entry: Entry, changed_at: int) -> Record:
    """A record whose fingerprint ends with ctime, inode and volume."""
    return pack(entry, b"\0" * 17 + changed_at.to_bytes(8, "little") + bytes(16))


def decided(theirs: Entry | None, digest: bytes, changed_at: int, *, power_cut: bool) -> list[object]:
    """What is wanted of a file that was not read when the session began, and has this digest."""
    model, replica, ancestor = Model(), Tree(), Tree()
    unread = fingerprinted(BOTH_HAD._replace(digest=UNKNOWN), changed_at)
    model.tree.put(PATH, unread)
    ancestor.put(PATH, pack(BOTH_HAD))
    if theirs is not None:
        replica.put(PATH, pack(theirs))
    reconciler = Reconciler(model, Options(at_once=True, two_way=Policy()))
    end = UncleanEnd(WRITTEN_AT, power_cut=power_cut)
    event = Connected(replica, frozenset(Strategy), False, None, frozenset(), ancestor=ancestor, unclean_end=end)
    commands = reconciler.handle([event], 1.0)
    assert [PATH] == [command.path for command in commands if isinstance(command, HashFile)]
    assert not [command for command in commands if isinstance(command, Transmit | Receive)]
    read = fingerprinted(BOTH_HAD._replace(digest=digest), changed_at)
    return list(reconciler.handle([FileHashed(PATH, unread, read)], 2.0))


@pytest.mark.parametrize("theirs", [THEIRS, None])
def test_a_file_that_nothing_happened_to(theirs: Entry | None) -> None:
    """It was not read when a power cut had taken the index: it is what both had, so there is no conflict."""
    commands = decided(theirs, BOTH_HAD.digest, WRITTEN_AT - 1, power_cut=True)

    assert not [command for command in commands if isinstance(command, ReportConflict | Transmit)]
    (receive,) = (command for command in commands if isinstance(command, Receive))
    assert PATH == receive.path


@pytest.mark.parametrize(
    "digest, changed_at, power_cut",
    [(b"0" * 32, WRITTEN_AT - 1, True), (BOTH_HAD.digest, WRITTEN_AT, True), (BOTH_HAD.digest, WRITTEN_AT, False)],
    ids=["lost its content", "was brought back, after a cut", "was brought back"],
)
def test_a_file_that_something_happened_to(digest: bytes, changed_at: int, power_cut: bool) -> None:
    """It is not replaced without a copy."""
    commands = decided(THEIRS, digest, changed_at, power_cut=power_cut)

    (conflict,) = (command for command in commands if isinstance(command, ReportConflict))
    assert conflict.conflict.kept_as is not None


def test_what_lost_its_content_replaces_nothing() -> None:
    """The replica has what both had: that comes back, and what a power cut left is kept beside it."""
    commands = decided(BOTH_HAD, b"0" * 32, WRITTEN_AT - 1, power_cut=True)

    assert not [command for command in commands if isinstance(command, Transmit)]
    assert [command for command in commands if isinstance(command, ReportConflict)]
