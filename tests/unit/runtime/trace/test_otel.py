"""Spans of OpenTelemetry, as we make them."""

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dirsync.runtime.trace.otel import OtelTracer

FOREIGN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Recorded:
    """A tracer and what it exports."""

    def __init__(self, service: str = "client") -> None:
        self.exporter = InMemorySpanExporter()
        self.tracer = OtelTracer(service, self.exporter)

    def spans(self) -> list[ReadableSpan]:
        """Everything that has ended."""
        self.tracer.close(10)
        return list(self.exporter.get_finished_spans())


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """A tracer without variables."""
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)
    return Recorded()


def test_span(recorded: Recorded) -> None:
    """A span has its name, its attributes, the time when it began, and what went wrong."""
    span = recorded.tracer.start("sync", ago=5.0, operations=3)
    span.set(failed=1)
    span.end("some operations were not applied")

    (found,) = recorded.spans()
    assert ("sync", {"dirsync.operations": 3, "dirsync.failed": 1}) == (found.name, dict(found.attributes or {}))
    assert (False, "some operations were not applied") == (found.status.is_ok, found.status.description)
    assert found.start_time is not None
    assert found.end_time is not None
    assert found.end_time - found.start_time >= 5_000_000_000
    assert "dirsync-client" == found.resource.attributes["service.name"]


def test_one_trace(recorded: Recorded) -> None:
    """A span below another one, which a peer named by its text, is in the same trace."""
    parent = recorded.tracer.start("sync")
    child = recorded.tracer.start("publish", parent=parent.traceparent)
    child.end()
    parent.end()

    below, above = recorded.spans()
    assert above.context.trace_id == below.context.trace_id
    assert below.parent is not None
    assert above.context.span_id == below.parent.span_id


def test_the_text_is_the_standard_one(recorded: Recorded) -> None:
    """A parent is written as W3C Trace Context writes it."""
    span = recorded.tracer.start("publish", parent=FOREIGN)
    span.end()

    (found,) = recorded.spans()
    assert f"{found.context.trace_id:032x}" == FOREIGN.split("-")[1]
    assert span.traceparent == f"00-{found.context.trace_id:032x}-{found.context.span_id:016x}-01"


@pytest.mark.parametrize("parent", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_no_parent(recorded: Recorded, parent: str) -> None:
    """A text that names no span makes the span the first one of its trace."""
    recorded.tracer.start("publish", parent=parent).end()

    (found,) = recorded.spans()
    assert found.parent is None


def test_their_variables_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard variables name the service, and say which share of traces is recorded."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "photos")
    named = Recorded()
    named.tracer.start("sync").end()
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    unsampled = Recorded()
    unsampled.tracer.start("sync").end()

    assert ["photos"] == [span.resource.attributes["service.name"] for span in named.spans()]
    assert [] == unsampled.spans()
