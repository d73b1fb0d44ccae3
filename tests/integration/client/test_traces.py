"""Traces of a real pair, as a collector gets them."""

import time
from collections.abc import Iterator

import pytest

from tests.support.outside.collector import Collector
from tests.support.running.ports import free_port
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build

pytestmark = pytest.mark.programs


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Who gets the spans."""
    with Collector() as collector:
        yield collector


def traced(url: str) -> tuple[str, ...]:
    """The command that runs a program with the variables of OpenTelemetry."""
    return ("env", f"OTEL_EXPORTER_OTLP_ENDPOINT={url}", "OTEL_BSP_SCHEDULE_DELAY=100")


def test_from_the_event_to_the_publish(collector: Collector, pair: Pair) -> None:
    """One trace has the change, its sending by the client, and its publication by the server."""
    pair.server(prefix=traced(collector.url))
    client = pair.client(prefix=traced(collector.url))
    client.wait_until_in_sync()
    before = time.time_ns()
    build(pair.source, {"file": "content"})
    client.wait_for("file.synced", path="file")
    until(lambda: any(span.attributes["dirsync.path"] == "file" for span in collector.named("sync")), "the trace")
    (sync,) = (span for span in collector.named("sync") if span.attributes["dirsync.path"] == "file")
    (publish,) = until(
        lambda: [span for span in collector.named("publish") if span.trace == sync.trace], "the server's span"
    )
    (send,) = (span for span in collector.named("send") if span.trace == sync.trace)

    assert ("dirsync-client", "dirsync-client", "dirsync-server") == (sync.service, send.service, publish.service)
    assert (b"", sync.id, sync.id) == (sync.parent, send.parent, publish.parent)
    assert "default" == publish.attributes["dirsync.namespace"]
    assert before <= sync.started <= send.started <= publish.started <= publish.ended <= sync.ended


def test_only_one_side(collector: Collector, pair: Pair) -> None:
    """A side that is not traced takes no notice of the other's traces."""
    pair.server()
    client = pair.client(prefix=traced(collector.url))
    build(pair.source, {"file": "content"})
    client.wait_for("file.synced", path="file")
    until(lambda: collector.named("sync"), "the client's span")
    client.stop()

    assert {"dirsync-client"} == {span.service for span in collector.spans}
    assert ["push stream"] == [span.name for span in collector.spans if span.name == "push stream"]


def test_a_collector_that_is_away(pair: Pair) -> None:
    """Without anybody to take the spans all is synced, and both programs end in time."""
    url = f"http://127.0.0.1:{free_port()}"
    server = pair.server(prefix=traced(url))
    client = pair.client(prefix=traced(url))
    build(pair.source, {f"file-{number}": "content" for number in range(100)})
    client.wait_for("file.synced", path="file-99")
    client.wait_until_in_sync()
    for process in (client, server):
        process.log.forgive("opentelemetry")
        process.stop()
