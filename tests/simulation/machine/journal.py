"""Changes of names that a disk has taken and not yet made durable.

Each change is atomic, and names of one directory reach the disk in the order of their changes; changes of directories
that have nothing to do with each other may overtake one another. That is a little less than ext4 promises, whose
journal is one for all, and what a program that relies on nothing else can live with.
"""

from random import Random
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.simulation.machine.disk import Inode


class Operation(NamedTuple):
    """Names that change together; ``None`` takes one away."""

    assignments: "tuple[tuple[Inode, bytes, Inode | None], ...]"
    touched: frozenset[object]
    """Directories and numbers of inodes: two operations that share one are durable in their order."""


class Journal:
    """The durable names of one disk, and what is pending."""

    def __init__(self, durable: "dict[Inode, dict[bytes, Inode]]") -> None:
        self.durable = durable
        self._pending: list[Operation] = []

    def append(self, operation: Operation) -> None:
        """A change was made."""
        self._pending.append(operation)

    def sync(self, directory: "Inode") -> None:
        """Make what happened in a directory durable, and what that depends on."""
        needed: set[object] = {directory}
        kept: list[Operation] = []
        due: list[Operation] = []
        for operation in reversed(self._pending):
            if needed.isdisjoint(operation.touched):
                kept.append(operation)
            else:
                needed |= operation.touched
                due.append(operation)
        self._pending = kept[::-1]
        for operation in reversed(due):
            self._apply(operation)

    def sync_all(self) -> None:
        """Make everything durable."""
        for operation in self._pending:
            self._apply(operation)
        self._pending.clear()

    def crash(self, random: Random) -> None:
        """Keep some of what is pending, in an order that the disk may have written it in."""
        lost: set[object] = set()
        chance = random.choice((0.0, 0.5, 0.9, 1.0))
        for operation in self._pending:
            if lost.isdisjoint(operation.touched) and random.random() < chance:
                self._apply(operation)
            else:
                lost |= operation.touched
        self._pending.clear()

    def _apply(self, operation: Operation) -> None:
        for directory, name, inode in operation.assignments:
            names = self.durable.setdefault(directory, {})
            if inode is None:
                names.pop(name, None)
            else:
                names[name] = inode
