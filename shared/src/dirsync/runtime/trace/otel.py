"""Spans of OpenTelemetry. Imported only where traces are wanted.

The library's own variables (``OTEL_*``) say where to, how, and which share. Spans wait in its bounded queue for its own
thread, so a collector that is slow or gone holds nothing up: what does not fit is dropped.
"""

import os
from time import time_ns

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dirsync import __version__
from dirsync.runtime.process.lifecycle import within
from dirsync.runtime.trace.tracer import Span, Tracer

_HEADER = "traceparent"
_NAME = "service.name"
_NANOSECONDS = 1_000_000_000


class RecordedSpan(Span):
    """A span that is exported when it ends."""

    def __init__(self, span: OtelSpan, traceparent: str) -> None:
        self._span = span
        self.traceparent = traceparent

    def set(self, **attributes: str | int) -> None:
        """Add attributes."""
        self._span.set_attributes(_prefixed(attributes))

    def end(self, problem: str = "") -> None:
        """It is over."""
        if problem:
            self._span.set_status(Status(StatusCode.ERROR, problem))
        self._span.end()


class OtelTracer(Tracer):
    """Starts spans of one service."""

    is_on = True

    def __init__(self, service: str, exporter: SpanExporter) -> None:
        """``service`` is ``client`` or ``server``; the library's variables may give it another name."""
        attributes = {"service.version": __version__}
        if "OTEL_SERVICE_NAME" not in os.environ and _NAME not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            attributes[_NAME] = f"dirsync-{service}"
        # We end the process ourselves, within the grace period.
        self._provider = TracerProvider(resource=Resource.create(attributes), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("dirsync", __version__)
        self._propagator = TraceContextTextMapPropagator()

    def start(self, name: str, *, parent: str = "", ago: float = 0.0, **attributes: str | int) -> Span:
        """Start a span; a ``parent`` that is none is ignored."""
        context = self._propagator.extract({_HEADER: parent}, Context()) if parent else Context()
        began = time_ns() - int(ago * _NANOSECONDS)
        span = self._tracer.start_span(name, context, attributes=_prefixed(attributes), start_time=began)
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span, Context()))
        return RecordedSpan(span, carrier.get(_HEADER, ""))

    def close(self, seconds: float) -> None:
        """Export what is recorded."""
        within(seconds, self._provider.shutdown)


def _prefixed(attributes: dict[str, str | int]) -> dict[str, str | int]:
    return {f"dirsync.{name}": value for name, value in attributes.items()}
