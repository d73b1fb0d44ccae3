"""A collector of OpenTelemetry on loopback, which keeps the spans that it is sent."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as pb


class Received(NamedTuple):
    """One span."""

    service: str
    name: str
    trace: bytes
    id: bytes
    parent: bytes
    started: int
    """Nanoseconds since the epoch."""
    ended: int
    attributes: dict[str, str | int]


class Collector:
    """Listens from its making on."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self._server = grpc.server(ThreadPoolExecutor(4))
        export = grpc.unary_unary_rpc_method_handler(
            self._export, pb.ExportTraceServiceRequest.FromString, pb.ExportTraceServiceResponse.SerializeToString
        )
        name = "opentelemetry.proto.collector.trace.v1.TraceService"
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": export}),))
        self._port = self._server.add_insecure_port("127.0.0.1:0")

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    def named(self, name: str) -> list[Received]:
        """The spans of this name."""
        return [span for span in self.spans if span.name == name]

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None)

    def _export(
        self, request: pb.ExportTraceServiceRequest, _context: grpc.ServicerContext
    ) -> pb.ExportTraceServiceResponse:
        for resource in request.resource_spans:
            names = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes: dict[str, str | int] = {
                        pair.key: pair.value.string_value or pair.value.int_value for pair in span.attributes
                    }
                    self.spans.append(
                        Received(
                            names["service.name"],
                            span.name,
                            span.trace_id,
                            span.span_id,
                            span.parent_span_id,
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                            attributes,
                        )
                    )
        return pb.ExportTraceServiceResponse()
