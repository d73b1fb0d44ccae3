"""What the metrics say of watching: the mode that is in force, and whether it is the one that was wanted."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from dirsync.endpoint.watch import watcher
from dirsync.endpoint.watch.hint import WatchRefused
from dirsync.endpoint.watch.watcher import WatchMode
from dirsync.fs.root import Root
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync_client.lifecycle.activity import Activity
from dirsync_client.lifecycle.watching import Watching
from dirsync_client.mailbox import Mailbox
from tests.support.running.metrics import samples

SOURCE: Any = SimpleNamespace(ignore=SimpleNamespace(matches=lambda _path, _is_directory: False))


@pytest.fixture
def metrics() -> PrometheusMetrics:
    """The metrics of a client."""
    return PrometheusMetrics((), CLIENT_CATALOGUE)


def seen(metrics: PrometheusMetrics) -> tuple[str, float]:
    """The one mode that is in force, and whether that is degraded."""
    scrape = samples(metrics)
    (mode,) = [mode for mode, on in scrape.sums("dirsync_watch_mode", "mode").items() if on]
    return mode, scrape.value("dirsync_watch_degraded")


@pytest.fixture
def start(tmp_path: Path, metrics: PrometheusMetrics) -> Iterator[Any]:
    """Starts watching a directory in a mode, and ends that."""
    started: list[Watching] = []

    def start(wanted: WatchMode) -> None:
        activity = Activity("watching the source")
        watching = Watching(SOURCE, lambda: Root.open(tmp_path), Mailbox(), wanted, 30.0, metrics, activity)
        started.append(watching)
        watching.start()

    yield start
    for watching in started:
        watching.stop()


@pytest.mark.parametrize(
    "wanted, mode", [(WatchMode.NATIVE, "native"), (WatchMode.POLL, "poll"), (WatchMode.OFF, "off")]
)
def test_as_wanted(start: Any, metrics: PrometheusMetrics, wanted: WatchMode, mode: str) -> None:
    """What was chosen is in force and not degraded, also polling and nothing at all."""
    start(wanted)

    assert (mode, 0) == seen(metrics)


@pytest.mark.parametrize("wanted", [WatchMode.AUTO, WatchMode.NATIVE])
def test_refused(start: Any, metrics: PrometheusMetrics, monkeypatch: pytest.MonkeyPatch, wanted: WatchMode) -> None:
    """Where the kernel refuses to watch, the source is polled, and that is degraded."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise WatchRefused("too many watches")

    monkeypatch.setattr(watcher, "make_observer", refuse)
    start(wanted)

    assert ("poll", 1) == seen(metrics)
