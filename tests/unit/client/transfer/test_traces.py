"""The traces of a push stream."""

from typing import NamedTuple

from dirsync.runtime.trace.tracer import NO_TRACER, Span, Tracer
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Delete
from dirsync_client.reconcile.commands import PLAIN, Sent, Transmit
from dirsync_client.reconcile.events import Settled
from dirsync_client.transfer.traces import CommitTraces


class Started(NamedTuple):
    """A span that was started."""

    name: str
    parent: str
    ago: float
    attributes: dict[str, str | int]


class NotedSpan(Span):
    """A span of :class:`NotingTracer`."""

    def __init__(self, traceparent: str, ended: list[tuple[str, str]]) -> None:
        self.traceparent = traceparent
        self._ended = ended

    def end(self, problem: str = "") -> None:
        """Note it."""
        self._ended.append((self.traceparent, problem))


class NotingTracer(Tracer):
    """Notes what is started and ended; a span's text is its number."""

    is_on = True

    def __init__(self) -> None:
        self.started: list[Started] = []
        self.ended: list[tuple[str, str]] = []

    def start(self, name: str, *, parent: str = "", ago: float = 0.0, **attributes: str | int) -> Span:
        """Note it."""
        self.started.append(Started(name, parent, ago, attributes))
        return NotedSpan(str(len(self.started)), self.ended)


def sent(path: bytes, noticed: float, started: float) -> Sent:
    """A delete that was sent."""
    step = Delete(RelPath(path), None)
    return Sent(Transmit(step, None, noticed), step, PLAIN, None, started)


def test_a_commit() -> None:
    """A commit is traced from the first sign of its oldest change, and the sending below it."""
    tracer = NotingTracer()
    traces = CommitTraces(tracer, lambda: 100.0)
    traces.sent([sent(b"a", 97.0, 99.0), sent(b"b", 95.0, 98.0)])
    traceparent = traces.commit_asked()
    traces.committed(Settled([], [], b"", rescanned=False))

    assert (("traceparent", "1"),) == traces.stream_headers
    assert "2" == traceparent
    assert [
        Started("push stream", "", 0.0, {}),
        Started("sync", "", 5.0, {"operations": 2, "path": "a"}),
        Started("send", "2", 2.0, {"operations": 2}),
    ] == tracer.started
    assert [("3", ""), ("2", "")] == tracer.ended


def test_a_commit_of_nothing() -> None:
    """A commit that only has the server look at its replica has no trace."""
    traces = CommitTraces(NotingTracer(), lambda: 100.0)

    assert "" == traces.commit_asked()


def test_a_stream_that_ends() -> None:
    """Commits that are not answered when the stream ends have failed."""
    tracer = NotingTracer()
    traces = CommitTraces(tracer, lambda: 100.0)
    traces.sent([sent(b"a", 97.0, 99.0)])
    traces.commit_asked()
    traces.close()

    assert [("3", ""), ("2", "the stream ended before the commit was answered"), ("1", "")] == tracer.ended


def test_nothing_is_kept_without_a_tracer() -> None:
    """Where nothing is traced, nothing is gathered, and nothing is sent with a call."""
    traces = CommitTraces(NO_TRACER)
    traces.sent([sent(b"a", 97.0, 99.0)])

    assert ("", ()) == (traces.commit_asked(), traces.stream_headers)
    assert [] == traces._sent
