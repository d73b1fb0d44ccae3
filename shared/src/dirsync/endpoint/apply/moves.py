"""Moves what a replica has to another path, or lets two paths change places.

A directory takes everything in it along, so what must not come along keeps it where it is: where ignore rules hold,
ignored content stays at its place (it is not ours), and nothing may come to lie where it would be ignored. The client
then says what it wants in smaller steps.
"""

from collections.abc import Iterator

from dirsync.endpoint.replica import Replica
from dirsync.endpoint.replica_state import MoveTotals
from dirsync.endpoint.scan.scan_view import ScanView
from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import flags_of, with_flags
from dirsync.fs.names import untracked_paths
from dirsync.fs.root import Root
from dirsync.fs.write.publish import Publisher
from dirsync.tree.entry import Kind, Record, pack, unpack
from dirsync.tree.path import RelPath, escape, split
from dirsync.tree.plan import Move


class Mover:
    """Moves entries of one replica, for the holder of its writer mutex. ``root`` is the caller's own clone."""

    def __init__(self, replica: Replica, root: Root, publisher: Publisher) -> None:
        self._replica = replica
        self._state = replica.state
        self._root = root
        self._publisher = publisher

    def move(self, operation: Move) -> MoveTotals:
        """Carry out a move that was judged; returns what it brought to its place.

        Raises:
            PathFailure: as :meth:`~dirsync.fs.write.publish.Publisher.move`.
            DirsyncError: it is refused.
        """
        path, source = operation.path, operation.source
        self._require_takes_along(source, path)
        try:
            return self._exchange(source, path) if operation.exchange else self._move(source, path)
        except PathFailure:
            # Another process was there at the same time; only a scan can tell what it left.
            self._replica.scanner.rescan((split(source)[0], split(path)[0]), deep=False)
            raise

    def _move(self, source: RelPath, path: RelPath) -> MoveTotals:
        known = self._record(source)
        proof = self._publisher.move(source, path, Kind(known[0]))
        return self._state.move(source, path, _renewed(known, proof))

    def _exchange(self, source: RelPath, path: RelPath) -> MoveTotals:
        one, other = self._record(source), self._record(path)
        proofs = self._publisher.exchange(source, path, (Kind(one[0]), Kind(other[0])))
        return self._state.exchange(source, path, _renewed(other, proofs[0]), _renewed(one, proofs[1]))

    def _record(self, path: RelPath) -> Record:
        record = self._state.record(path)
        assert record is not None
        return record

    def _require_takes_along(self, source: RelPath, path: RelPath) -> None:
        """Refuse to move directories with which something would go that has to stay, or come where it is ignored."""
        if not self._replica.session_options.ignores_any:
            return
        # The directories are listed on disk, which takes its time: they are compared without the data lock.
        tree = ScanView(lambda: self._state.tree)
        for old, new in ((source, path), (path, source)):
            if tree.directory(old) is None:
                continue
            stays = next(self._ignored(tree, old, new), None) or next(untracked_paths(self._root, tree, old), None)
            if stays is not None:
                msg = f"{escape(old)!r} cannot be moved as a whole: {escape(stays)!r} is ignored, or not mirrored"
                raise DirsyncError(msg, reason="HOLDS_IGNORED")

    def _ignored(self, tree: ScanView, old: RelPath, new: RelPath) -> Iterator[RelPath]:
        """The directory at ``old``, or what the tree has below it, if it would be ignored at ``new``."""
        matches = self._replica.session_options.ignore.matches
        if matches(new, True):
            yield old
        for path, record in tree.walk(old):
            if matches(RelPath(new + path[len(old) :]), record[0] == Kind.DIRECTORY):
                yield path


def _renewed(known: Record, proof: bytes) -> Record:
    """The record of what was moved: what was known of it, proved by the fingerprint that it has now.

    Its name and its ctime changed, its content did not. If it was not proved before, it is not now.
    """
    return with_flags(pack(unpack(known), proof), flags_of(known))
