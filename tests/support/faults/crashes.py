"""Crashes at chosen system calls, on either side, in the middle of a plan with every kind of change.

A :class:`Sweep` keeps one pair alive: for each point it turns the source (:mod:`tests.support.trees.turns`), lets one
of the programs die there, looks at what is left, and lets the next cycle put everything right.
"""

import hashlib
import os
import re
import shutil
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.support.faults.syscalls import MUTATING, Call, Injection, calls, kill, prefix, traced, was_killed
from tests.support.running.programs import Pair, Result, Server
from tests.support.running.waiting import until
from tests.support.trees.trees import differences, look
from tests.support.trees.turns import Turning, neither

INDEX_WRITES_SECONDS = 0.4
"""After the last acknowledgement the server still writes its index: at most this long."""
_CLIENT_STATE = re.compile(
    r"state\.json(\.new)?|lock|approvals|index\.sqlite(-wal|-shm)?|signatures(/([0-9a-f]{64}|unfinished))?"
)
"""What may be in a client's state directory, crash or no crash: nothing that a further crash adds to."""


class Point(NamedTuple):
    """A call where a program may die: the ``number``-th of that name in one of its threads."""

    name: str
    number: int


class Crash(NamedTuple):
    """One death in the middle of a plan."""

    at: Point
    wrong: list[str]
    """What must not be; each line says where."""


class Sweep:
    """A pair whose programs die at one call after the other."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair
        self._turning = Turning(pair.source)
        self._log = pair.place / "strace"
        self._pool = ThreadPoolExecutor(1)
        self._server = self._start()

        assert pair.once().code == 0

    def _start(self) -> Server:
        return self.pair.server(fsync="batch")

    def close(self) -> None:
        """End what the sweep itself has running."""
        self._pool.shutdown()

    def server_points(self, names: Iterable[str] = MUTATING) -> list[Point]:
        """The calls of these names that a server makes in a turn, forth or back."""
        return points_of(*(self.turn(names)[1] for _ in range(2)))

    def turn(self, names: Iterable[str] = MUTATING, *injections: Injection) -> tuple[Result, list[Call]]:
        """Turn the source and sync; how that ended, and the calls of these names that the server made for it."""
        self._turning.turn()
        with traced(self._server.pid, self._log, *injections, names=names):
            result = self.pair.once()
            until(lambda: not self._staging(), "the staging directory to be removed")

        assert result.code == 0
        return result, calls(self._log)

    def client_points(self, names: Iterable[str] = MUTATING) -> list[Point]:
        """The calls of these names that ``once`` makes for a turn, forth or back, from its start to its end."""
        made: list[list[Call]] = []
        for _ in range(2):
            self._turning.turn()
            assert self.pair.once(prefix=prefix(self._log, names=names)).code == 0
            made.append(calls(self._log))
        return points_of(*made)

    def kill_server(self, point: Point, *injections: Injection, absent: Iterable[str] = ()) -> Crash | None:
        """The server dies before that call of a plan; ``None`` if there is no such call this time.

        Other calls may be made to do something too; ``absent`` are paths that may be missing then.
        """
        old = look(self.pair.replica)
        self._turning.turn()
        new = look(self.pair.source)
        with traced(self._server.pid, self._log, kill(*point), *injections):
            once = self._pool.submit(self.pair.once)
            until(lambda: self._server.ended or once.done(), "the server to die, or the sync to end", seconds=40)
            if not self._server.ended and not dies(self._server):
                return None if once.result().code == 0 else Crash(point, [f"once ended with {once.result().code}"])
        self._server.excused = True
        self._server.wait()
        left = {path: old[path] for path in absent} | look(self.pair.replica)
        wrong = neither(left, old, new)
        self._server = self._start()
        return Crash(point, [*wrong, *self._converged(once)])

    def kill_client(self, point: Point, *, first: bool = False) -> Crash | None:
        """``once`` dies before that call; ``None`` if there is no such call this time.

        ``first``: it is this client's first sync, so it has no state.
        """
        injection = kill(*point)
        old = look(self.pair.replica)
        self._turning.turn()
        new = look(self.pair.source)
        before = untouched(self.pair.source)
        if first:
            shutil.rmtree(self.pair.place / "client-state")
        result = self.pair.once(prefix=prefix(self._log, injection))
        if not was_killed(self._log):
            return None if result.code == 0 else Crash(point, [f"once ended with {result.code}"])
        wrong = neither(look(self.pair.replica), old, new)
        converged = self._converged(self._pool.submit(self.pair.once))
        after = untouched(self.pair.source)
        wrong += [
            f"the source was touched at {path}" for path in {**before, **after} if before.get(path) != after.get(path)
        ]
        return Crash(point, [*wrong, *converged])

    def _converged(self, once: "Future[Result]") -> Iterator[str]:
        """What is wrong once the sync has come to its end."""
        code = once.result().code
        if code != 0:
            yield f"once ended with {code}"
        yield from differences(self.pair.source, self.pair.replica)
        yield from (f"left behind: {path}" for path in self._leftovers())

    def _leftovers(self) -> Iterator[Path]:
        yield from self._staging()
        state = self.pair.place / "client-state"
        yield from (path for path in state.rglob("*") if not _CLIENT_STATE.fullmatch(str(path.relative_to(state))))

    def _staging(self) -> list[Path]:
        return [path for path in self.pair.place.rglob("*dirsync*") if "state" not in path.parent.name]


def dies(server: Server) -> bool:
    """Whether a server dies now that everything was answered: it may die while it writes its index."""
    end = time.monotonic() + INDEX_WRITES_SECONDS
    while not server.ended and time.monotonic() < end:
        time.sleep(0.005)
    return server.ended


def points_of(*runs: Iterable[Call]) -> list[Point]:
    """The points of these calls: each name as often as any thread made it in any run."""
    most = Counter[str]()
    for run in runs:
        for (_, name), number in Counter((call.thread, call.name) for call in run).items():
            most[name] = max(most[name], number)
    return [Point(name, number) for name in sorted(most) for number in range(1, most[name] + 1)]


def sample(points: Sequence[Point], share: int) -> list[Point]:
    """The first point of each call, and every so manieth of the others."""
    others = [point for point in points if point.number > 1]
    return [*(point for point in points if point.number == 1), *others[::share]]


def untouched(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything that shows whether something was written below a root: what any change moves, ctime above all."""
    found: dict[str, tuple[object, ...]] = {}
    for parent, directories, files in os.walk(root):
        for name in [".", *directories, *files]:
            path = os.path.join(parent, name)
            status = os.lstat(path)
            digest = ""
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            times = status.st_mtime_ns, status.st_ctime_ns
            found[os.path.relpath(path, root)] = (status.st_mode, status.st_size, *times, status.st_ino, digest)
    return found
