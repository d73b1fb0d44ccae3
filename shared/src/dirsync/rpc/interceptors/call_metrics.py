"""Counts the calls of a gRPC server, with the names and labels that the ecosystem uses.

The label sets are the methods that a server announces in its descriptors, times the codes of gRPC. A call to any other
method is not counted, so no caller can make a series.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, cast

import grpc

from dirsync.runtime.metrics.catalogue import FAST_SECONDS, Metric, MetricType
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.wire.descriptors import Method

_HANDLED = "grpc_server_handled_total"
_SECONDS = "grpc_server_handling_seconds"
_METHOD_LABELS = ("grpc_type", "grpc_service", "grpc_method")

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Behaviour = Callable[[Any, grpc.ServicerContext], Any]


def grpc_metrics(served: Iterable[Method]) -> tuple[Metric, Metric]:
    """The two metrics of a server with these methods, for :class:`~dirsync.runtime.metrics.metrics.Metrics`."""
    methods = tuple((_type(one.client_streaming, one.server_streaming), one.service, one.name) for one in served)
    handled = tuple((*method, _code_name(code)) for method in methods for code in grpc.StatusCode)
    return (
        Metric(_HANDLED, MetricType.COUNTER, "Calls completed, by code.", (*_METHOD_LABELS, "grpc_code"), handled),
        Metric(_SECONDS, MetricType.HISTOGRAM, "Duration of calls.", _METHOD_LABELS, methods, FAST_SECONDS),
    )


class GrpcMetricsInterceptor(grpc.ServerInterceptor):
    """Counts each call when it has ended, in whatever way."""

    def __init__(self, metrics: Metrics, served: Iterable[Method]) -> None:
        """``served`` says what kind each method is: its handler may be registered as another."""
        self._metrics = metrics
        self._types = {(one.service, one.name): _type(one.client_streaming, one.server_streaming) for one in served}

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], Handler | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        """Let the handler run inside a count."""
        handler = continuation(handler_call_details)
        service, _, method = handler_call_details.method.lstrip("/").partition("/")
        kind = self._types.get((service, method))
        if handler is None or kind is None:
            return handler
        labels = {"grpc_type": kind, "grpc_service": service, "grpc_method": method}
        seconds = self._metrics.histogram(_SECONDS, **labels)

        def ended(code: str, started: float) -> None:
            seconds.observe(time.monotonic() - started)
            self._metrics.inc(_HANDLED, grpc_code=code, **labels)

        return _counted(handler, ended)


class _Call:
    """One call from its start to its end according to gRPC."""

    def __init__(self, context: grpc.ServicerContext, ended: Callable[[str, float], None]) -> None:
        self._context = context
        self._ended = ended
        self._started = time.monotonic()
        self._returned = False
        self._raised = False
        if not context.add_callback(self._over):
            self._over()

    def run(self, behaviour: Behaviour, request: Any) -> Any:
        """A behaviour that answers once."""
        try:
            response = behaviour(request, self._context)
        except BaseException:
            self._raised = True
            raise
        self._returned = True
        return response

    def stream(self, behaviour: Behaviour, request: Any) -> Iterator[Any]:
        """A behaviour that answers with a stream."""
        try:
            yield from behaviour(request, self._context)
        except GeneratorExit:
            raise
        except BaseException:
            self._raised = True
            raise
        self._returned = True

    def _over(self) -> None:
        code = cast("Any", self._context).code()  # not in the stubs
        if isinstance(code, grpc.StatusCode):
            name = _code_name(code)
        elif self._raised:
            name = _code_name(grpc.StatusCode.UNKNOWN)
        else:
            name = _code_name(grpc.StatusCode.OK if self._returned else grpc.StatusCode.CANCELLED)
        self._ended(name, self._started)


def _counted(handler: Handler, ended: Callable[[str, float], None]) -> Handler:
    behaviour = _behaviour(handler)

    def once(request: Any, context: grpc.ServicerContext) -> Any:
        return _Call(context, ended).run(behaviour, request)

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        return _Call(context, ended).stream(behaviour, request)

    make, wrapped = {
        (False, False): (grpc.unary_unary_rpc_method_handler, once),
        (False, True): (grpc.unary_stream_rpc_method_handler, stream),
        (True, False): (grpc.stream_unary_rpc_method_handler, once),
        (True, True): (grpc.stream_stream_rpc_method_handler, stream),
    }[handler.request_streaming, handler.response_streaming]
    return make(wrapped, handler.request_deserializer, handler.response_serializer)


def _behaviour(handler: Handler) -> Behaviour:
    behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    if behaviour is None:
        msg = "a method handler without a behaviour"
        raise TypeError(msg)
    return behaviour


def _type(client_streaming: bool, server_streaming: bool) -> str:  # noqa: FBT001 - two flags that gRPC has
    if client_streaming:
        return "bidi_stream" if server_streaming else "client_stream"
    return "server_stream" if server_streaming else "unary"


def _code_name(code: grpc.StatusCode) -> str:
    """The name as the other languages write it: ``OK``, ``NotFound``."""
    return "OK" if code is grpc.StatusCode.OK else code.name.replace("_", " ").title().replace(" ", "")
