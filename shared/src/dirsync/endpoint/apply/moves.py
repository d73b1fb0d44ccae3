"""Moving what a replica has to another path, or letting two paths change places.

A directory takes everything in it along, so what must not come along keeps it where it is: where ignore rules hold,
ignored content stays at its place (it is not ours), and nothing may come to lie where it would be ignored. The client
then says what it wants in smaller steps.
"""

from collections.abc import Iterator

from dirsync.endpoint.apply.outcomes import Changed
from dirsync.endpoint.apply.precondition import Precondition, is_exactly, is_expected
from dirsync.endpoint.replica import Replica
from dirsync.endpoint.replica_state import Moved
from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import flags_of, with_flags
from dirsync.fs.names import untracked_paths
from dirsync.fs.root import Root
from dirsync.fs.write.publish import Publisher
from dirsync.tree.entry import Kind, Record, pack, unpack
from dirsync.tree.path import RelPath, escape, split
from dirsync.tree.plan import Move

_NOTHING = Moved(0, 0)


class Mover:
    """Moves entries of one replica, under its lock. ``root`` is the caller's own clone of the replica's."""

    def __init__(self, replica: Replica, root: Root, publisher: Publisher) -> None:
        self._replica = replica
        self._root = root
        self._publisher = publisher
        self._precondition = Precondition(replica, root)

    def move(self, operation: Move) -> Moved:
        """Carry it out, whose path is permitted; gives what it brought to its place, nothing if it was there already.

        Raises:
            Changed: something else than expected is at one of the paths.
            PathFailure: as :meth:`~dirsync.fs.write.publish.Publisher.move`.
            DirsyncError: it is refused.
        """
        path, source = operation.path, operation.source
        self._precondition.permit(source)
        # Looking at the one may repair what the tree says of the other, so both are looked at before either is judged.
        self._precondition.current(path)
        self._precondition.current(source, leaves=True)
        if not self._is_expected(operation):
            if self._is_done(operation):
                return _NOTHING
            msg = f"{escape(source)!r} or {escape(path)!r} is not what the client expected"
            raise Changed(msg)
        self._require_takes_along(source, path)
        try:
            return self._exchange(source, path) if operation.exchange else self._move(source, path)
        except PathFailure:
            # Somebody else was there at the same time; nobody knows what he left.
            self._replica.look.rescan((split(source)[0], split(path)[0]), deep=False)
            raise

    def _is_expected(self, operation: Move) -> bool:
        there, moving = self._replica.tree.get(operation.path), self._replica.tree.get(operation.source)
        if not is_exactly(operation.source_expected, moving):
            return False
        if operation.exchange:
            return operation.expected is not None and is_exactly(operation.expected, there)
        return is_expected(operation.expected, there)

    def _is_done(self, operation: Move) -> bool:
        """Whether it was applied before, and its acknowledgement was lost."""
        there, left = self._replica.tree.get(operation.path), self._replica.tree.get(operation.source)
        if not is_exactly(operation.source_expected, there):
            return False
        if operation.exchange:
            return operation.expected is not None and is_exactly(operation.expected, left)
        return left is None

    def _move(self, source: RelPath, path: RelPath) -> Moved:
        known = self._record(source)
        proof = self._publisher.move(source, path, Kind(known[0]))
        return self._replica.holdings.move(source, path, _renewed(known, proof))

    def _exchange(self, source: RelPath, path: RelPath) -> Moved:
        one, other = self._record(source), self._record(path)
        proofs = self._publisher.exchange(source, path, (Kind(one[0]), Kind(other[0])))
        records = _renewed(other, proofs[0]), _renewed(one, proofs[1])
        return self._replica.holdings.exchange(source, path, *records)

    def _record(self, path: RelPath) -> Record:
        record = self._replica.tree.record(path)
        assert record is not None
        return record

    def _require_takes_along(self, source: RelPath, path: RelPath) -> None:
        """Refuse to move directories with which something would go that has to stay, or come where it is ignored."""
        if not self._replica.agreement.ignores_any:
            return
        for old, new in ((source, path), (path, source)):
            if self._replica.tree.directory(old) is None:
                continue
            stays = next(self._ignored(old, new), None) or next(
                untracked_paths(self._root, self._replica.tree, old), None
            )
            if stays is not None:
                msg = f"{escape(old)!r} cannot be moved as a whole: {escape(stays)!r} is ignored, or not mirrored"
                raise DirsyncError(msg, reason="HOLDS_IGNORED")

    def _ignored(self, old: RelPath, new: RelPath) -> Iterator[RelPath]:
        """The directory at ``old``, or what the tree has below it, if it would be ignored at ``new``."""
        matches = self._replica.agreement.ignore.matches
        if matches(new, True):
            yield old
        for path, record in self._replica.tree.walk(old):
            if matches(RelPath(new + path[len(old) :]), record[0] == Kind.DIRECTORY):
                yield path


def _renewed(known: Record, proof: bytes) -> Record:
    """The record of what was moved: what was known of it, proved by the fingerprint that it has now.

    Its name and its ctime changed, its content did not. If it was not proved before, it is not now.
    """
    return with_flags(pack(unpack(known), proof), flags_of(known))
