"""Deaths of a two-way client at chosen system calls, while it applies what another one has changed.

One laptop's directory is turned from one state to the other and back (:mod:`tests.support.trees.turns`) and synced; the
other laptop's client dies while it takes that over. Then the next sync has to put everything right.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.faults.boots import Boots
from tests.support.faults.crashes import Crash, Point, points_of
from tests.support.faults.syscalls import MUTATING, calls, kill, prefix, was_killed
from tests.support.running.ports import free_port
from tests.support.running.programs import Pair, Result
from tests.support.trees.trees import Seen, differences, look
from tests.support.trees.turns import Turning, neither

APPLYING = tuple(name for name in MUTATING if name != "openat")
"""Calls by which a client changes its source and its state; at its start it opens too many files."""
_SETTINGS: dict[str, Any] = {"mode": "two-way", "guard_max_delete_percent": 100}


class ReceivingSweep:
    """A server and two laptops, the second of which dies."""

    def __init__(self, pair: Pair, place: Path, boots: Boots | None = None) -> None:
        """``place``: where the second laptop's directory and state are; ``boots``: its starts, if its power is cut."""
        self.pair = pair
        self._boots = boots
        self.source, self._state = place / "ben", place / "state-ben"
        self._other = pair.place / "anna"
        self._log = pair.place / "strace"
        for directory in (self.source, self._other):
            directory.mkdir()
        for directory in (self.source, place):
            # That it is there at all is not the client's doing.
            descriptor = os.open(directory, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
        pair.server(fsync="batch")
        self._turning = Turning(self._other)
        assert self._sync("anna", self._other, self.pair.place / "state-anna").code == 0
        assert self.settle() == []

    def points(self, names: Iterable[str] = APPLYING) -> list[Point]:
        """The calls of these names that the second client makes for a turn, forth or back."""
        made = []
        for _ in range(2):
            self.turn()
            assert self.once(prefix(self._log, names=names)).code == 0
            made.append(calls(self._log))
        return points_of(*made)

    def turn(self) -> tuple[Mapping[str, Seen], Mapping[str, Seen]]:
        """Change everything at the first laptop and have it at the server; what the second one has, and is to have."""
        old = look(self.source)
        self._turning.turn()
        assert self._sync("anna", self._other, self.pair.place / "state-anna").code == 0
        return old, look(self._other)

    def once(self, before: Sequence[str] = ()) -> Result:
        """One sync of the second laptop."""
        machine = [] if self._boots is None else self._boots.prefix()
        return self._sync("ben", self.source, self._state, [*machine, *before])

    def kill(self, point: Point) -> Crash | None:
        """The second client dies before that call of a turn; ``None`` if there is no such call this time."""
        old, new = self.turn()
        result = self.once(prefix(self._log, kill(*point)))
        if not was_killed(self._log):
            return None if result.code == 0 else Crash(point, [f"once ended with {result.code}"])
        return Crash(point, [*neither(look(self.source), old, new), *self.converged(new)])

    def converged(self, wanted: Mapping[str, Seen]) -> list[str]:
        """What is wrong after the next syncs."""
        wrong = self.settle()
        found = look(self.source)
        wrong += [f"{path}: {found.get(path)}, not {wanted.get(path)}" for path in _different(found, wanted)]
        wrong += [f"a conflict was invented: {path}" for path in found if ".conflict-" in path]
        wrong += [f"left behind: {path}" for path in self.source.parent.glob(".*dirsync-staging*")]
        return wrong

    def settle(self) -> list[str]:
        """Sync the second laptop, to which nothing was done since the first one synced; what is wrong then."""
        return self.settle_with_the_server() + differences(self._other, self.source)

    def settle_with_the_server(self) -> list[str]:
        """Sync the second laptop; what is wrong then."""
        result = self.once()
        wrong = [f"once ended with {result.code}: {result.messages}"] if result.code else []
        return wrong + differences(self.pair.replica, self.source)

    def _sync(self, name: str, source: Path, state: Path, before: Sequence[str] = ()) -> Result:
        return self.pair.command(
            "once",
            prefix=before,
            source=source,
            state_dir=state,
            client_id=name,
            listen=f"127.0.0.1:{free_port()}",
            server=self.pair.servers[0].address,
            **_SETTINGS,
        )


def _different(found: Mapping[str, Seen], wanted: Mapping[str, Seen]) -> list[str]:
    return sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))
