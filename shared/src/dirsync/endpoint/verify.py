"""Verifies what is really in a replica: scans its files again and, deep, reads all of their content again.

Nothing is changed. Of what the replica knows only that counts which a fingerprint proves; deep, not even that. Pushes
go on meanwhile: what a push publishes during the verification counts as the push left it.
"""

from collections.abc import Callable

from dirsync.endpoint.replica import Replica
from dirsync.fs.fingerprint import as_unread
from dirsync.fs.read.hashing import resolve
from dirsync.fs.scan.walk import scan_steps
from dirsync.tree.entry import UNKNOWN, Kind, digest_of, fingerprint_of, pack, unpack
from dirsync.tree.ignore.rules import IgnoreRules
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Tree
from dirsync.wire.replica import Summary


def verify(
    replica: Replica, options: TreeOptions, *, deep: bool, cancelled: Callable[[], bool] = lambda: False
) -> tuple[Tree, Summary]:
    """The tree as it is on disk under ``options``, and its summary.

    Raises:
        Unavailable: cancelled.
    """
    with replica.state.lock:
        tree = replica.tree.copy(options.attributes)
        agreed = options.ignore_rules == replica.options.ignore_rules
    ignore, access = IgnoreRules(options.ignore_rules), replica.state.owner_access
    rules = replica.session_options.scan_rules_under(ignore, access, keep_directories=agreed)
    read = 0

    def count(size: int) -> None:
        nonlocal read
        read += size
        replica.observer.bytes_hashed(size)

    changed: list[RelPath] = []
    with replica.root.clone() as root:
        for step in scan_steps(root, tree, rules, (ROOT,)):
            changed += step.changed
        files = [path for path, _ in tree.files()]
        if deep:
            for path in files:
                _forget_digest(tree, path)
            due = files
        else:
            due = [path for path in changed if (r := tree.record(path)) and digest_of(r) == UNKNOWN]
        resolve(root, tree, due, hashed=count, cancelled=cancelled)
    with replica.state.lock:
        _take_published(replica.tree, tree, changed, deep=deep)
    for path in due:
        _note_unread(tree, path)
    return tree, Summary(tree.digest(), len(tree), read, len(changed))


def _forget_digest(tree: Tree, path: RelPath) -> None:
    record = tree.record(path)
    assert record is not None
    tree.put(path, pack(unpack(record)._replace(digest=UNKNOWN), fingerprint_of(record)))


def _note_unread(tree: Tree, path: RelPath) -> None:
    """A file that could not be read equals nothing."""
    record = tree.record(path)
    if record is not None and record[0] == Kind.FILE and digest_of(record) == UNKNOWN:
        tree.put(path, as_unread(record))


def _take_published(now: Tree, tree: Tree, paths: list[RelPath], *, deep: bool) -> None:
    """What a push published since the tree was copied is as the replica says: it was proved just now.

    Deep, only what was read counts: then the replica says just what the source declared of it.
    """
    for path in paths:
        found, published = tree.record(path), now.record(path)
        if found is None or published is None or fingerprint_of(found) != fingerprint_of(published):
            continue
        if digest_of(found) == digest_of(published) or (digest_of(found) == UNKNOWN and not deep):
            tree.put(path, published)
