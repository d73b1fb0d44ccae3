"""The watcher over real directories: what happens comes out as hints, and nothing is watched less than it seems."""

import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.watcher import Watcher, WatchMode
from dirsync.errors import UsageError
from dirsync.fs.mounts import TABLE
from dirsync.fs.root import Root
from dirsync.tree.path import ROOT, RelPath, join, split
from tests.support.faults.privileges import bind_mount, tmpfs, umount

CHANGED, WRITING, DIRECTORY, LOST = HintKind.CHANGED, HintKind.WRITING, HintKind.DIRECTORY, HintKind.LOST

LONG = 10.0
"""Seconds after which a hint will not come any more, on a busy machine too."""


class Listener:
    """Takes hints and reports from a watcher, and waits for them."""

    def __init__(self) -> None:
        self.hints: deque[Hint] = deque()
        self.reasons: list[str] = []
        self.overflows = 0
        self._arrived = threading.Condition()

    def sink(self, hints: Sequence[Hint]) -> None:
        """What the watcher calls."""
        with self._arrived:
            self.hints.extend(hints)
            self._arrived.notify()

    def degraded(self, reason: str) -> None:
        """What the watcher calls when it has to poll."""
        self.reasons.append(reason)

    def overflowed(self) -> None:
        """What the watcher calls when events were dropped."""
        self.overflows += 1

    def waits_for(self, *wanted: tuple[bytes, HintKind]) -> bool:
        """Whether all of these hints are there before it is too late."""
        with self._arrived:
            return self._arrived.wait_for(lambda: set(wanted) <= {tuple(hint) for hint in self.hints}, LONG)

    def take(self) -> Hint | None:
        """The next hint; None if there was none for some time."""
        with self._arrived:
            self._arrived.wait_for(lambda: self.hints, 0.3)
            return self.hints.popleft() if self.hints else None

    def clear(self) -> None:
        """Forget what came so far."""
        self.hints.clear()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An empty directory to watch."""
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def listener() -> Listener:
    """Who takes the hints of this test."""
    return Listener()


Watching = Callable[..., Watcher]


@pytest.fixture
def watching(source: Path, listener: Listener) -> Iterator[Watching]:
    """Starts a watcher of the source, which is stopped in the end."""
    started = []

    def start(
        wanted: WatchMode = WatchMode.NATIVE,
        *,
        sink: Callable[[Sequence[Hint]], None] = listener.sink,
        poll_interval: float = 60.0,
        ignored: frozenset[bytes] = frozenset(),
        source: Path = source,
    ) -> Watcher:
        watcher = Watcher(
            lambda: Root.open(source),
            sink,
            wanted=wanted,
            poll_interval=poll_interval,
            ignored=ignored.__contains__,
            degraded=listener.degraded,
            overflowed=listener.overflowed,
        )
        started.append(watcher)
        watcher.start()
        return watcher

    yield start
    for watcher in started:
        watcher.stop()


def raw(path: Path) -> bytes:
    """The path as the bytes that it is."""
    return os.fsencode(path)


def waking() -> float:
    """The least time in which a thread that waits for bytes hears of them and wakes this one, of some attempts."""
    reader, writer = os.pipe()
    heard = threading.Condition()
    times = []

    def listen() -> None:
        while os.read(reader, 1):
            with heard:
                heard.notify()

    thread = threading.Thread(target=listen)
    thread.start()
    for _ in range(20):
        with heard:
            started = time.monotonic()
            os.write(writer, b"x")
            assert heard.wait(LONG)
            times.append(time.monotonic() - started)
    os.close(writer)
    thread.join()
    os.close(reader)
    return min(times)


class TestFiles:
    def test_closed(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A file is hinted as being written while it is open, and as changed when it is closed."""
        watching()

        with (source / "f").open("wb", buffering=0) as file:
            file.write(b"x")
            assert listener.waits_for((b"f", WRITING))
            assert (b"f", CHANGED) not in listener.hints

        assert listener.waits_for((b"f", CHANGED))

    def test_latency(self, source: Path, watching: Watching, listener: Listener) -> None:
        """The hint of a close comes without a pause: it takes little more than waking a thread does."""
        watching()
        fastest = LONG
        for n in range(20):
            (source / f"f{n}").write_bytes(b"x")
            closed = time.monotonic()
            assert listener.waits_for((b"f%d" % n, CHANGED))
            fastest = min(fastest, time.monotonic() - closed)

        assert fastest < 100 * waking()

    @pytest.mark.parametrize(
        "change,kind",
        [
            (lambda path: path.chmod(0o600), CHANGED),
            (lambda path: os.utime(path, (1, 1)), CHANGED),
            (lambda path: path.unlink(), CHANGED),
            (lambda path: os.truncate(path, 1), WRITING),
        ],
        ids=["chmod", "utime", "unlink", "truncate"],
    )
    def test_changed(
        self, source: Path, watching: Watching, listener: Listener, change: Callable[[Path], None], kind: HintKind
    ) -> None:
        """A change of a file's metadata or content, or its end, is hinted."""
        (source / "old").write_bytes(b"content")
        watching()

        change(source / "old")

        assert listener.waits_for((b"old", kind))

    def test_links_are_complete(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A symbolic or hard link is complete when it appears, since it is never closed."""
        (source / "file").write_bytes(b"")
        watching()

        (source / "symbolic").symlink_to("nowhere")
        (source / "hard").hardlink_to(source / "file")

        assert listener.waits_for((b"symbolic", CHANGED), (b"hard", CHANGED))

    def test_move(self, source: Path, watching: Watching, listener: Listener, tmp_path: Path) -> None:
        """A move hints both names at once, also where only one of them is in the source."""
        for n in range(5):
            for path in (source / f"a{n}", source / f"b{n}", tmp_path / f"outside{n}"):
                path.write_bytes(b"")
        watching()
        fastest = LONG
        for n in range(5):
            before = time.monotonic()
            (source / f"a{n}").rename(source / f"c{n}")
            (source / f"b{n}").rename(tmp_path / f"gone{n}")
            (tmp_path / f"outside{n}").rename(source / f"d{n}")
            assert listener.waits_for(*((b"%c%d" % (name, n), CHANGED) for name in b"acbd"))
            fastest = min(fastest, time.monotonic() - before)

        assert fastest < 1000 * waking()

    def test_move_comes_together(self, source: Path, watching: Watching) -> None:
        """What was read from the kernel's queue together, like both halves of a move, is handed over in one call."""
        (source / "a").write_bytes(b"")
        entered, let_go, finished = threading.Event(), threading.Event(), threading.Event()
        batches: list[Sequence[Hint]] = []

        def sink(hints: Sequence[Hint]) -> None:
            entered.set()
            let_go.wait()
            batches.append(hints)
            if (b"end", CHANGED) in hints:
                finished.set()

        watching(sink=sink)
        (source / "first").mkdir()
        assert entered.wait(LONG)
        (source / "a").rename(source / "b")
        (source / "end").mkdir()
        let_go.set()

        assert finished.wait(LONG)
        assert {(b"a", CHANGED), (b"b", CHANGED)} <= {tuple(hint) for hint in batches[-1]}

    @pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe", "é".encode(), b" ", b"\\040", b"x" * 255])
    def test_names(self, source: Path, watching: Watching, listener: Listener, name: bytes) -> None:
        """Any name comes out as the bytes that it is."""
        os.mkdir(raw(source) + b"/" + name)
        watching()

        with open(raw(source) + b"/" + name + b"/" + name, "wb"):
            pass

        assert listener.waits_for((name + b"/" + name, CHANGED))


class TestDirectories:
    def test_made(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A new directory is hinted itself, and as one whose listing we may have missed."""
        watcher = watching()

        (source / "d").mkdir()

        assert listener.waits_for((b"d", CHANGED), (b"d", DIRECTORY))
        assert watcher.watches == 2

    @pytest.mark.case("F05")
    def test_burst(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A file in directories made the moment before is never missed: its own hint or its directory's comes."""
        watching()
        for n in range(1000):
            (source / f"{n}/b/c").mkdir(parents=True)
            (source / f"{n}/b/c/f").touch()

        seen = follow(source, listener)

        assert len(seen) == 4000
        assert seen == listing(source)

    @pytest.mark.case("F06")
    def test_moved(self, source: Path, watching: Watching, listener: Listener, tmp_path: Path) -> None:
        """A directory that moves in, within or out is watched exactly while it is in the source."""
        (tmp_path / "new/sub").mkdir(parents=True)
        watcher = watching()

        (tmp_path / "new").rename(source / "in")
        assert listener.waits_for((b"in", DIRECTORY), (b"in/sub", DIRECTORY))
        (source / "in").rename(source / "within")
        assert listener.waits_for((b"in", CHANGED), (b"within", DIRECTORY), (b"within/sub", DIRECTORY))
        (source / "within/sub/f").touch()
        assert listener.waits_for((b"within/sub/f", CHANGED))
        listener.clear()
        (source / "within").rename(tmp_path / "out")
        assert listener.waits_for((b"within", CHANGED))
        listener.clear()
        (tmp_path / "out/sub/g").touch()
        (source / "last").touch()
        assert listener.waits_for((b"last", CHANGED))

        assert {path for path, _ in listener.hints} == {b"last"}
        assert watcher.watches == 1

    @pytest.mark.case("F06")
    @pytest.mark.parametrize("seed", range(3))
    def test_storm(self, source: Path, watching: Watching, listener: Listener, tmp_path: Path, seed: int) -> None:
        """Who follows the hints through a storm of makes, moves and removals knows the tree in the end."""
        (tmp_path / "outside").mkdir()
        (source / "kept").mkdir()
        watcher = watching()
        storm = threading.Thread(target=churn, args=(source, tmp_path / "outside", random.Random(seed), 1500))

        storm.start()
        seen = follow(source, listener, storm)

        assert seen == listing(source)
        assert listener.overflows == 0
        assert watcher.watches == 1 + sum((source / os.fsdecode(path)).is_dir() for path in seen)

    def test_removed(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A removed directory is no longer watched, even while a process has it open."""
        (source / "d").mkdir()
        opened = os.open(source / "d", os.O_DIRECTORY)
        watcher = watching()

        (source / "d").rmdir()
        assert listener.waits_for((b"d", CHANGED))

        assert becomes(lambda: watcher.watches == 1)
        os.close(opened)

    def test_keeps_nothing_open(self, source: Path, watching: Watching, listener: Listener) -> None:
        """Between events no directory is held open, so that mounts can go and removed directories end."""
        (source / "a/b").mkdir(parents=True)
        watching()
        before = descriptors()

        (source / "a/b/f").touch()
        assert listener.waits_for((b"a/b/f", CHANGED))

        assert becomes(lambda: before == descriptors())

    def test_ignored(self, source: Path, watching: Watching, listener: Listener) -> None:
        """An ignored directory costs no watch, nor does anything below it."""
        (source / "cache/deep").mkdir(parents=True)
        (source / "kept").mkdir()
        watcher = watching(ignored=frozenset({b"cache", b"kept/cache"}))

        (source / "kept/cache").mkdir()
        assert listener.waits_for((b"kept/cache", CHANGED))
        (source / "kept/last").touch()
        assert listener.waits_for((b"kept/last", CHANGED))

        assert watcher.watches == 2

    def test_link_to_directory(self, source: Path, watching: Watching, listener: Listener, tmp_path: Path) -> None:
        """A symbolic link to a directory is never followed, whether it was there or comes."""
        (tmp_path / "outside").mkdir()
        (source / "old").symlink_to(tmp_path / "outside")
        watcher = watching()

        (source / "new").symlink_to(tmp_path / "outside")
        (tmp_path / "outside/f").touch()
        (source / "last").touch()
        assert listener.waits_for((b"last", CHANGED))

        assert watcher.watches == 1
        assert {path for path, _ in listener.hints} == {b"new", b"last"}

    def test_deep(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A path longer than the kernel takes in one piece is watched like any other."""
        name = b"d" * 200
        above = os.open(source, os.O_DIRECTORY)
        for _ in range(30):
            os.mkdir(name, dir_fd=above)
            below = os.open(name, os.O_DIRECTORY, dir_fd=above)
            os.close(above)
            above = below
        watcher = watching()

        os.close(os.open(b"f", os.O_CREAT | os.O_WRONLY, dir_fd=above))
        os.close(above)

        assert listener.waits_for((b"/".join([name] * 30 + [b"f"]), CHANGED))
        assert watcher.watches == 31

    @pytest.mark.needs("modes")
    def test_becomes_readable(self, source: Path) -> None:
        """A directory that may not be read is watched from the moment that its mode allows it."""
        (source / "d").mkdir(mode=0)
        change = "time.sleep(0.1); os.chmod('d', 0o755); arrived('d', 'directory'); open('d/f', 'w').close()"

        said = in_child(source, change, "arrived('d/f', 'changed')", prefix=without_overrides())

        assert said == ["native 1 True", "native 2 True", "d/f changed"]


class TestRoot:
    @pytest.mark.case("F04")
    @pytest.mark.parametrize("gone", ["moved", "deleted"])
    def test_leaves(self, source: Path, watching: Watching, listener: Listener, tmp_path: Path, gone: str) -> None:
        """When the root leaves, everything is in doubt and the watcher dead; started again it watches the new one."""
        watcher = watching()

        source.rename(tmp_path / "moved") if gone == "moved" else source.rmdir()
        assert listener.waits_for((ROOT, LOST))
        assert becomes(lambda: not watcher.alive)
        with pytest.raises(UsageError):
            watcher.start()
        assert not watcher.alive
        source.mkdir()
        watcher.start()
        (source / "f").touch()

        assert listener.waits_for((b"f", CHANGED))
        assert watcher.alive

    @pytest.mark.case("F04")
    @pytest.mark.parametrize("how", ["link swapped", "link removed", "directory renamed", "link further up swapped"])
    def test_path_leads_elsewhere(self, tmp_path: Path, listener: Listener, watching: Watching, how: str) -> None:
        """Nothing happens to the root itself, but its path leads elsewhere: the watcher ends, as if it had left."""
        (tmp_path / "first/site").mkdir(parents=True)
        (tmp_path / "second/site").mkdir(parents=True)
        (tmp_path / "next").symlink_to(tmp_path / "first")
        (tmp_path / "current").symlink_to("next")
        watcher = watching(source=tmp_path / "current/site")
        (tmp_path / "first/site/f").touch()
        assert listener.waits_for((b"f", CHANGED))
        (tmp_path / "new").symlink_to("second")

        if how == "directory renamed":
            (tmp_path / "first").rename(tmp_path / "former")
        elif how == "link removed":
            (tmp_path / "current").unlink()
        else:
            (tmp_path / "new").rename(tmp_path / ("current" if how == "link swapped" else "next"))

        assert listener.waits_for((ROOT, LOST))
        assert becomes(lambda: not watcher.alive)

    def test_path_leads_to_the_same(self, tmp_path: Path, listener: Listener, watching: Watching) -> None:
        """A link on the way that is made anew is watched anew: nothing is lost, now and the next time."""
        (tmp_path / "first/site").mkdir(parents=True)
        (tmp_path / "current").symlink_to("first")
        watcher = watching(source=tmp_path / "current/site")

        for target in ("../" + tmp_path.name + "/first", "first", str(tmp_path / "first")):
            (tmp_path / "new").symlink_to(target)
            (tmp_path / "new").rename(tmp_path / "current")
            assert listener.waits_for((ROOT, LOST))
        (tmp_path / "first/site/f").touch()

        assert listener.waits_for((b"f", CHANGED))
        assert watcher.alive

    def test_metadata(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A change of the root's own mode is a reason to look at its listing again."""
        watching()

        source.chmod(0o700)

        assert listener.waits_for((ROOT, DIRECTORY))


@pytest.mark.needs("privileged")
class TestMounts:
    def test_mounted_over(self, source: Path, watching: Watching, listener: Listener) -> None:
        """What is mounted over a watched directory is noticed and watched, and so is what shows again after that."""
        (source / "m/d").mkdir(parents=True)
        watching()
        with tmpfs(source / "m"):
            assert listener.waits_for((b"m", CHANGED))
            assert listener.waits_for((b"m", DIRECTORY))
            (source / "m/new").touch()
            assert listener.waits_for((b"m/new", CHANGED))
            umount(source / "m")
        listener.hints.clear()
        (source / "m/d/old").touch()
        assert listener.waits_for((b"m/d/old", CHANGED))

    def test_same_file_system(self, source: Path, watching: Watching, listener: Listener, tmp_path: Path) -> None:
        """A directory of the same file system, which has the same device number, is noticed as well."""
        (source / "m").mkdir()
        (tmp_path / "other/d").mkdir(parents=True)
        watching()
        with bind_mount(tmp_path / "other", source / "m"):
            assert listener.waits_for((b"m/d", DIRECTORY))
            (tmp_path / "other/d/f").touch()
            assert listener.waits_for((b"m/d/f", CHANGED))

    @pytest.mark.parametrize("when", ["before", "later"])
    def test_file(self, source: Path, watching: Watching, listener: Listener, tmp_path: Path, when: str) -> None:
        """A file that is a mount of its own is watched itself: who writes to it elsewhere makes no event here."""
        other = tmp_path / "other"
        other.write_text("1")
        (source / "f").touch()
        if when == "later":
            watching()
        with bind_mount(other, source / "f"):
            if when == "before":
                watching()
            else:
                assert listener.waits_for((b"f", CHANGED))
            listener.hints.clear()
            other.write_text("2")
            assert listener.waits_for((b"f", CHANGED))

    def test_root_is_covered(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A mount over the root itself ends the watcher: what it watches is not the source any more."""
        watcher = watching()
        with tmpfs(source):
            assert listener.waits_for((ROOT, LOST))
            assert becomes(lambda: not watcher.alive)


class TestTrouble:
    @pytest.mark.case("F01")
    def test_overflow(self, source: Path, watching: Watching, listener: Listener) -> None:
        """Events that the kernel dropped are reported; everything is in doubt, and what was missed is watched."""
        (source / "before").mkdir()
        let_go = threading.Event()

        def sink(hints: Sequence[Hint]) -> None:
            let_go.wait()
            listener.sink(hints)

        watcher = watching(sink=sink)
        flood(source / "before")
        (source / "unseen/below").mkdir(parents=True)
        (source / "before").rename(source / "after")
        let_go.set()

        assert listener.waits_for((ROOT, LOST))
        assert listener.overflows == 1
        assert watcher.watches == 4
        (source / "unseen/below/f").touch()
        (source / "after/f").touch()
        assert listener.waits_for((b"unseen/below/f", CHANGED), (b"after/f", CHANGED))

    @pytest.mark.privileged
    def test_unmount(self, source: Path, watching: Watching, listener: Listener) -> None:
        """When a file system inside the source goes, what it covered is to be looked at, and is watched."""
        (source / "mount/covered").mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", source / "mount"], check=True)
        try:
            (source / "mount/inside/deep").mkdir(parents=True)
            watcher = watching()
            assert watcher.watches == 4
        finally:
            subprocess.run(["umount", source / "mount"], check=True)

        assert listener.waits_for((b"mount", CHANGED), (b"mount", DIRECTORY), (b"mount/covered", DIRECTORY))
        assert watcher.watches == 3
        (source / "mount/covered/f").touch()
        assert listener.waits_for((b"mount/covered/f", CHANGED))

    @pytest.mark.case("F07")
    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_dead_thread(self, source: Path, watching: Watching, listener: Listener) -> None:
        """A thread that dies is seen and leaves nothing open, and the watcher can be started again."""
        failures = deque([ValueError("a broken sink")])

        def sink(hints: Sequence[Hint]) -> None:
            if failures:
                raise failures.popleft()
            listener.sink(hints)

        before = descriptors()
        watcher = watching(sink=sink)
        (source / "f").touch()
        assert becomes(lambda: not watcher.alive)
        assert before == descriptors()

        watcher.start()
        (source / "g").touch()

        assert watcher.alive
        assert listener.waits_for((b"g", CHANGED))

    def test_stop_leaves_nothing(self, source: Path, watching: Watching) -> None:
        """Started and stopped over and over, neither threads nor descriptors remain."""
        watcher = watching()
        watcher.stop()
        before = (threading.active_count(), descriptors())

        for _ in range(20):
            watcher.start()
            watcher.stop()

        assert before == (threading.active_count(), descriptors())
        assert not watcher.alive

    @pytest.mark.case("F02")
    @pytest.mark.privileged
    def test_watch_limit(self, source: Path) -> None:
        """With fewer watches than directories the whole source is polled, and the reason names the limit."""
        for n in range(12):
            (source / f"d{n}").mkdir()

        said = in_child(source, "pass", "arrived('', 'lost')", prefix=in_namespace("max_inotify_watches", 6))

        assert said[1:] == ["poll 0 True", "poll 0 True", " lost"]
        assert "no watch beyond 6 directories" in said[0]
        assert "fs.inotify.max_user_watches" in said[0]

    @pytest.mark.case("F02")
    @pytest.mark.privileged
    def test_watch_limit_later(self, source: Path) -> None:
        """A limit that is reached while we watch ends as one at the start does."""
        change = "[os.mkdir(f'd{n}') for n in range(40)]; arrived('', 'lost')"

        said = in_child(source, change, "arrived('', 'lost')", prefix=in_namespace("max_inotify_watches", 24))

        assert said[0] == "native 1 True"
        # The directories above the source are watched, too.
        assert re.search(r"no watch beyond \d+ directories", said[1])
        assert said[2:] == ["poll 0 True", " lost"]

    @pytest.mark.case("F03")
    @pytest.mark.privileged
    def test_instance_limit(self, source: Path) -> None:
        """Without an inotify instance the source is polled, and the reason names the limit."""
        said = in_child(source, "pass", "arrived('', 'lost')", prefix=in_namespace("max_inotify_instances", 0))

        assert said[1:] == ["poll 0 True", "poll 0 True", " lost"]
        assert "fs.inotify.max_user_instances" in said[0]

    @pytest.mark.case("F03")
    def test_no_descriptors(self, source: Path) -> None:
        """Without a descriptor to spare the source is polled too."""
        used_up = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir('/proc/self/fd')), 64))"

        said = in_child(source, "pass", "arrived('', 'lost')", setup=used_up)

        assert said[1:] == ["poll 0 True", "poll 0 True", " lost"]
        assert "the limit of open files" in said[0]


class TestModes:
    def test_auto_is_native(self, watching: Watching) -> None:
        """On a local file system AUTO watches natively."""
        watcher = watching(WatchMode.AUTO)

        assert (watcher.mode, watcher.watches, watcher.alive) == (WatchMode.NATIVE, 1, True)

    @pytest.mark.case("F08")
    def test_poll(self, watching: Watching, listener: Listener) -> None:
        """Polling puts everything in doubt at every interval, which can be stretched while it runs."""
        watcher = watching(WatchMode.POLL, poll_interval=0.01)
        assert listener.waits_for((ROOT, LOST))
        watcher.poll_interval = 60.0
        time.sleep(0.05)
        listener.clear()
        time.sleep(0.05)

        assert not listener.hints
        assert (watcher.mode, watcher.watches, watcher.alive) == (WatchMode.POLL, 0, True)

    def test_off(self, source: Path, watching: Watching, listener: Listener) -> None:
        """OFF is no failure: nothing is hinted, and the watcher does all that it promises."""
        watcher = watching(WatchMode.OFF)
        (source / "f").touch()

        assert (watcher.mode, watcher.watches, watcher.alive) == (WatchMode.OFF, 0, True)
        assert listener.take() is None


def becomes(condition: Callable[[], bool]) -> bool:
    """Whether it comes true before it is too late."""
    latest = time.monotonic() + LONG
    while not condition() and time.monotonic() < latest:
        time.sleep(0.002)
    return condition()


def descriptors() -> int:
    """How many this process has open, with the table of mounts, which stays open once it was read."""
    TABLE.refresh()
    return len(os.listdir("/proc/self/fd"))


def flood(directory: Path) -> None:
    """More events than the kernel keeps."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for n in range(2 * limit):
        (directory / f"{n % 2}").touch()  # two names in turn: equal events in a row become one


def listing(source: Path) -> set[RelPath]:
    """Every path below ``source``."""
    top = raw(source)
    found = ((above[len(top) + 1 :], names) for above, *kinds in os.walk(top) for names in kinds)
    return {join(RelPath(above), name) for above, names in found for name in names}


def follow(source: Path, listener: Listener, storm: threading.Thread | None = None) -> set[RelPath]:
    """The paths that one knows who looks where the hints say, when the storm is over and its last hint was served."""
    follower = Follower(source)
    follower.list(ROOT)
    end = Hint(RelPath(b"end"), CHANGED)
    marked = False
    latest = time.monotonic() + 3 * LONG
    while time.monotonic() < latest:
        if not marked and (storm is None or not storm.is_alive()):
            (source / "end").touch()
            marked = True
        hint = listener.take()
        if hint == end:
            (source / "end").unlink()
            follower.look(end.path)
            return set(follower.known) - {ROOT}
        if hint is not None:
            follower.list(hint.path) if hint.kind is DIRECTORY else follower.look(hint.path)
    pytest.fail("the hints ended before the storm did")


class Follower:
    """The minimal reaction to hints: check a path, a listing, and everything in a new directory.

    A path below an unknown directory is ignored: the directory has a hint of its own.
    """

    def __init__(self, source: Path) -> None:
        self.top = raw(source) + b"/"
        self.known: dict[RelPath, set[RelPath]] = {ROOT: set()}
        """Each path seen, and what was in it."""

    def look(self, path: RelPath) -> None:
        """See what is at one path."""
        siblings = self.known.get(split(path)[0])
        if siblings is None:
            return
        if not os.path.lexists(self.top + path):
            self.forget(path)
        elif path not in self.known:
            self.known[path] = set()
            siblings.add(path)
            self.list(path)

    def list(self, path: RelPath) -> None:
        """See what is in one directory."""
        if path not in self.known:
            self.look(path)
            return
        try:
            there = {join(path, name) for name in os.listdir(self.top + path)}
        except (FileNotFoundError, NotADirectoryError):
            there = set()
        for child in self.known[path] | there:
            self.look(child)

    def forget(self, path: RelPath) -> None:
        """See nothing at a path any more, nor below it."""
        for child in self.known.pop(path, set()):
            self.forget(child)
        self.known.get(split(path)[0], set()).discard(path)


def churn(source: Path, outside: Path, dice: random.Random, steps: int) -> None:
    """Make, move and remove directories and files, as fast as it goes."""
    for step in range(steps):
        here, there = somewhere(source, dice), somewhere(source, dice)
        try:
            match dice.randrange(8):
                case 0 | 1:
                    (here / f"{step}" / "b").mkdir(parents=True)
                    (here / f"{step}" / "b" / "f").touch()
                case 2:
                    (here / f"f{step}").touch()
                case 3 | 4 if here != source:
                    here.rename(there / dice.choice((here.name, f"{step}")))
                case 5 if here != source:
                    here.rename(outside / f"{step}")
                case 6:
                    next(iter(outside.iterdir())).rename(here / f"{step}")
                case 7 if here != source:
                    shutil.rmtree(here)
                case _:
                    time.sleep(0.0005)
        except (OSError, StopIteration):
            continue  # a directory into itself, or over one that is not empty: nothing happened


def somewhere(source: Path, dice: random.Random) -> Path:
    """A directory at or below ``source``."""
    here = source
    while dice.random() < 0.7:
        below = [entry for entry in here.iterdir() if entry.is_dir()]
        if not below:
            break
        here = dice.choice(below)
    return here


CHILD = """
import os, sys, threading, time
from dirsync.fs.root import Root
from dirsync.endpoint.watch.watcher import Watcher, WatchMode
source, setup, change, check = sys.argv[1:]
hints, condition = set(), threading.Condition()
def sink(batch):
    with condition:
        hints.update(map(tuple, batch))
        condition.notify()
def arrived(path, kind):
    with condition:
        if condition.wait_for(lambda: (os.fsencode(path), kind) in hints, 10):
            return f"{path} {kind}"
def say(text):
    print(text, flush=True)
watcher = Watcher(Root.open(source).clone, sink, wanted=WatchMode.NATIVE, poll_interval=0.01, degraded=say,
                  overflowed=lambda: None)
os.chdir(source)
exec(setup)
watcher.start()
say(f"{watcher.mode} {watcher.watches} {watcher.alive}")
exec(change)
say(f"{watcher.mode} {watcher.watches} {watcher.alive}")
say(eval(check))
watcher.stop()
"""


def in_child(source: Path, change: str, check: str, *, setup: str = "", prefix: tuple[str, ...] = ()) -> list[str]:
    """What a process says that watches ``source``, does ``change`` and then evaluates ``check``, run by ``prefix``."""
    command = [*prefix, sys.executable, "-c", CHILD, str(source), setup, change, check]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


def in_namespace(limit: str, value: int) -> tuple[str, ...]:
    """Runs a command where the kernel allows only so much to all processes of a user together."""
    return (
        "unshare",
        "--user",
        "--map-root-user",
        "sh",
        "-c",
        f'echo {value} >/proc/sys/user/{limit}; exec "$@"',
        "sh",
    )


def without_overrides() -> tuple[str, ...]:
    """Runs a command for which modes count: root may read everything otherwise."""
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
