"""Random work on three laptops at once, with kills: all end equal, and nothing is lost that nobody took away."""

import os
import random
import time
from pathlib import Path

import pytest

from tests.integration.two_way.three import Laptops
from tests.support.running.programs import Pair

NAMES = ("a", "b", "c", "dd")


class Work:
    """Edits that never remove or replace anything but by moving it to a trash, so that what was taken away is known."""

    def __init__(self, laptops: Laptops, seed: int) -> None:
        self.chance = random.Random(seed)
        self.written: set[str] = set()
        self._laptops = laptops
        self._trash = laptops.pair.place / "trash"
        self._trash.mkdir()
        self._count = 0

    def edit(self) -> None:
        """One edit somewhere; what a client does there at the same time may be in its way."""
        top = self._laptops.at(self.chance.choice(self._laptops.names))
        path, kind = top / self._path(), self.chance.random()
        try:
            if kind < 0.5:
                self._write(top, path)
            elif kind < 0.7:
                self._take_away(path)
            else:
                self._move(path, top / self._path())
        except OSError:
            pass

    def lost(self) -> set[str]:
        """What was written, is not at the server, and was not taken away."""
        return self.written - _contents(self._laptops.pair.replica) - _contents(self._trash)

    def _path(self) -> str:
        return "/".join(self.chance.choice(NAMES) for _ in range(self.chance.randint(1, 3)))

    def _write(self, top: Path, path: Path) -> None:
        self._count += 1
        above = top
        for name in path.relative_to(top).parts[:-1]:
            above /= name
            if above.is_file():
                self._take_away(above)
            above.mkdir(exist_ok=True)
        content = f"{top.name} {self._count}"
        beside = self._laptops.pair.place / f"new-{self._count}"
        beside.write_text(content)
        self._take_away(path)
        os.link(beside, path)  # never over anything
        self.written.add(content)
        beside.unlink()

    def _move(self, path: Path, target: Path) -> None:
        if not path.is_relative_to(target) and not target.is_relative_to(path) and path.exists():
            self._take_away(target)
            if not os.path.lexists(target):
                path.rename(target)

    def _take_away(self, path: Path) -> None:
        self._count += 1
        if os.path.lexists(path):
            path.rename(self._trash / f"{self._count}")


def _contents(top: Path) -> set[str]:
    return {path.read_text() for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("seed, kills", [(1, False), (2, True)])
def test_random_work(pair: Pair, seed: int, kills: bool) -> None:
    """Round by round."""
    three = Laptops(pair, 3)
    three.start(guard_max_delete_percent=100)
    work = Work(three, seed)
    for _ in range(4):
        for _ in range(25):
            work.edit()
            time.sleep(work.chance.random() * 0.03)
        if kills:
            name = work.chance.choice(three.names)
            three.clients[name].kill()
            for _ in range(5):
                work.edit()
            three.start(name, guard_max_delete_percent=100)
        three.wait_until_equal(30)

        assert set() == work.lost()
