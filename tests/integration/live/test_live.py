"""A client that watches: whatever happens to the source is soon so at the replica, however programs go about it."""

import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import File, Link, Spec, build, differences, equal, look

SMALL: Spec = {"docs/a.txt": "a", "docs/b.txt": "b", "docs/deep/er/c.txt": "c", "top": "t", "link": Link("top")}
QUICK: dict[str, Any] = {"delete_settle": "100ms"}


class Place(NamedTuple):
    """A test's own directory in the source of a running pair, and what becomes of it at the replica."""

    client: Client
    source: Path
    replica: Path

    def wait_until_equal(self) -> None:
        """Return when the replica's directory is what the source's is."""
        until(lambda: equal(self.source, self.replica), "replica equal to the source")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, Client]]:
    """A pair that runs for all tests of this module that each need but a directory of it."""
    pair = Pair(tmp_path_factory.mktemp("running") / "pair")
    yield pair, start(pair, {"here": "so that there is something"})
    wrong = pair.end()

    assert wrong == []


@pytest.fixture
def place(running: tuple[Pair, Client], request: pytest.FixtureRequest) -> Place:
    """A directory with some files on both sides; the client learns of changes by events only."""
    pair, client = running
    name = re.sub(r"\W", "-", request.node.name)
    place = Place(client, pair.source / name, pair.replica / name)
    build(place.source, SMALL)
    place.wait_until_equal()
    return place


def start(pair: Pair, spec: Spec = SMALL, **settings: Any) -> Client:
    """A server and a client that runs, both sides equal; no rescan comes to its help."""
    pair.server()
    build(pair.source, spec)
    client = pair.client(**{**QUICK, "rescan_interval": "1h", **settings})

    assert differences(pair.source, pair.replica) == []
    return client


def wait_until_equal(pair: Pair, seconds: float = 15.0) -> None:
    """Return when the replica is what the source is."""
    until(lambda: equal(pair.source, pair.replica), "replica equal to the source", seconds=seconds)


def replace(path: Path, content: str) -> None:
    """Save a file as careful programs do."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(content)
    beside.rename(path)


class TestChanges:
    """Every kind of change comes through by its event."""

    def test_one_after_the_other(self, place: Place) -> None:
        """Each new file arrives by its own event, with nothing after it. ``make bench`` measures how soon."""
        for number in range(40):
            name = f"docs/new{number}"
            (place.source / name).write_bytes(b"x" * 1024)
            until((place.replica / name).exists, f"{name} at the replica")

        assert differences(place.source, place.replica) == []

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda root: (root / "top").write_text("changed"), id="edit"),
            pytest.param(lambda root: (root / "top").chmod(0o640), id="chmod"),
            pytest.param(lambda root: os.utime(root / "top", ns=(5, 1_000_000_007)), id="utime"),
            pytest.param(lambda root: os.truncate(root / "top", 0), id="truncate"),
            pytest.param(lambda root: (root / "top").unlink(), id="delete"),
            pytest.param(lambda root: shutil.rmtree(root / "docs"), id="delete directory"),
            pytest.param(lambda root: (root / "top").rename(root / "docs/top"), id="rename file"),
            pytest.param(lambda root: (root / "top").rename(root / "docs/a.txt"), id="rename over file"),
            pytest.param(lambda root: (root / "docs").rename(root / "texts"), id="rename directory"),
            pytest.param(lambda root: (root / "docs/deep").rename(root / "deeper"), id="move directory up"),
            pytest.param(lambda root: shutil.copytree(root / "docs", root / "copy"), id="copy directory"),
            pytest.param(lambda root: (root / "docs").chmod(0o700), id="chmod directory"),
            pytest.param(lambda root: (root / "empty").mkdir(), id="new directory"),
            pytest.param(lambda root: (root / "other").symlink_to("nowhere"), id="new link"),
            pytest.param(lambda root: (root / "hard").hardlink_to(root / "top"), id="hard link"),
        ],
    )
    def test_change(self, place: Place, change: Callable[[Path], object]) -> None:
        """One change of a watched source arrives by its event alone."""
        change(place.source)

        place.wait_until_equal()

    def test_swaps(self, place: Place) -> None:
        """Files become directories, directories files, links either, and two names change places."""
        source = place.source
        (source / "top").unlink()
        build(source, {"top/now/a": "directory"})
        place.wait_until_equal()
        shutil.rmtree(source / "docs")
        (source / "docs").write_text("now a file")
        place.wait_until_equal()
        (source / "link").unlink()
        (source / "link").mkdir()
        place.wait_until_equal()
        (source / "top").rename(source / "aside")
        (source / "docs").rename(source / "top")
        (source / "aside").rename(source / "docs")
        place.wait_until_equal()

    def test_moved_in_and_out(self, pair: Pair) -> None:
        """A tree that is moved into the source arrives whole; moved out it goes; its later changes do not matter."""
        start(pair, guard_max_delete_percent=100)
        outside = pair.place / "outside"
        build(outside, {f"d{number}/f": str(number) for number in range(20)})
        outside.rename(pair.source / "inside")
        wait_until_equal(pair)
        build(pair.source, {"inside/d3/more": "of it"})
        wait_until_equal(pair)
        (pair.source / "inside").rename(outside)
        build(outside, {"d3/unseen": "outside"})
        wait_until_equal(pair)

    def test_directories_made_and_filled(self, place: Place) -> None:
        """``mkdir -p a/b/c; touch a/b/c/f``, again and again, loses nothing between the making and the watching."""
        for number in range(100):
            build(place.source, {f"r{number}/b/c/f": "", f"r{number}/b/g": "g"})

        place.wait_until_equal()

    def test_whole_at_every_moment(self, place: Place) -> None:
        """Through a burst of saves the replica's file is always one that was saved, and in the end the last one."""
        contents = {f"{number:04d}" * 5000 for number in range(300)} | {"t"}
        strange: set[str] = set()
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                strange.update({(place.replica / "top").read_text()} - contents)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for content in sorted(contents):
                replace(place.source / "top", content)
            place.wait_until_equal()
        finally:
            done.set()
            reader.join()

        assert set() == strange

    def test_written_while_synced(self, place: Place) -> None:
        """A file that grows while it is sent is never published half, and ends as its writer ends it."""
        written = b""
        with (place.source / "growing").open("wb", buffering=0) as file:
            for number in range(200):
                piece = bytes([number]) * 40_000
                file.write(piece)
                written += piece
                arrived = place.replica / "growing"
                if arrived.exists():
                    seen = arrived.read_bytes()
                    assert seen == written[: len(seen)]
                    assert len(seen) % len(piece) == 0
        place.wait_until_equal()

        assert written == (place.replica / "growing").read_bytes()
        place.client.wait_until_in_sync()
        assert [] == place.client.status()["problems"]


class TestEditors:
    """How editors save, by their system calls."""

    @pytest.mark.parametrize("style", ["in place", "rename", "backup", "swap", "lock"])
    def test_save(self, place: Place, style: str) -> None:
        """Each style ends with the saved text at the replica, and nothing of its tools left there."""
        path = place.source / "docs/a.txt"
        for round_ in range(5):
            text = f"saved {round_}"
            if style == "in place":
                path.write_text(text)
            elif style == "rename":
                replace(path, text)
            elif style == "backup":  # vim with backupcopy=no
                kept = path.with_name("a.txt~")
                (path.parent / "4913").touch()
                (path.parent / "4913").unlink()
                path.rename(kept)
                path.write_text(text)
                path.chmod(0o600)
                kept.unlink()
            elif style == "swap":  # vim's swap file, written all the time
                swap = path.with_name(".a.txt.swp")
                for piece in "typing":
                    with swap.open("a") as file:
                        file.write(piece)
                path.write_text(text)
                swap.unlink()
            else:  # Emacs: a lock that is a dangling link, and the old file renamed
                lock = path.with_name(".#a.txt")
                lock.symlink_to("user@host.1234:1")
                path.rename(path.with_name("a.txt~"))
                path.write_text(text)
                lock.unlink()

        place.wait_until_equal()
        assert "saved 4" == (place.replica / "docs/a.txt").read_text()

    def test_saves_that_overtake_each_other(self, place: Place) -> None:
        """A file that is gone when its turn comes, and back by then, is compared again and not forgotten."""
        path = place.source / "docs/a.txt"
        for round_ in range(300):
            path.rename(path.with_name("a.txt~"))
            path.write_text(f"saved {round_}")

        place.wait_until_equal()
        assert "saved 299" == (place.replica / "docs/a.txt").read_text()


class TestRules:
    """Ignore rules while a client runs."""

    def test_change(self, pair: Pair) -> None:
        """New rules leave alone on both sides what they name; when they go, what was left alone is synced."""
        client = start(pair, {**SMALL, "build/out.o": "compiled", "docs/x.log": "old"})
        build(pair.source, {".dirsyncignore": "build/\n*.log\n"})
        wait_until_equal(pair)
        shutil.rmtree(pair.source / "build")
        build(pair.source, {"docs/x.log": "new", "docs/y.log": "new", "docs/seen": "by now all is looked at"})
        client.wait_for("file.synced", path="docs/seen")

        assert "compiled" == (pair.replica / "build/out.o").read_text()
        assert "old" == (pair.replica / "docs/x.log").read_text()
        assert not (pair.replica / "docs/y.log").exists()
        client.wait_until_in_sync()
        (pair.source / ".dirsyncignore").unlink()
        wait_until_equal(pair)

    def test_delete_never(self, pair: Pair) -> None:
        """With DELETE=never what leaves the source stays at the replica, and that counts as in sync."""
        pair.server()
        build(pair.source, SMALL)
        client = pair.client(rescan_interval="1h", delete="never")
        (pair.source / "top").unlink()
        shutil.rmtree(pair.source / "docs")
        build(pair.source, {"new": "n"})
        client.wait_for("file.synced", path="new")

        client.wait_until_in_sync()
        assert {"top", "docs/deep/er/c.txt", "new"} <= look(pair.replica).keys()
        assert [] == client.log.all("file.deleted")


class TestWatching:
    """Other ways to notice."""

    @pytest.mark.parametrize(
        "settings",
        [
            {"watch": "poll", "poll_interval": "100ms"},
            {"watch": "off", "rescan_interval": "1s"},
        ],
    )
    def test_without_events(self, pair: Pair, settings: dict[str, Any]) -> None:
        """By polling, or by rescans alone, everything arrives too, and the status says how."""
        client = start(pair, **settings)
        shutil.rmtree(pair.source / "docs")
        build(pair.source, {"top": "changed", "new/file": File(b"n", mode=0o600)})
        wait_until_equal(pair)

        until(lambda: client.status()["watch"] == settings["watch"], f"watching {settings['watch']}")
        metrics = client.metrics()
        assert 0 == metrics.value("dirsync_watches")
        if settings["watch"] == "off":
            assert metrics.value("dirsync_rescan_found_total") >= 3
