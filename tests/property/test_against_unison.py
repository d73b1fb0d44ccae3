"""The judge of both directions: work on two sides that never meets ends as Debian's unison ends it.

In a turn each side edits paths that the other one leaves alone, with everything above and below them. So nothing is in
conflict, no policy is asked, and there is one right end. Compared is DESIGN's "equal".
"""

import itertools
import os
import random
import subprocess
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.runtime.process.cli import ExitCode
from dirsync_client.commands.once import once
from dirsync_client.settings import ClientSettings
from tests.property.edits import (
    BATCHED,
    Edit,
    Exchange,
    Link,
    MakeDirectory,
    Move,
    Remove,
    Touch,
    Write,
    empty,
    perform,
)
from tests.property.strategies import NAMES
from tests.support.running.ports import free_port
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import differences

HISTORIES = 10
TURNS = 3
EDITS = 24
"""Of both sides together, in a turn."""
ANCHOR = b"anchor"
"""Always there: a side that is emptied would be held."""
_MODES = (0o644, 0o600, 0o755, 0o700)
_TIMES = tuple(seconds * 10**9 for seconds in (1, 1_600_000_000, 2_000_000_000))
"""Unison carries the times of files in whole seconds."""
_SIZES = (0, 1, 4096, BATCHED, BATCHED + 1, 700_000)


class Sides(NamedTuple):
    """Two directories that are kept equal."""

    one: Path
    other: Path


class Kept:
    """Two sides that dirsync keeps equal, each in front of a client or of hands, and two that unison keeps equal."""

    def __init__(self, pair: Pair) -> None:
        self.ours = Sides(pair.source, pair.place / "second")
        self.replica = pair.replica
        self._place = pair.place
        self._numbers = itertools.count()
        self.ours.other.mkdir()
        server = pair.server()
        self._clients = [
            ClientSettings.load(
                {
                    "source": str(source),
                    "state_dir": str(pair.place / f"state-{name}"),
                    "server": server.address,
                    "listen": f"127.0.0.1:{free_port()}",
                    "client_id": name,
                    "mode": "two-way",
                    "guard_max_delete_percent": "100",
                }
            )
            for name, source in zip(("one", "other"), self.ours, strict=True)
        ]

    def begin(self, history: "History") -> None:
        """Let all sides have the same, and unison nothing that it remembers."""
        place = self._place / f"unison-{next(self._numbers)}"
        self.theirs = Sides(place / "one", place / "other")
        for side in self.theirs:
            side.mkdir(parents=True)
        sides = (*self.ours, *self.theirs)
        for side in sides:
            empty(os.fsencode(side))
        history.first(sides)
        self.sync()
        assert [] == self.differences()
        self.unison()

    def sync(self) -> None:
        """Each client syncs; what came of the second one reaches the first one too."""
        assert {ExitCode.DONE} == self._codes()

    def sync_hands(self) -> None:
        """The same, until all is carried over: a server that has just got a session may not have seen all edits yet.

        Each sync ends well all the same: what passes by itself is no problem.
        """

        def carried_over() -> bool:
            self.sync()
            return not self.differences()

        until(carried_over, "hand edits are everywhere")

    def _codes(self) -> set[ExitCode]:
        clients = (*self._clients, self._clients[0])
        return {once(client, Namespace(approve=None, json=False)) for client in clients}

    def differences(self) -> list[str]:
        """What our sides differ in from one of those of unison."""
        sides = (*self.ours, self.replica)
        return [line for side in sides for line in differences(self.theirs.one, side)]

    def unison(self) -> None:
        """One run that asks nothing, and must find nothing to ask."""
        options = ("-batch", "-times", "-fastcheck=false", "-confirmbigdel=false", "-silent", "-dumbtty")
        done = subprocess.run(
            ("unison", str(self.theirs.one), str(self.theirs.other), *options, "-logfile", os.devnull),
            env={"PATH": os.environ["PATH"], "HOME": str(self.theirs.one.parent), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert (0, b"") == (done.returncode, done.stderr), done.stdout


class History:
    """Random edits of two sides that never touch the same path in one turn."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self.done: Counter[str] = Counter()
        """How many edits of each kind were made that changed something."""

    def first(self, sides: Iterable[Path]) -> None:
        """Let all sides have the same few files."""
        wanted: list[Edit] = [Write(ANCHOR, (1, 1), 0o644, _TIMES[0], in_place=True)]
        wanted += [self._write(self._path()) for _ in range(EDITS)]
        for side in sides:
            perform(os.fsencode(side), wanted)

    def turn(self, *pairs: Sides) -> None:
        """Make the edits of a turn, the same in each pair of sides."""
        changed: tuple[set[bytes], set[bytes]] = (set(), set())
        for _ in range(EDITS):
            who = self._dice.randrange(2)
            top = os.fsencode(pairs[0][who])
            edit, named = self._draw(top)
            changes = {_changed(top, path) for path in named}
            if not _overlap(changes, changed[1 - who]):
                changed[who].update(changes)
                self.done[type(edit).__name__] += 1
                for pair in pairs:
                    perform(os.fsencode(pair[who]), [edit])

    def _draw(self, top: bytes) -> tuple[Edit, list[bytes]]:
        """An edit and the paths that it names."""
        path = self._there(top)
        match self._dice.randrange(8):
            case 0 | 1:
                path = self._dice.choice((path, self._path()))
                return self._write(path), [path]
            case 2:
                return Remove(path), [path]
            case 3 | 4:
                to = self._path()
                return Move(path, to), [path, to]
            case 5:
                other = self._there(top)
                return Exchange(path, other), [path, other]
            case 6:
                return Touch(path, self._dice.choice(_MODES), self._dice.choice(_TIMES)), [path]
            case _:
                path = self._path()
                if self._dice.random() < 0.5:
                    return MakeDirectory(path, self._dice.choice(_MODES)), [path]
                return Link(path, self._dice.choice((b"a", b"../b", b"\xff", b"dangling"))), [path]

    def _write(self, path: bytes) -> Write:
        content = self._dice.randrange(4), self._dice.choice(_SIZES)
        mode, mtime_ns = self._dice.choice(_MODES), self._dice.choice(_TIMES)
        return Write(path, content, mode, mtime_ns, in_place=self._dice.random() < 0.5)

    def _path(self) -> bytes:
        return b"/".join(self._dice.choice(NAMES) for _ in range(self._dice.randint(1, 4)))

    def _there(self, top: bytes) -> bytes:
        """Something that is there, but for the anchor."""
        found = [
            os.path.relpath(os.path.join(place, name), top)
            for place, directories, files in os.walk(top)
            for name in (*directories, *files)
        ]
        return self._dice.choice(sorted({*found} - {ANCHOR}) or [self._path()])


def _changed(top: bytes, path: bytes) -> bytes:
    """What an edit of this path changes: it, or the directory above it that is not there yet."""
    names = path.split(b"/")
    for count in range(1, len(names)):
        above = os.path.join(top, *names[:count])
        if os.path.islink(above) or not os.path.isdir(above):
            return b"/".join(names[:count])
    return path


def _overlap(ones: set[bytes], others: set[bytes]) -> bool:
    """Whether a path of one set is, or lies in, one of the other, or the other way round."""
    pairs = [(one + b"/", other + b"/") for one in ones for other in others]
    return any(one.startswith(other) or other.startswith(one) for one, other in pairs)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """One server for all histories."""
    pair = Pair(tmp_path_factory.mktemp("kept"))
    yield Kept(pair)

    assert [] == pair.end()


@pytest.mark.needs("unison")
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_ends_as_unison_ends(kept: Kept, seed: int) -> None:
    """Edits, new files, removals and renames on both sides end, after each turn, in the trees that unison makes.

    In every second history the second side is the replica itself, which hands edit.
    """
    history = History(seed)
    kept.begin(history)
    ours = Sides(kept.ours.one, kept.replica) if seed % 2 else kept.ours
    for _ in range(TURNS):
        history.turn(ours, kept.theirs)
        kept.unison()
        if seed % 2:
            kept.sync_hands()
        else:
            kept.sync()

        assert [] == differences(*kept.theirs)
        assert [] == kept.differences()
    assert history.done.keys() >= {"Write", "Remove", "Move"}
    assert history.done.total() >= EDITS
