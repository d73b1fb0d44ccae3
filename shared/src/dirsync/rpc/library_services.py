"""Serves health and reflection, which libraries bring along, with handlers of raw requests.

For bytes that do not parse the libraries answer INTERNAL and write a traceback into the log, which any caller could
fill so. Here the handlers get raw bytes, and a request that does not parse ends the call with INVALID_ARGUMENT.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

import grpc

Guard = Callable[[grpc.ServicerContext], None]
"""Checks the caller before the request is parsed, and ends the call of one that may not call."""


def anybody(_context: grpc.ServicerContext) -> None:
    """Let every caller call."""


class RawRequestServer:
    """Stands in for the server when a library adds a service to it, and adds the service with raw handlers."""

    def __init__(self, server: grpc.Server, guard: Guard = anybody) -> None:
        self._server = server
        self._guard = guard

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Ignore this way: the libraries add each service in two ways, and one is enough."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add the service with handlers of raw bytes."""
        raw = {name: _raw(handler, self._guard) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, raw),))


def _raw(handler: Any, guard: Guard) -> Any:
    def parse(raw: bytes, context: grpc.ServicerContext) -> Any:
        try:
            return handler.request_deserializer(raw)
        except Exception:  # noqa: BLE001  # each library's deserialiser has its own
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the bytes do not parse as the request of this method")

    def one(behaviour: Callable[..., Any]) -> Callable[..., Any]:
        # wraps: the health service marks its handler as one that keeps no thread.
        @wraps(behaviour)
        def handle(raw: bytes, context: grpc.ServicerContext, *callback: Any) -> Any:
            guard(context)
            return behaviour(parse(raw, context), context, *callback)

        return handle

    def many(behaviour: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(behaviour)
        def handle(raw: Iterator[bytes], context: grpc.ServicerContext) -> Any:
            guard(context)
            return behaviour((parse(message, context) for message in raw), context)

        return handle

    adapt = many if handler.request_streaming else one
    ways = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
    adapted = {way: adapt(behaviour) for way in ways if (behaviour := getattr(handler, way)) is not None}
    return handler._replace(request_deserializer=None, **adapted)
