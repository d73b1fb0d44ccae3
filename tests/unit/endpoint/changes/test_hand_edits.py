"""Edits of a replica's files by hand: noticed while somebody wants to know, and only then."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from dirsync.endpoint.changes.dirty_paths import Dirty
from dirsync.endpoint.changes.feed import Subscription
from dirsync.endpoint.changes.hand_edits import HandEdits
from dirsync.endpoint.watch.hint import WatchRefused
from dirsync.errors import PathError, StorageError
from dirsync.fs.read.hashing import Digester
from dirsync.tree.entry import is_known
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath
from tests.support.inside.direct import Direct, direct, send
from tests.support.peers.operations import batch, commit, delete, file, make_directory, put, seen
from tests.support.running.waiting import until

SECONDS = 20.0


class Watched:
    """A replica, who looks for edits of it, and what they found."""

    def __init__(self, server: Direct) -> None:
        self.server = server
        self.found: list[RelPath] = []
        self.edits = HandEdits(server.replica, found=self._found, linger=0.2)

    def _found(self, paths: Sequence[RelPath]) -> None:
        self.found += paths

    @contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        """Somebody who wants to know, when the watch has begun."""
        subscription = self.server.replica.changes.subscribe(b"ann")
        until(lambda: self.edits.watches, "a watch")
        self.settle(subscription)
        self.found.clear()
        yield subscription
        self.server.replica.changes.unsubscribe(subscription)

    def settle(self, subscription: Subscription) -> None:
        """Return when an edit made now has been told, and with it all before."""
        mark = self.server.place / "mark"
        mark.write_bytes(os.urandom(8))
        told = wait_for(subscription, b"mark")
        mark.unlink()
        if b"mark" in told:
            wait_for(subscription, b"mark")

    def writer(self) -> Callable[..., None]:
        """Commits operations."""
        handler = self.server.push(self.server.open(TreeOptions(ignore_rules=(b"ignored",))))

        def write(*operations: object) -> None:
            (answer,) = send(handler, batch(*operations), commit())  # type: ignore[arg-type]

            assert [] == list(answer.failures)

        return write


def wait_for(subscription: Subscription, path: bytes) -> list[bytes]:
    """The paths that are told up to one."""
    told: list[bytes] = []
    while path not in told:
        assert subscription.wait(SECONDS), f"{path!r} is not told"
        dirty = subscription.take()
        told += dirty.paths
        assert not dirty.everything
    return told


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """An empty replica."""
    with direct(tmp_path) as server:
        watched = Watched(server)
        yield watched
        watched.edits.close()


def test_edits_are_told(watched: Watched) -> None:
    """A file that somebody writes, moves or removes is told, when the tree has it with its digest."""
    place, state = watched.server.place, watched.server.replica.state
    with watched.subscribed() as subscription:
        (place / "a").write_bytes(b"by hand")
        wait_for(subscription, b"a")
        entry = state.get(RelPath(b"a"))

        assert entry is not None
        assert is_known(entry.digest)

        (place / "a").rename(place / "b")
        told = wait_for(subscription, b"b")
        told += [] if b"a" in told else wait_for(subscription, b"a")

        assert (None, entry) == (state.get(RelPath(b"a")), state.get(RelPath(b"b")))

        (place / "b").unlink()
        wait_for(subscription, b"b")

        assert None is state.get(RelPath(b"b"))
        assert {b"a", b"b"} == set(watched.found)


def test_edits_in_new_directories(watched: Watched) -> None:
    """A tree that appears is told with everything in it, and watched from then on."""
    place, state = watched.server.place, watched.server.replica.state
    with watched.subscribed() as subscription:
        (place / "d" / "e").mkdir(parents=True)
        (place / "d" / "e" / "f").write_bytes(b"1")
        wait_for(subscription, b"d/e/f")
        (place / "d" / "e" / "g").write_bytes(b"2")
        wait_for(subscription, b"d/e/g")

        assert state.get(RelPath(b"d/e/g")) is not None


def test_before_the_watch(watched: Watched) -> None:
    """What was edited before anybody wanted to know is found when the watch begins."""
    (watched.server.place / "early").write_bytes(b"early")
    subscription = watched.server.replica.changes.subscribe(b"ann")

    assert [b"early"] == wait_for(subscription, b"early")


def test_commits_are_no_edits(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """What clients commit shows no difference: no edit is found, nothing is told twice, and no file is read again."""
    write = watched.writer()
    read: list[RelPath] = []
    digest = Digester.digest

    def counted(digester: Digester, path: RelPath) -> object:
        read.append(path)
        return digest(digester, path)

    monkeypatch.setattr(Digester, "digest", counted)
    with watched.subscribed() as subscription:
        write(make_directory(1, b"d"), *(put(number, b"d/%d" % number, b"x") for number in range(2, 200)))
        write(delete(300, b"d/2", seen(file(b"x"))), put(301, b"d/3", b"y", seen(file(b"x"))))
        watched.settle(subscription)

        assert [b"mark"] == list(dict.fromkeys(watched.found))
        assert {b"mark"} >= set(read)
        assert Dirty() == subscription.take()


def test_what_is_left_out(watched: Watched) -> None:
    """Ignored files are no part of the replica, whoever writes them."""
    watched.writer()
    with watched.subscribed() as subscription:
        (watched.server.place / "ignored").mkdir()
        (watched.server.place / "ignored" / "f").write_bytes(b"x")
        watched.settle(subscription)

        assert [b"mark"] == list(dict.fromkeys(watched.found))


def test_our_own_staging(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A staging directory in the root that comes and goes with each commit is looked for nowhere."""
    server = watched.server
    server.replica.session_options.reserved = frozenset({b".dirsync-staging"})
    looked: list[RelPath] = []
    look = server.replica.scanner.look

    def counted(paths: Sequence[RelPath], directories: Sequence[RelPath] = ()) -> list[RelPath]:
        looked.extend((*paths, *directories))
        return look(paths, directories)

    monkeypatch.setattr(server.replica.scanner, "look", counted)
    with watched.subscribed() as subscription:
        for _ in range(5):
            (server.place / ".dirsync-staging").mkdir()
            (server.place / ".dirsync-staging" / "f").write_bytes(b"x")
            (server.place / ".dirsync-staging" / "f").unlink()
            (server.place / ".dirsync-staging").rmdir()
        watched.settle(subscription)

    assert {b"mark"} == set(looked)


def test_nobody_wants_to_know(watched: Watched) -> None:
    """Without a subscription nothing is watched, and some time after the last one ended nothing is watched any more."""
    before = threading.active_count()

    assert (False, 0) == (watched.edits.is_active, watched.edits.watches)

    with watched.subscribed():
        assert watched.edits.is_active
        assert watched.edits.watches > 0

    until(lambda: not watched.edits.is_active, "the end of the watch")

    assert 0 == watched.edits.watches
    assert threading.active_count() <= before

    with watched.subscribed() as subscription:
        (watched.server.place / "again").write_bytes(b"x")
        wait_for(subscription, b"again")


def test_coming_and_going(watched: Watched) -> None:
    """Whoever returns soon finds the same watch; nothing leaks however often that is."""
    with watched.subscribed():
        threads = set(threading.enumerate())
        for _ in range(100):
            subscription = watched.server.replica.changes.subscribe(b"bob")
            watched.server.replica.changes.unsubscribe(subscription)

        assert threads == set(threading.enumerate())


def test_a_replica_that_is_gone(watched: Watched, tmp_path: Path) -> None:
    """A replica whose directory is not there at present is looked at again when it is back."""
    with watched.subscribed() as subscription:
        watched.server.place.rename(tmp_path / "aside")
        (tmp_path / "aside" / "f").write_bytes(b"x")
        with pytest.raises(StorageError):
            watched.server.replica.scanner.look([RelPath(b"f")])
        (tmp_path / "aside").rename(watched.server.place)
        wait_for(subscription, b"f")


class Scans:
    """Scans that fail as often as a test wants, and then succeed."""

    def __init__(self, error: Exception, times: int) -> None:
        self.count = 0
        self._error = error
        self._times = times

    def __call__(self) -> list[RelPath]:
        """One of them."""
        self.count += 1
        if self.count <= self._times:
            raise self._error
        return []


def test_a_failure_is_tried_again(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any failure to look there is another look, after a pause."""
    monkeypatch.setattr("dirsync.endpoint.changes.hand_edits.PAUSE_SECONDS", 0.05)
    scans = Scans(PathError("some path"), times=3)
    monkeypatch.setattr(watched.server.replica.scanner, "rescan", scans)
    watched.server.replica.changes.subscribe(b"ann")
    until(lambda: scans.count > 3, "a scan that succeeds")

    assert watched.edits.is_active


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.case("F07")
def test_a_defect_does_not_spin(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect of ours ends the watch and is told once; the next one who wants to know begins another."""
    scans = Scans(ZeroDivisionError("a defect"), times=1)
    monkeypatch.setattr(watched.server.replica.scanner, "rescan", scans)
    watched.server.replica.changes.subscribe(b"ann")
    until(lambda: scans.count and not watched.edits.is_active, "the end of the watch")

    assert 1 == scans.count

    watched.server.replica.changes.subscribe(b"bob")
    until(lambda: scans.count > 1, "another scan")


@pytest.mark.case("F02")
def test_without_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel does not tell of changes, the files are looked at again and again, and somebody is told why."""

    def refused(*_arguments: object, **_options: object) -> None:
        raise WatchRefused("no watch is left")

    monkeypatch.setattr("dirsync.endpoint.watch.watcher.make_observer", refused)
    monkeypatch.setattr("dirsync.endpoint.changes.hand_edits.POLL_SECONDS", 0.05)
    reasons: list[str] = []
    with direct(tmp_path) as server:
        edits = HandEdits(server.replica, degraded=reasons.append)
        subscription = server.replica.changes.subscribe(b"ann")
        until(lambda: reasons, "a reason")
        (server.place / "a").write_bytes(b"by hand")
        wait_for(subscription, b"a")
        (server.place / "a").write_bytes(b"by hand, again")
        wait_for(subscription, b"a")
        edits.close()

    assert ["no watch is left"] == reasons
    assert not edits.is_active
