"""The steps that carry out changes, in an order that is safe at every moment.

A :class:`Plan` splits in two. What makes or replaces goes at once, and is an iterator: a first sync of a million files
never holds a million steps. What removes is collected, because it has to be judged as a whole before any of it goes
(:mod:`dirsync.tree.guards`).

Rules:

- A directory comes before its content; the order of the changes (parents first) ensures that.
- A directory takes the place of a file or link at once, a file or link that of another file or link too.
- A file or link that takes the place of a directory waits with the deletes, after those of the directory's content.
- Every step carries what the planner saw at its path, and is to be applied only if that is still there. So steps may be
  lost, repeated or reordered without harm.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from dirsync.tree.diff import Change
from dirsync.tree.entry import UNKNOWN, Entry, Kind, Record, is_known
from dirsync.tree.path import RelPath


class MakeDirectory(NamedTuple):
    """Make a directory, in place of a file or link if ``expected`` is one."""

    path: RelPath
    expected: Entry | None
    mode: int


class PutFile(NamedTuple):
    """Create or replace a file. ``entry.digest`` may be unknown: it is computed while the content is sent."""

    path: RelPath
    expected: Entry | None
    entry: Entry


class PutSymlink(NamedTuple):
    """Create a symbolic link, or replace what is there."""

    path: RelPath
    expected: Entry | None
    entry: Entry


class SetMetadata(NamedTuple):
    """Set mode and, of a file, mtime; the content stays."""

    path: RelPath
    expected: Entry | None
    entry: Entry


class Delete(NamedTuple):
    """Remove a file, a link, or a directory that must be empty by then."""

    path: RelPath
    expected: Entry | None


class Move(NamedTuple):
    """Move what the replica has at ``source`` to ``path``, a directory with everything in it.

    The file or link that ``expected`` describes is replaced. With ``exchange`` the two are exchanged instead, so that
    neither is ever absent.
    """

    path: RelPath
    expected: Entry | None
    source: RelPath
    source_expected: Entry
    """What the planner saw there; a directory with its Merkle digest."""
    exchange: bool = False


class CopyContent(NamedTuple):
    """Create or replace a file from content that the replica has under any name."""

    path: RelPath
    expected: Entry | None
    entry: Entry


class Below(NamedTuple):
    """Something in a directory that is built as a whole."""

    path: RelPath
    record: Record
    """That of a file, or of a directory."""


class BuildDirectory(NamedTuple):
    """Make a directory where nothing is, together with what is in it; all of it becomes visible at once.

    ``below`` comes parents before children: files, whose digests may be unknown before they are sent, and directories.
    """

    path: RelPath
    expected: None
    mode: int
    below: Sequence[Below]


class TryFile(NamedTuple):
    """Find out whether a file would be taken, without its content. Nothing is changed."""

    path: RelPath
    expected: Entry | None
    entry: Entry


Operation = MakeDirectory | PutFile | PutSymlink | SetMetadata | Delete | Move | CopyContent | BuildDirectory | TryFile
"""One step of a plan."""

OPERATION_NAMES: Final[dict[type, str]] = {
    PutFile: "put_file",
    PutSymlink: "put_symlink",
    MakeDirectory: "make_directory",
    SetMetadata: "set_metadata",
    Delete: "delete",
    Move: "move",
    CopyContent: "copy_content",
    BuildDirectory: "build_directory",
    TryFile: "try_file",
}
"""The names of operations in metrics and in the output of ``plan``."""


def changed_paths(step: Operation) -> tuple[RelPath, ...]:
    """The paths that an operation changes; of a directory that is moved only the directory."""
    match step:
        case TryFile():
            return ()
        case Move():
            return step.source, step.path
        case BuildDirectory():
            return (step.path, *(path for path, _ in step.below))
        case _:
            return (step.path,)


class Plan:
    """The operations of one comparison, created while the changes are read.

    ``changes`` come parents before children, as :func:`dirsync.tree.diff.diff` yields them.
    """

    def __init__(self, changes: Iterable[Change]) -> None:
        self._operations = map(operation, changes)
        self._waiting: list[Operation] = []

    def immediate(self) -> Iterator[Operation]:
        """The operations that create or replace; each comes once, however often this is called."""
        for step in self._operations:
            if removes(step):
                self._waiting.append(step)
            else:
                yield step

    @property
    def deletes(self) -> list[Operation]:
        """The operations that remove, complete once :meth:`immediate` is exhausted.

        The content of a directory comes before the directory, and before what replaces it.
        """
        return self._waiting[::-1]


def operation(change: Change) -> Operation:
    """The operation that carries out ``change``."""
    path, old, new = change
    if new is None:
        return Delete(path, old)
    if new.kind is Kind.DIRECTORY:
        if old is not None and old.kind is Kind.DIRECTORY:
            return SetMetadata(path, old, new)
        return MakeDirectory(path, old, new.mode)
    if new.kind is Kind.SYMLINK:
        return PutSymlink(path, old, new)
    if old is not None and _same_content(old, new):
        return SetMetadata(path, old, new)
    return PutFile(path, old, new)


def removes(step: Operation) -> bool:
    """Whether an operation removes a path, or replaces a directory by something else."""
    if isinstance(step, Delete):
        return True
    return isinstance(step, PutFile | PutSymlink) and step.expected is not None and step.expected.is_directory


def needs_digest(change: Change) -> bool:
    """Whether the source's file has to be read before an operation can be chosen.

    That is so if the replica's file has the same size and can be read there: the content may be the same. Any other
    file is read while it is sent.
    """
    _, old, new = change
    return (
        old is not None
        and new is not None
        and old.kind is Kind.FILE
        and new.kind is Kind.FILE
        and new.digest == UNKNOWN
        and old.size == new.size
        and is_known(old.digest)
    )


def _same_content(old: Entry, new: Entry) -> bool:
    return old.kind is new.kind and old.digest == new.digest and is_known(new.digest)
