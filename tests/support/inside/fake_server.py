"""A server that is a tree in memory: what the decisions of a client are judged by.

It takes the messages of a push stream and does with them what a server does. Copies and the bases of deltas are
looked up when they arrive; nothing is applied before a commit; at the commit each operation is checked against what is
at its path and then applied, in order. Listings and checksums of blocks are answered from the same tree. What came in
is counted.

It keeps the content of files beside the tree, so that a file is really made from the pieces that were sent for it, and
an operation that needs content that nothing has any more fails, as it does at a server.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from dirsync.delta.blocks import BlockRange, span
from dirsync.delta.pieces import Piece, Zeros
from dirsync.delta.signature.packed import pack_checksums
from dirsync.endpoint.judge import is_exactly, is_expected
from dirsync.errors import NotFound
from dirsync.tree.entry import UNKNOWN, Entry, Kind, directory_entry, pack, unpack
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath, is_within, split
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
from dirsync.tree.tree import Tree
from dirsync.wire.push.messages import (
    Batch,
    Commit,
    DirectorySection,
    FileAbort,
    FileBegin,
    FileData,
    FileDelta,
    FileEnd,
    Item,
    Open,
    PushMessage,
    Unsupported,
    WithCommit,
)
from dirsync.wire.push.results import CONTENT_NOT_FOUND, Committed
from dirsync.wire.session import Page
from tests.support.inside.patch import patch

Fault = Callable[[Operation], Outcome | None]
"""Decides whether an operation that arrives is to fail although nothing is wrong with it."""

_NAMES: dict[type, str] = {
    PutFile: "whole",
    PutSymlink: "symlink",
    MakeDirectory: "directory",
    SetMetadata: "metadata",
    Delete: "delete",
    CopyContent: "copy",
}

OPERATION_NAMES = (*_NAMES.values(), "delta", "move", "exchange", "move directory", "exchange directory")
"""The names that applied operations are counted under."""


@dataclass(slots=True)
class Tally:
    """What came in and what was asked."""

    operations: Counter[str] = field(default_factory=Counter)
    """Those that were applied, by name; a file that came as a delta counts as ``delta``."""
    failed: int = 0
    literal_bytes: int = 0
    """Bytes of content that travelled, those of files that were given up included; runs of zeros count nothing."""
    messages: int = 0
    commits: int = 0
    listings: int = 0
    """Calls that list directories."""
    signatures: int = 0
    """Calls that ask for checksums of blocks."""


@dataclass(slots=True)
class _Step:
    number: int
    operation: Operation
    content: bytes | None = None
    failure: tuple[Outcome, str] | None = None
    delta: bool = False


@dataclass(slots=True)
class _Upload:
    begin: FileBegin
    basis: bytes | None
    pieces: list[Piece] = field(default_factory=list)


class FakeServer:
    """One replica, and one stream that writes to it."""

    def __init__(
        self,
        tree: Tree,
        contents: Iterable[bytes],
        *,
        fault: Fault = lambda _operation: None,
        commits_after: int | None = None,
    ) -> None:
        """Hold ``tree``, whose files have ``contents``.

        ``fault`` has operations fail; after ``commits_after`` operations the server commits by itself.
        """
        self.tree = tree
        self.tally = Tally()
        self.refused: list[tuple[Operation, Failure]] = []
        """Every operation that was not applied, and why."""
        self.meanwhile: list[Callable[[], None]] = []
        """What somebody else does to the tree; the server notices it at the next commit."""
        self._contents = {hashlib.sha256(content).digest(): content for content in contents}
        self._fault = fault
        self._commits_after = commits_after
        self._steps: list[_Step] = []
        self._uploads: dict[int, _Upload] = {}
        self._files: list[int] = []
        self._staged: set[bytes] = set()
        self._last_number = 0

    def hold(self, content: bytes) -> bytes:
        """Keep content for a file that somebody else puts into the tree; gives its digest."""
        digest = hashlib.sha256(content).digest()
        self._contents[digest] = content
        return digest

    # What a client asks.

    def list(self, paths: Sequence[RelPath]) -> Iterator[Page]:
        """The children of these directories."""
        self.tally.listings += 1
        for number, path in enumerate(paths):
            children = [] if self.tree.directory(path) is None else list(self.tree.children(path))
            yield Page(number, children, last=True, unknown=[])

    def checksums(self, digest: bytes, block_size: int, ranges: Sequence[BlockRange]) -> Iterator[bytes]:
        """The checksums of ranges of blocks of content that the replica has."""
        self.tally.signatures += 1
        if not self._has(digest):
            msg = "the replica has no content of this digest"
            raise NotFound(msg, reason=CONTENT_NOT_FOUND)
        content = self._contents[digest]
        for first, count in ranges:
            offset, length = span(first, count, block_size, len(content))
            yield pack_checksums(content[offset : offset + length], block_size)

    # The push stream.

    def disconnect(self) -> None:
        """The stream is over: what was not committed is dropped."""
        self._steps.clear()
        self._files.clear()
        self._uploads.clear()
        self._staged.clear()

    def receive(self, message: PushMessage) -> Committed | None:
        """Take in one message; gives the results if it led to a commit."""
        self.tally.messages += 1
        match message:
            case Batch(items=items):
                for item in items:
                    self._take(item)
            case FileBegin():
                self._begin(message)
            case FileData(number=number, literal=literal):
                self._add(number, [bytes(literal)])
            case FileDelta(number=number, pieces=pieces):
                self._add(number, pieces)
            case FileEnd(number=number, digest=digest):
                self._end(self._uploads.pop(number), digest)
            case FileAbort(number=number):
                del self._uploads[number]
            case Commit():
                return self._commit(requested=True)
            case WithCommit(message=before):
                self.tally.messages -= 1
                self.receive(before)
                return self._commit(requested=True)
            case Open():
                pass
            case DirectorySection():
                raise AssertionError(message)  # not offered
        full = self._commits_after is not None and len(self._steps) >= self._commits_after
        return self._commit(requested=False) if full else None

    def _take(self, item: Item) -> None:
        number, operation, content = item
        self._last_number = number
        if isinstance(operation, Unsupported):
            raise TypeError(operation)
        step = _Step(number, operation)
        match operation:
            case PutFile(entry=entry):
                self.tally.literal_bytes += len(content)
                step.content = content
                if self.hold(content) != entry.digest or len(content) != entry.size:
                    step.failure = (Outcome.MISMATCH, "MISMATCH")
            case CopyContent(entry=entry):
                step.content = self._contents[entry.digest] if self._can_copy(entry.digest) else None
                if step.content is None:
                    step.failure = (Outcome.MISMATCH, CONTENT_NOT_FOUND)
                elif len(step.content) != entry.size:
                    step.failure = (Outcome.MISMATCH, "MISMATCH")
            case _:
                pass
        self._seal(step)

    def _begin(self, begin: FileBegin) -> None:
        self._last_number = begin.number
        basis = self._contents[begin.basis] if begin.basis and self._has(begin.basis) else None
        self._uploads[begin.number] = _Upload(begin, basis)

    def _add(self, number: int, pieces: Sequence[Piece]) -> None:
        self.tally.literal_bytes += sum(len(piece) for piece in pieces if not isinstance(piece, Zeros | BlockRange))
        self._uploads[number].pieces += pieces

    def _end(self, upload: _Upload, digest: bytes) -> None:
        begin = upload.begin
        operation = begin.operation._replace(entry=begin.operation.entry._replace(digest=digest))
        step = _Step(begin.number, operation, delta=bool(begin.basis))
        self._files.append(begin.number)
        if begin.basis and upload.basis is None:
            step.failure = (Outcome.MISMATCH, CONTENT_NOT_FOUND)
        else:
            step.content = patch(upload.basis or b"", upload.pieces, begin.block_size or 1)
            if self.hold(step.content) != digest or len(step.content) != operation.entry.size:
                step.failure = (Outcome.MISMATCH, "MISMATCH")
        self._seal(step)

    def _seal(self, step: _Step) -> None:
        """The operation is complete: it waits for the commit, and its content can be copied."""
        injected = self._fault(step.operation)
        if step.failure is None and injected is not None:
            step.failure = (injected, "INJECTED")
        if step.failure is None and step.content is not None:
            self._staged.add(hashlib.sha256(step.content).digest())
        self._steps.append(step)

    def _commit(self, *, requested: bool) -> Committed:
        self.tally.commits += 1
        for change in self.meanwhile:
            change()
        self.meanwhile.clear()
        steps, self._steps = self._steps, []
        files, self._files = self._files, []
        self._staged.clear()
        failures: list[Failure] = []
        for step in steps:
            problem = step.failure or self._apply(step.operation)
            if problem is None:
                if not isinstance(step.operation, TryFile):  # a question changes nothing
                    self.tally.operations[_name(step)] += 1
                continue
            failure = Failure(step.number, problem[0], self.tree.get(step.operation.path), problem[1], problem[1])
            failures.append(failure)
            self.refused.append((step.operation, failure))
        self.tally.failed += len(failures)
        failed = {failure.number for failure in failures}
        applied = [number for number in files if number not in failed]
        return Committed(self._last_number, failures, self.tree.digest(), len(self.tree), requested, applied)

    # One operation.

    def _apply(self, operation: Operation) -> tuple[Outcome, str] | None:
        """Bring about what the operation wants; what is there already counts. Otherwise why not."""
        path, tree = operation.path, self.tree
        current = tree.get(path)
        if not isinstance(operation, Delete) and tree.directory(split(path)[0]) is None:
            return Outcome.CHANGED, "CHANGED"
        if isinstance(operation, Move):
            return self._move(operation, current)
        if self._is_done(operation, current):
            return None
        if not is_expected(operation.expected, current) or self._is_in_the_way(operation):
            return Outcome.CHANGED, "CHANGED"
        match operation:
            case Delete():
                tree.remove(path)
            case MakeDirectory(mode=mode):
                tree.put(path, pack(directory_entry(mode)))
            case SetMetadata(entry=entry):
                assert current is not None
                digest = UNKNOWN if current.is_directory else current.digest
                tree.put(path, pack(entry._replace(size=current.size, digest=digest)))
            case PutFile(entry=entry) | CopyContent(entry=entry) | PutSymlink(entry=entry):
                tree.put(path, pack(entry))
            case TryFile():
                pass
            case BuildDirectory():
                raise AssertionError(operation)
        return None

    def _is_in_the_way(self, operation: Operation) -> bool:
        """Whether a directory that is to go still holds something."""
        directory = self.tree.directory(operation.path)
        goes = isinstance(operation, Delete | PutFile | PutSymlink | CopyContent)
        return goes and directory is not None and bool(directory.children)

    def _is_done(self, operation: Operation, current: Entry | None) -> bool:
        match operation:
            case Delete():
                return current is None
            case PutFile(entry=entry) | CopyContent(entry=entry) | PutSymlink(entry=entry) | SetMetadata(entry=entry):
                return current == entry and entry.digest != UNKNOWN
            case _:
                return False

    def _move(self, operation: Move, there: Entry | None) -> tuple[Outcome, str] | None:
        path, source = operation.path, operation.source
        moving = self.tree.get(source)
        if is_exactly(operation.source_expected, moving) and _fits(operation, there):
            if is_within(path, source) or is_within(source, path):
                return Outcome.REFUSED, "WITHIN_ITSELF"
            if operation.exchange:
                self.tree.exchange(path, source)
            else:
                self.tree.move(source, path)
            return None
        if is_exactly(operation.source_expected, there) and _left(operation, moving):
            return None
        return Outcome.CHANGED, "CHANGED"

    def _has(self, digest: bytes) -> bool:
        """Whether a file of the replica that is not empty has this content."""
        files = (unpack(record) for _, record in self.tree.walk() if record[0] == Kind.FILE)
        return any(entry.digest == digest and entry.size for entry in files)

    def _can_copy(self, digest: bytes) -> bool:
        return digest in self._staged or self._has(digest)


def _fits(operation: Move, there: Entry | None) -> bool:
    """Whether what is at the path is what the planner saw there, and a move may replace it."""
    if operation.exchange:
        return operation.expected is not None and is_exactly(operation.expected, there)
    return is_expected(operation.expected, there) and not (there is not None and there.is_directory)


def _left(operation: Move, left: Entry | None) -> bool:
    """Whether the place that was left is as the move leaves it."""
    if operation.exchange:
        return operation.expected is not None and is_exactly(operation.expected, left)
    return left is None


def _name(step: _Step) -> str:
    operation = step.operation
    if not isinstance(operation, Move):
        return "delta" if step.delta else _NAMES[type(operation)]
    name = "exchange" if operation.exchange else "move"
    return f"{name} directory" if operation.source_expected.is_directory else name
