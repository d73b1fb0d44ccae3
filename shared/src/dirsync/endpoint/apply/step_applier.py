"""Applies one step of a commit: reads the facts, has them judged, acts; tree and index follow."""

from typing import assert_never

from dirsync.endpoint.apply.facts import FactReader
from dirsync.endpoint.apply.moves import Mover
from dirsync.endpoint.apply.outcomes import Changed, UnknownOperation, refusal
from dirsync.endpoint.apply.steps import Step
from dirsync.endpoint.judge import Judgement, judge, judge_move
from dirsync.endpoint.quota import check_entry
from dirsync.endpoint.replica import Replica
from dirsync.endpoint.replica_state import MoveTotals
from dirsync.errors import DirsyncError
from dirsync.fs.failure import NotEmpty, Refused
from dirsync.fs.fingerprint import RACY
from dirsync.fs.root import Root
from dirsync.fs.scan.rules import LOST_AND_FOUND, has_lost_and_found
from dirsync.fs.write.build.publish import TreePublisher
from dirsync.fs.write.publish import Publisher
from dirsync.tree.entry import UNLISTED, Entry, Kind, directory_entry, pack
from dirsync.tree.path import RelPath, components, escape
from dirsync.tree.plan import (
    BuildDirectory,
    CopyContent,
    Delete,
    MakeDirectory,
    Move,
    Operation,
    PutFile,
    PutSymlink,
    SetMetadata,
    TryFile,
)
from dirsync.wire.push.messages import Unsupported

_ALREADY_THERE = MoveTotals(0, 0)


class StepApplier:
    """Applies steps to one replica, for the holder of its writer mutex. ``root`` is the caller's own clone."""

    def __init__(self, replica: Replica, root: Root, publisher: Publisher, trees: TreePublisher) -> None:
        self._replica = replica
        self._state = replica.state
        self._root = root
        self._publisher = publisher
        self._trees = trees
        # A session that agrees on others fences the stream that this one works for.
        self._attributes = replica.options.attributes
        self._facts = FactReader(replica, root)
        self._mover = Mover(replica, root, publisher)

    def apply(self, step: Step) -> MoveTotals | None:
        """Bring about what the step wants; what is there already counts. Returns what was moved, if it is a move.

        Raises:
            DirsyncError: it was not applied; :func:`~dirsync.endpoint.apply.outcomes.failed` says what that means.
        """
        operation = step.operation
        if isinstance(operation, Unsupported):
            msg = f"this server does not know the operation for {escape(operation.path)!r}"
            raise UnknownOperation(msg)
        for path, is_directory in _results(operation):
            self._permit(path, is_directory=is_directory)
        if isinstance(operation, Move):
            return self._move(operation)
        if isinstance(operation, BuildDirectory):
            self._permit_below(operation)
        self._apply(step, operation)
        return None

    def _permit(self, path: RelPath, *, is_directory: bool) -> None:
        """Refuse what no session may touch, and what this one ignores."""
        if self._replica.session_options.ignores(path, is_directory=is_directory):
            msg = f"{escape(path)!r} is ignored in this session"
            raise DirsyncError(msg, reason="IGNORED")
        point = self._root.covered_by(path)
        if point is not None:
            msg = f"something is mounted at {escape(point)!r} in the replica and hides what is there: unmount it"
            raise Refused(path, msg)
        top = components(path)[0]
        if top in self._replica.staging.reserved_names:
            msg = f"{escape(path)!r} is the server's own"
            raise DirsyncError(msg, reason="RESERVED")
        if top == LOST_AND_FOUND and has_lost_and_found(self._root):
            msg = f"{escape(path)!r} belongs to the file system of the replica: rename it, or choose another directory"
            raise DirsyncError(msg, reason="RESERVED")

    def _permit_below(self, operation: BuildDirectory) -> None:
        """Refuse a directory if this session ignores something in it."""
        options = self._replica.session_options
        if not options.ignores_any:
            return
        for path, record in operation.below:
            if options.ignore.matches(path, record[0] == Kind.DIRECTORY):
                msg = f"{escape(path)!r} is ignored in this session"
                raise DirsyncError(msg, reason="IGNORED")

    def _move(self, move: Move) -> MoveTotals:
        # Reading the one may repair what the tree says of the other, so the entries are taken after both.
        target, source = self._facts.read(move.path), self._facts.read(move.source)
        target = target._replace(entry=self._state.get(move.path))
        source = source._replace(entry=self._state.get(move.source))
        judgement = judge_move(move, target, source)
        if judgement is Judgement.DONE:
            return _ALREADY_THERE
        if judgement is not Judgement.APPLY:
            raise refusal(judgement, move)
        return self._mover.move(move)

    def _apply(self, step: Step, operation: Operation) -> None:
        path = operation.path
        if isinstance(operation, PutSymlink | MakeDirectory) and operation.expected is not None:
            self._publisher.prepare()
        facts = self._facts.read(path)
        judgement = judge(operation, facts, self._attributes)
        if judgement is Judgement.DONE:
            if step.staged is not None:
                step.staged.discard()
            return
        if judgement is not Judgement.APPLY:
            error = refusal(judgement, operation)
            # What is in the way of a directory as a whole may not be in the way of what is in it.
            raise Changed(str(error)) if isinstance(operation, BuildDirectory) else error
        if facts.entry is None:
            more = len(operation.below) if isinstance(operation, BuildDirectory) else 0
            check_entry(self._replica.policy.quota, len(self._state.tree) + more, path)
        try:
            self._carry_out(step, operation, facts.entry)
        except NotEmpty:
            if self._facts.holds_mirrored(path):
                msg = f"{escape(path)!r} is not empty"
                raise Changed(msg) from None
            if not isinstance(operation, Delete):
                raise
            self._require_listed(path)
            # What is left is not ours to delete, so the directory stays on disk. It leaves the tree where a scan leaves
            # it out too, because only ignored content is left.
            self._state.remove(path)
            if self._facts.is_listed(path):
                msg = f"{escape(path)!r} holds sockets, FIFOs or devices, which are not mirrored: remove them there"
                raise Refused(path, msg) from None

    def _carry_out(self, step: Step, operation: Operation, current: Entry | None) -> None:
        path = operation.path
        match operation:
            case PutFile(entry=entry) | CopyContent(entry=entry):
                assert step.staged is not None
                self._published(path, entry, self._publisher.publish_file(step.staged, path, entry))
            case BuildDirectory(mode=mode, below=below):
                assert step.tree is not None
                proof = self._trees.publish(step.tree.staged, step.tree.identity, mode)
                self._state.put_tree(path, pack(directory_entry(mode), proof), below)
            case TryFile():
                self._publisher.try_place(path)
            case PutSymlink(entry=entry):
                self._published(path, entry, self._publisher.make_symlink(path, entry.target))
            case MakeDirectory(mode=mode):
                self._published(path, directory_entry(mode), self._publisher.make_directory(path, mode))
            case SetMetadata(entry=entry):
                assert current is not None
                entry = entry._replace(size=current.size, digest=current.digest)
                self._published(path, entry, self._publisher.set_metadata(path, entry))
                if current.digest == UNLISTED:
                    self._require_listed(path)
            case Delete():
                assert current is not None
                self._publisher.remove(path, current.kind)
                self._state.remove(path)
            case Move():
                raise AssertionError(operation)
            case _:
                assert_never(operation)

    def _require_listed(self, path: RelPath) -> None:
        """Refuse what needs to know the content of a directory that cannot be listed."""
        problem = self._replica.scanner.listing_problem(path)
        if problem is not None:
            msg = (
                f"{escape(path)!r} in the replica cannot be listed by the server, so nobody knows what is in it: "
                f"{problem.message}; let the server's user list it, or remove it there"
            )
            raise Refused(path, msg)

    def _published(self, path: RelPath, entry: Entry, proof: bytes) -> None:
        # RACE: what was just published counts as proved though it may be changed within the same clock tick. The
        # replica has one writer; the worst is that such an edit is found by the next deep verification only. Reading
        # every published file again at the next rescan would be the price of closing it.
        proof = bytes((proof[0] & ~RACY,)) + proof[1:]
        self._state.put(path, pack(entry, proof))


def _results(operation: Operation) -> list[tuple[RelPath, bool]]:
    """The paths that an operation changes, and whether a directory is there before or after it."""
    path = operation.path
    match operation:
        case PutFile() | CopyContent() | PutSymlink() | TryFile():
            return [(path, False)]
        case MakeDirectory() | BuildDirectory():
            return [(path, True)]
        case SetMetadata(entry=entry):
            return [(path, entry.is_directory)]
        case Delete(expected=expected):
            return [(path, expected is not None and expected.is_directory)]
        case Move(source=source, source_expected=moved, exchange=exchange, expected=replaced):
            found = [(path, moved.is_directory), (source, moved.is_directory)]
            if exchange and replaced is not None:
                found += [(path, replaced.is_directory), (source, replaced.is_directory)]
            return found
        case _:
            assert_never(operation)
