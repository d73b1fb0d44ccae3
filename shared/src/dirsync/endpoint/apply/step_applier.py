"""One step of a commit, checked against what is at its path and then carried out; tree and index follow."""

from dirsync.endpoint.apply.moves import Mover
from dirsync.endpoint.apply.outcomes import Changed, UnknownOperation
from dirsync.endpoint.apply.precondition import Precondition, is_expected
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.quota import check_entry
from dirsync.endpoint.replica import Replica
from dirsync.endpoint.replica_state import Moved
from dirsync.fs.failure import NotEmpty
from dirsync.fs.fingerprint import RACY
from dirsync.fs.root import Root
from dirsync.fs.write.publish import Publisher
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, directory_entry, pack, unpack
from dirsync.tree.path import RelPath, escape
from dirsync.tree.plan import CopyContent, Delete, MakeDirectory, Move, Operation, PutFile, PutSymlink, SetMetadata
from dirsync.wire.push.messages import Unsupported


class Actor:
    """Carries out steps on one replica, under its lock. ``root`` is the caller's own clone of the replica's."""

    def __init__(self, replica: Replica, root: Root, publisher: Publisher) -> None:
        self._replica = replica
        self._publisher = publisher
        self._precondition = Precondition(replica, root)
        self._mover = Mover(replica, root, publisher)

    def act(self, step: Step) -> Moved | None:
        """Bring about what the step wants; what is there already counts. Gives how much was moved, if it is a move.

        Raises:
            DirsyncError: it was not applied; :func:`~dirsync.endpoint.apply.outcomes.failed` says what that means.
        """
        operation = step.operation
        if isinstance(operation, Unsupported):
            msg = f"this server does not know the operation for {escape(operation.path)!r}"
            raise UnknownOperation(msg)
        self._precondition.permit(operation.path)
        if isinstance(operation, Move):
            return self._mover.move(operation)
        self._apply(step, operation)
        return None

    def _apply(self, step: Step, operation: Operation) -> None:
        path = operation.path
        current = self._precondition.current(
            path, leaves=isinstance(operation, Delete), enters=isinstance(operation, MakeDirectory)
        )
        if self._is_done(operation, current):
            if step.staged is not None:
                step.staged.discard()
            return
        if not is_expected(operation.expected, None if current is None else unpack(current)):
            msg = f"{escape(path)!r} is not what the client expected"
            raise Changed(msg)
        if current is None:
            check_entry(self._replica.policy.quota, len(self._replica.tree), path)
        try:
            self._carry_out(step, operation, current)
        except NotEmpty:
            self._precondition.require_empty(path)
            if not isinstance(operation, Delete):
                raise
            # Only ignored content is left, which is not ours to delete: the directory leaves the tree and stays on
            # disk.
            self._replica.holdings.remove(path)

    def _carry_out(self, step: Step, operation: Operation, current: Record | None) -> None:
        path = operation.path
        match operation:
            case PutFile(entry=entry) | CopyContent(entry=entry):
                assert step.staged is not None
                self._published(path, entry, self._publisher.publish_file(step.staged, path, entry))
            case PutSymlink(entry=entry):
                self._published(path, entry, self._publisher.make_symlink(path, entry.target))
            case MakeDirectory(mode=mode):
                self._published(path, directory_entry(mode), self._publisher.make_directory(path, mode))
            case SetMetadata(entry=entry):
                assert current is not None
                entry = entry._replace(size=unpack(current).size, digest=unpack(current).digest)
                self._published(path, entry, self._publisher.set_metadata(path, entry))
            case Delete():
                assert current is not None
                self._publisher.remove(path, Kind(current[0]))
                self._replica.holdings.remove(path)
            case Move():
                raise AssertionError(operation)

    def _published(self, path: RelPath, entry: Entry, proof: bytes) -> None:
        # RACE: what was just published counts as proved though somebody may change it within the same clock tick. The
        # replica has one writer; the worst is that such an edit is found by the next deep verification only. Reading
        # every published file again at the next rescan would be the price of closing it.
        proof = bytes((proof[0] & ~RACY,)) + proof[1:]
        self._replica.holdings.put(path, pack(entry, proof))

    def _is_done(self, operation: Operation, current: Record | None) -> bool:
        """Whether the operation's result is there already: it was applied before, and its acknowledgement was lost."""
        match operation:
            case Delete():
                return current is None
            case MakeDirectory() | Move():
                return False
            case PutFile(entry=entry) | CopyContent(entry=entry) | PutSymlink(entry=entry) | SetMetadata(entry=entry):
                if current is None or entry.digest == UNKNOWN:
                    return False
                normalize = self._replica.options.attributes.normalize
                return normalize(unpack(current)) == normalize(entry)
