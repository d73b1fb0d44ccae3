"""Random histories: what happens to a source and its replica, and how far the sync gets before the next thing happens.

All of it is drawn from one number. What is edited does not depend on what the client does, so two versions of the
client meet the same history; how far the sync gets in between is told in terms that both have.
"""

import hashlib
import os
import random
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple, Self
from unittest.mock import patch

from dirsync.limits import KIB, Limits
from dirsync.tree.entry import directory_entry, file_entry, pack, symlink_entry
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Operation
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from tests.characterise.edits import INLINE_BYTES, Editor
from tests.support.inside.fake_server import FakeServer

BLOCK_SIZE = 512
"""Of deltas, in bytes."""

_BOUNDS: dict[str, int] = {
    "inline_file_bytes": INLINE_BYTES,
    "frame_bytes": 8 * KIB,
    "batch_bytes": 16 * KIB,
    "min_remembered_bytes": 8 * KIB,
    # No fingerprint is racy: each write sets an mtime of its own, so a second one never goes unseen.
    "racy_window_ns": 0,
    "coarse_racy_window_ns": 0,
}


class Work(Enum):
    """What goes on beside the decisions."""

    NOTICE = "notice"
    """The watcher's hints are taken."""
    READ = "read"
    """A large file is hashed."""
    COMPARE = "compare"
    """It is found out what a delta of a file can be made from."""
    SEND = "send"
    """A message goes to the server."""
    ANSWER = "answer"
    """The server's answer is taken."""


class Shape(NamedTuple):
    """What is the same for all of a history."""

    calm: bool
    """The sync always gets to its end before something else happens."""
    faults: float
    """Share of operations that the server does not apply though nothing is wrong with them."""
    tampers: bool
    """Somebody else changes the replica now and then."""
    deletes: bool
    max_delete_count: int
    """More deletes than these are held, until somebody approves."""
    offered: frozenset[Strategy]
    commits_after: int | None
    """The server commits by itself after so many operations."""


class Round(NamedTuple):
    """Some edits, and what the client gets done before the next ones."""

    hints: list[list[RelPath]]
    """What the watcher says, in one piece or in two."""
    looks_everywhere: bool
    """The watcher lost count: everything is looked at."""
    order: tuple[Work, ...]
    """What is done first, as long as there is some of it."""
    amount: int | None
    """How many pieces of work are done; ``None``: all."""


class _SortedListing:
    """The listing of a directory, in the order of its names and not in that of the file system."""

    def __init__(self, place: int | str | bytes = ".") -> None:
        with _list(place) as listing:
            self._entries = iter(sorted(listing, key=attrgetter("name")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:  # an entry of whatever kind of name was asked for
        return next(self._entries)

    def close(self) -> None:
        pass


_list = os.scandir


@contextmanager
def controlled() -> Iterator[None]:
    """While this lasts, files of a few kilobytes are large, and every file system lists names in the same order."""
    # The class reads a field, from its slots; all modules share it.
    with ExitStack() as changed:
        for name, value in _BOUNDS.items():
            changed.enter_context(patch.object(Limits, name, value))
        changed.enter_context(patch.object(os, "scandir", _SortedListing))
        yield


class History:
    """One history, on a real directory."""

    def __init__(self, seed: int, place: Path) -> None:
        """``place`` is an empty directory."""
        self.seed = seed
        self.source = place / "source"
        self._edits = self._rolls("edits")
        self._order = self._rolls("order")
        self._others = self._rolls("others")
        self.shape = self.draw_shape(seed)
        self.source.mkdir()
        (place / "bin").mkdir()
        self._probe = place / "probe"
        self._editor = Editor(self._edits, self.source, place / "bin")
        self._arrived: dict[RelPath, int] = {}
        self.server = self._begin()

    def _rolls(self, what: str) -> random.Random:
        return random.Random(f"{self.seed} {what}")

    @staticmethod
    def draw_shape(seed: int) -> Shape:
        """The shape of the history of a seed."""
        rolls = random.Random(f"{seed} shape")
        calm = rolls.random() < 0.5
        faulty = not calm and rolls.random() < 0.4
        missing = rolls.choice([*[()] * 10, (Strategy.RENAME,), (Strategy.DELTA,), (Strategy.DEDUP,)])
        return Shape(
            calm=calm,
            faults=rolls.choice((0.03, 0.1)) if faulty else 0.0,
            tampers=faulty and rolls.random() < 0.5,
            deletes=rolls.random() >= 0.06,
            max_delete_count=rolls.choice((1, 3)) if rolls.random() < 0.15 else 10_000,
            offered=frozenset(Strategy) - frozenset(missing),
            commits_after=rolls.choice((3, 8)) if not calm and rolls.random() < 0.3 else None,
        )

    def _begin(self) -> FakeServer:
        """The replica is a former state of the source, mostly; in a first sync there is nothing."""
        self._editor.populate(self._edits.randrange(6, 26))
        former = self._edits.random() >= 0.15
        tree, contents = snapshot(self.source) if former else (Tree(), [])
        for _ in range(self._edits.choice((0, 1, 4, 12)) if former else 0):
            self._editor.edit()
        return FakeServer(tree, contents, fault=self._fault, commits_after=self.shape.commits_after)

    def rounds(self) -> Iterator[Round]:
        """What happens: the edits of a round are made when it is asked for."""
        for _ in range(self._edits.randrange(2, 6)):
            hints = self._edit()
            if self.shape.tampers and self._others.random() < 0.5:
                self.server.meanwhile.append(self._tamper)
            yield self._draw_round(hints)

    def _edit(self) -> list[RelPath]:
        _wait_for_tick(self._probe)
        touched: set[RelPath] = set()
        for _ in range(self._edits.choice((1, 1, 2, 3, 6, 10))):
            touched |= self._editor.edit()
        return sorted(touched)

    def _draw_round(self, hints: list[RelPath]) -> Round:
        rolls = self._order
        order = [Work.READ, Work.COMPARE, Work.SEND, Work.ANSWER]
        everywhere, split, late = rolls.random() < 0.2, rolls.random() < 0.2, rolls.random() < 0.2
        rolls.shuffle(hints)
        at = rolls.randrange(len(hints) + 1) if split else 0
        rolls.shuffle(order)
        order.insert(rolls.randrange(1, len(order)) if late else 0, Work.NOTICE)
        amount = rolls.choice((0, 1, 2, 3, 5, 8, 13, None))
        if self.shape.calm:
            amount = None
        return Round([part for part in (hints[:at], hints[at:]) if part], everywhere, tuple(order), amount)

    def _fault(self, operation: Operation) -> Outcome | None:
        """Depends on how often something was to be done at a path, so that no order of other paths matters."""
        path = operation.path
        count = self._arrived[path] = self._arrived.get(path, 0) + 1
        rolls = self._rolls(f"fault {path.hex()} {count}")
        if rolls.random() >= self.shape.faults:
            return None
        return rolls.choice((Outcome.CHANGED, Outcome.CHANGED, Outcome.MISMATCH, Outcome.STORAGE))

    def _tamper(self) -> None:
        """Somebody writes to, or removes, a file of the replica."""
        tree = self.server.tree
        files = [path for path, entry in tree.entries() if not entry.is_directory]
        if not files:
            return
        path, content = self._others.choice(files), self._others.randbytes(self._others.randrange(1, 5000))
        if self._others.random() < 0.4:
            tree.remove(path)
            return
        digest = self.server.hold(content)
        tree.put(path, pack(file_entry(mode=0o644, size=len(content), mtime_ns=1, digest=digest)))


def snapshot(top: Path) -> tuple[Tree, list[bytes]]:
    """A directory as a tree, and the contents of its files."""
    tree, contents = Tree(), []
    for above, below, others in os.walk(top):
        for name in [*below, *others]:
            full = os.path.join(above, name)
            path, status = RelPath(os.fsencode(os.path.relpath(full, top))), os.lstat(full)
            if stat.S_ISDIR(status.st_mode):
                tree.put(path, pack(directory_entry(status.st_mode)))
            elif stat.S_ISLNK(status.st_mode):
                tree.put(path, pack(symlink_entry(os.readlink(os.fsencode(full)))))
            else:
                content = Path(full).read_bytes()
                contents.append(content)
                digest = hashlib.sha256(content).digest()
                size, mtime_ns = len(content), status.st_mtime_ns
                tree.put(path, pack(file_entry(mode=status.st_mode, size=size, mtime_ns=mtime_ns, digest=digest)))
    return tree, contents


def _wait_for_tick(probe: Path) -> None:
    """Let the kernel's clock move on, so that what is edited from here on has another ctime than what was seen."""
    probe.touch()
    start = probe.stat().st_ctime_ns
    while probe.stat().st_ctime_ns == start:
        time.sleep(0.0005)
        probe.touch()
