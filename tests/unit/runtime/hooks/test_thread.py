"""The thread of a hook: what waits for it, and what does not."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.hooks.debouncer import Run
from dirsync.runtime.hooks.delivered import Delivered
from dirsync.runtime.hooks.hooks import Hooks
from dirsync.runtime.hooks.message import Place
from dirsync.runtime.hooks.outcome import Expired, Outcome, Result
from dirsync.runtime.hooks.thread import HookOptions, HookThread
from dirsync.runtime.log import logging
from dirsync.runtime.log.limiter import Limiter
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.exposition import render
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.tree.entry import Entry, Kind
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Delete, Move
from tests.support.running.waiting import until

OPTIONS = HookOptions("command", "what is called", timeout=60.0, debounce=0.01)
GOOD, BAD = Outcome(Result.SUCCEEDED), Outcome(Result.FAILED, "it failed")


class Recorder:
    """An action that notes its runs; :attr:`outcome` is what comes of them, once :attr:`goes_on` is set."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, bytes, tuple[RelPath, ...]]] = []
        self.outcome = GOOD
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.at_once = 0
        self.most_at_once = 0

    def run(self, place: Place, run: Run, expired: Expired) -> Outcome:
        """Note it."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.runs.append((place.namespace, run.state, run.changes.paths))
        while not self.goes_on.wait(0.005):
            if expired():
                self.at_once -= 1
                return Outcome(Result.TIMED_OUT, "it took too long")
        self.at_once -= 1
        return self.outcome

    @property
    def states(self) -> list[bytes]:
        """The states that it was told."""
        return [state for _, state, _ in self.runs]


class Pair:
    """A hook and what it does."""

    def __init__(self, place: Path, options: HookOptions = OPTIONS, namespaces: tuple[str, ...] = ("default",)) -> None:
        self.action = Recorder()
        self.metrics = PrometheusMetrics((), CLIENT_CATALOGUE)
        places = [Place("client", name, b"/") for name in namespaces]
        self.thread = HookThread(options, self.action, places, Delivered(place), self.metrics)
        self.hooks = Hooks([self.thread])
        self.feed = self.hooks.feed("default")

    def reach(self, state: bytes, *paths: bytes) -> None:
        """Tell of a state and what led to it."""
        self.feed.applied(Delete(RelPath(path), None) for path in paths)
        self.feed.reached(lambda: state)


Events = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def logged() -> Iterator[Events]:
    """What was logged during a test."""
    stream = io.StringIO()
    logging.configure("client", LogLevel.INFO, LogFormat.JSON, stream=stream, limiter=Limiter())
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.configure("dirsync")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """A hook that is quick."""
    return Pair(tmp_path)


def test_many_states_few_runs(pair: Pair) -> None:
    """Ten thousand states lead to few runs, one at a time, the last for the last state."""
    for number in range(10_000):
        pair.reach(b"%d" % number, b"path-%d" % number)
    until(lambda: pair.action.states[-1:] == [b"9999"], "a run for the last state")
    pair.hooks.stop(10)

    assert 1 == pair.action.most_at_once
    assert len(pair.action.runs) < 200
    assert {b"path-%d" % number for number in range(10_000)} == {
        path for _, _, told in pair.action.runs for path in told
    }


def test_a_hook_that_hangs_holds_nobody_up(pair: Pair) -> None:
    """While a run is under way states are taken at once, and only the newest is run for after it."""
    pair.action.goes_on.clear()
    pair.reach(b"first")
    until(lambda: pair.action.runs, "a run that hangs")
    for number in range(1000):
        pair.reach(b"%d" % number)
    assert [b"first"] == pair.action.states
    pair.action.goes_on.set()
    until(lambda: len(pair.action.runs) == 2, "the next run")
    pair.hooks.stop(10)

    assert [b"first", b"999"] == pair.action.states


def test_a_failure_is_tried_again(pair: Pair, logged: Events) -> None:
    """A run that fails is tried again, with the same paths, counted, and logged with the reason."""
    pair.action.outcome = BAD
    pair.reach(b"state", b"path")
    until(logged, "a run that fails")
    pair.action.outcome = GOOD
    until(lambda: len(pair.action.runs) == 2, "the next try")
    pair.hooks.stop(10)

    assert [("default", b"state", (b"path",))] * 2 == pair.action.runs
    assert [("hook.failed", "failed", "it failed"), ("hook.succeeded", None, None)] == [
        (line["event"], line.get("kind"), line.get("problem")) for line in logged()
    ]
    text = render(pair.metrics.registry).decode()
    assert 'dirsync_hook_runs_total{hook="command",outcome="failed"} 1.0' in text
    assert 'dirsync_hook_runs_total{hook="command",outcome="succeeded"} 1.0' in text
    assert 'dirsync_hook_runs_total{hook="command",outcome="timed_out"} 0.0' in text


def test_the_end_delivers_the_last_state(tmp_path: Path, logged: Events) -> None:
    """A state that waits for its debounce is run for before the process ends."""
    pair = Pair(tmp_path, OPTIONS._replace(debounce=3600.0))
    pair.reach(b"state")
    assert [] == pair.action.runs
    pair.hooks.stop(10)

    assert [b"state"] == pair.action.states
    assert ["hook.succeeded"] == [line["event"] for line in logged()]


def test_the_end_waits_no_longer_than_it_may(pair: Pair, logged: Events) -> None:
    """A run that hangs is ended when the grace is over, and what it was for is named."""
    pair.action.goes_on.clear()
    pair.reach(b"state")
    until(lambda: pair.action.runs, "a run that hangs")
    pair.hooks.stop(0.5)
    until(lambda: pair.action.at_once == 0, "the end of the run")

    assert [b"state".hex()] == [line["root_digest"] for line in logged() if line["event"] == "hook.undelivered"]


def test_the_end_without_a_state(pair: Pair, logged: Events) -> None:
    """Where nothing was reached nothing is waited for, and nothing said."""
    pair.hooks.stop(10)

    assert [] == logged()


def test_a_restart_repeats_nothing(tmp_path: Path) -> None:
    """A state that the hook knows is not told again by the next process; a new one is, with what changed."""
    first = Pair(tmp_path)
    first.reach(b"state", b"one")
    first.hooks.stop(10)
    second = Pair(tmp_path)
    second.reach(b"state")
    second.reach(b"other", b"two")
    second.hooks.stop(10)

    assert [("default", b"state", (b"one",))] == first.action.runs
    assert [("default", b"other", (b"two",))] == second.action.runs


@pytest.mark.parametrize("interrupt", ["failed", "killed"])
def test_a_restart_loses_nothing(tmp_path: Path, interrupt: str) -> None:
    """A state whose run failed, or did not end, is told by the next process."""
    first = Pair(tmp_path)
    first.action.outcome = BAD
    if interrupt == "killed":
        first.action.goes_on.clear()
    first.reach(b"state")
    until(lambda: first.action.runs, "a run")
    second = Pair(tmp_path)
    second.reach(b"state")
    second.hooks.stop(10)
    first.action.goes_on.set()
    first.hooks.stop(10)

    assert [b"state"] == second.action.states


def test_another_target_knows_nothing(tmp_path: Path) -> None:
    """A hook that calls something else now has told it nothing."""
    first = Pair(tmp_path)
    first.reach(b"state")
    first.hooks.stop(10)
    other = Pair(tmp_path, OPTIONS._replace(target="something else"))
    other.reach(b"state")
    other.hooks.stop(10)

    assert [b"state"] == other.action.states
    assert "something else" not in (tmp_path / "hooks.json").read_text()


def test_a_state_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """Hooks are run all the same."""
    pair = Pair(tmp_path / "gone")
    pair.reach(b"state")
    pair.hooks.stop(10)

    assert [b"state"] == pair.action.states


def test_namespaces(tmp_path: Path) -> None:
    """Each namespace has its own states; all of them are delivered, one run at a time."""
    names = tuple(f"n{number}" for number in range(20))
    pair = Pair(tmp_path, namespaces=names)
    for name in names:
        pair.hooks.feed(name).reached(name.encode)
    pair.hooks.stop(10)

    assert sorted((name, name.encode(), ()) for name in names) == sorted(pair.action.runs)
    assert 1 == pair.action.most_at_once


def test_moves_have_two_paths(pair: Pair) -> None:
    """A move changes the path where something was, and that where it is."""
    pair.feed.applied([Move(RelPath(b"new"), None, RelPath(b"old"), Entry(Kind.DIRECTORY))])
    pair.reach(b"state")
    pair.hooks.stop(10)

    assert [("default", b"state", (b"old", b"new"))] == pair.action.runs


def test_the_newest_is_asked_for_last(pair: Pair) -> None:
    """Of callers at the same time the last one has the newest state, because it is asked for when it is noted."""
    digests = iter(range(1000))
    newest: Callable[[], bytes] = lambda: b"%d" % next(digests)  # noqa: E731 - as a caller would give it
    threads = [threading.Thread(target=pair.feed.reached, args=(newest,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pair.hooks.stop(10)

    assert b"19" == pair.action.states[-1]
