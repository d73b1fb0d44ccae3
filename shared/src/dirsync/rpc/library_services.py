"""Services that libraries bring along, health and reflection, made to blame the sender for bytes that do not parse.

The libraries' own deserialisers answer INTERNAL and put a traceback into the log, so that any caller could fill it.
Here their handlers get raw bytes, and the deserialiser runs where a failure can be answered.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any

import grpc

Guard = Callable[[grpc.ServicerContext], None]
"""Looks at who calls before anything of the request is; ends the call of whoever may not."""


def anybody(_context: grpc.ServicerContext) -> None:
    """Everybody may call."""


class BlamingServer:
    """Stands in for a server where a library adds a service to it."""

    def __init__(self, server: grpc.Server, guard: Guard = anybody) -> None:
        self._server = server
        self._guard = guard

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """The libraries add each service in two ways; the other one is taken."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """Add the service with handlers of raw bytes."""
        blaming = {name: _blaming(handler, self._guard) for name, handler in handlers.items()}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, blaming),))


def _blaming(handler: Any, guard: Guard) -> Any:
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
