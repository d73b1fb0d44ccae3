"""An index that is kept in memory, and comes back after a crash as it was, as it once was, or not at all.

It stands in for :class:`dirsync.fs.index.index.Index`, whose own tests show that it keeps what it is given. What is on
the disk lags behind: rows are written in batches, so the last ones are lost when the program dies.
"""

from collections.abc import Iterable
from random import Random
from typing import Final

from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.tree import Tree

BATCH: Final = 16
"""Changes that are written together."""
KEPT: Final = 6
"""Earlier states that a power cut may bring back."""

Rows = dict[RelPath, Record]
State = tuple[Rows, dict[str, bytes]]


class Store:
    """What is on the disk of one index."""

    def __init__(self) -> None:
        self._states: list[State] = [({}, {})]

    def read(self) -> State:
        """What is there."""
        rows, meta = self._states[-1]
        return dict(rows), dict(meta)

    def write(self, rows: Rows, meta: dict[str, bytes]) -> None:
        """A batch was written."""
        self._states = [*self._states[1 - KEPT :], (dict(rows), dict(meta))]

    def lose(self) -> None:
        """It is gone."""
        self._states = [({}, {})]

    def cut_power(self, random: Random) -> str:
        """Nothing was ever synced: what is left is the newest state, an earlier one, or none."""
        match random.choice(("kept", "old", "lost")):
            case "kept":
                return "kept"
            case "old":
                self._states = self._states[: random.randint(1, len(self._states))]
                return "old"
            case _:
                self.lose()
                return "lost"


class MemoryIndex:
    """One program's use of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows, self._meta = store.read()
        self._unwritten = 0
        self.failed_writes = 0

    def load(self, tree: Tree) -> None:
        """Put every record whose parent is there into ``tree``."""
        for path, record in sorted(self._rows.items()):
            try:
                tree.put(path, record)
            except KeyError:
                del self._rows[path]

    def put(self, path: RelPath, record: Record) -> None:
        """Keep what is at ``path``."""
        self._rows[path] = record
        self._changed()

    def put_all(self, records: Iterable[tuple[RelPath, Record]]) -> None:
        """Keep what is at these paths."""
        for path, record in records:
            self.put(path, record)

    def remove(self, path: RelPath) -> None:
        """Forget ``path`` and everything below it."""
        for gone in self._below(path):
            del self._rows[gone]
        self._changed()

    def move(self, source: RelPath, path: RelPath) -> None:
        """What was kept of ``source`` is of ``path`` now."""
        self.remove(path)
        for old in self._below(source):
            self._rows[RelPath(path + old[len(source) :])] = self._rows.pop(old)
        self._changed()

    def exchange(self, first: RelPath, second: RelPath) -> None:
        """What was kept of two paths changes places."""
        aside = RelPath(b"/")
        for source, path in ((first, aside), (second, first), (aside, second)):
            moved = {RelPath(path + old[len(source) :]): self._rows.pop(old) for old in self._below(source)}
            self._rows.update(moved)
        self._changed()

    def get_meta(self, key: str) -> bytes | None:
        """A value that belongs to the tree as a whole."""
        return self._meta.get(key)

    def set_meta(self, key: str, value: bytes) -> None:
        """Keep such a value."""
        self._meta[key] = value
        self._changed()

    def flush(self) -> None:
        """Have everything written."""
        self._unwritten = 0
        self._store.write(self._rows, self._meta)

    def close(self) -> None:
        """Write what is left."""
        self.flush()

    def _changed(self) -> None:
        self._unwritten += 1
        if self._unwritten >= BATCH:
            self.flush()

    def _below(self, path: RelPath) -> list[RelPath]:
        return [kept for kept in self._rows if kept == path or not path or is_within(kept, path)]
