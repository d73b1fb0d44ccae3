"""One trace for each commit: from the first sign of the changes in it, through sending them, to the server's answer."""

from collections import deque
from collections.abc import Iterable
from threading import Lock

from dirsync.clock import Monotonic, monotonic
from dirsync.runtime.trace.tracer import NO_SPAN, Span, Tracer
from dirsync.tree.path import abbreviate
from dirsync_client.reconcile.commands import Sent
from dirsync_client.reconcile.events import Settled


class CommitTraces:
    """The traces of one push stream. Thread-safe: the sender sends and asks, the receiver settles."""

    def __init__(self, tracer: Tracer, now: Monotonic = monotonic) -> None:
        self._tracer = tracer
        self._now = now
        self._lock = Lock()
        self._sent: list[Sent] = []
        """What was sent since the last commit was asked for."""
        self._open: deque[Span] = deque()
        """Of commits that are not answered, oldest first."""
        self._stream = tracer.start("push stream")

    @property
    def stream_headers(self) -> tuple[tuple[str, str], ...]:
        """The metadata of the call that is the stream."""
        traceparent = self._stream.traceparent
        return (("traceparent", traceparent),) if traceparent else ()

    def sent(self, operations: Iterable[Sent]) -> None:
        """These were sent."""
        if self._tracer.is_on:
            with self._lock:
                self._sent += operations

    def commit_asked(self) -> str:
        """A commit is asked for; returns what tells the server of its trace."""
        if not self._tracer.is_on:
            return ""
        with self._lock:
            sent, self._sent = self._sent, []
            span = self._start(sent) if sent else NO_SPAN
            self._open.append(span)
            return span.traceparent

    def committed(self, settled: Settled) -> None:
        """The commit that was asked for first is answered."""
        if not self._tracer.is_on:
            return
        with self._lock:
            span = self._open.popleft() if self._open else NO_SPAN
        span.set(applied=len(settled.applied), failed=len(settled.failed))
        span.end("some operations were not applied" if settled.failed else "")

    def close(self) -> None:
        """The stream is over."""
        with self._lock:
            lost, self._open = self._open, deque()
        for span in lost:
            span.end("the stream ended before the commit was answered")
        self._stream.end()

    def _start(self, sent: list[Sent]) -> Span:
        now = self._now()
        noticed = min(one.transmit.changed_at for one in sent)
        started = min(one.started or now for one in sent)
        first = abbreviate(sent[0].path)
        span = self._tracer.start("sync", ago=max(0.0, now - noticed), operations=len(sent), path=first)
        send = self._tracer.start("send", parent=span.traceparent, ago=max(0.0, now - started), operations=len(sent))
        send.end()
        return span
