"""A client that is told of no change at all: everything is found by looking, and is as right as with a watcher."""

import os
import random
import shutil
from pathlib import Path

import pytest

from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, Link, build, differences, equal

pytestmark = pytest.mark.programs


def change(source: Path, chance: random.Random) -> None:
    """Change something: any kind of edit, anywhere in the source."""
    paths = [path for path in source.rglob("*") if path.is_symlink() or not path.is_dir()]
    directories = [path for path in source.rglob("*") if path.is_dir() and not path.is_symlink()]
    name = f"n{chance.randrange(10**6)}"
    where = chance.choice([source, *directories])
    path = chance.choice(paths) if paths else source / "none"
    match chance.randrange(9):
        case 0 | 1:
            (where / name).write_bytes(chance.randbytes(chance.choice((0, 10, 5000, 200_000))))
        case 2:
            (where / name).mkdir()
        case 3:
            (where / name).symlink_to(chance.choice(("here", "../x", "/nowhere")))
        case 4 if path.exists() and not path.is_symlink():
            with path.open("ab") as file:
                file.write(b"more")
        case 5 if path in paths and len(paths) > 20:
            path.unlink()
        case 6 if path in paths:
            path.rename(where / name)
        case 7 if path.exists() and not path.is_symlink():
            path.chmod(chance.choice((0o600, 0o644, 0o755)))
        case _:
            if path.exists() and not path.is_symlink():
                shutil.copy2(path, where / name)


@pytest.mark.case("F10")
@pytest.mark.parametrize("seed", range(3))
def test_any_history(pair: Pair, seed: int) -> None:
    """Random edits of every kind, in rounds: after each both sides are equal, though nobody tells of any."""
    chance = random.Random(seed)
    build(pair.source, {f"d{n % 5}/f{n}": File(random_bytes(n * 100, n)) for n in range(40)} | {"l": Link("d0/f0")})
    pair.server()
    client = pair.client(watch="off", rescan_interval="1s", delete_settle="100ms")
    for _ in range(4):
        for _ in range(30):
            change(pair.source, chance)
        until(lambda: equal(pair.source, pair.replica), "both sides are equal", seconds=30)
    client.wait_until_in_sync()

    assert 0 == client.metrics().value("dirsync_watches")
    assert [] == client.log.all("guard.held")
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("F10")
def test_told_by_sync_only(pair: Pair) -> None:
    """With long intervals nothing is noticed before the end; the end looks once more and sends all of it."""
    build(pair.source, {"a": "a"})
    pair.server()
    client = pair.client(watch="off", rescan_interval="1h")
    build(pair.source, {"b": "b", "d/c": "c"})
    os.truncate(pair.source / "a", 0)
    client.stop()

    assert [] == differences(pair.source, pair.replica)
