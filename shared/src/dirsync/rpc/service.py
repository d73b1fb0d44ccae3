"""gRPC methods whose handlers take and give raw bytes.

The library would parse before and serialize after the handler; our handlers do both themselves (``dirsync.wire.parse``
says why), so a service is a table of names, and both ends use the same table.

All handlers are registered as taking many requests, also those that take one: a caller is looked at before his request
is waited for, and the wait is one that :mod:`dirsync.rpc.interceptors.call_limit` can end.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import grpc

from dirsync import errors
from dirsync.rpc.interceptors.call_limit import first
from dirsync.rpc.status import abort, from_rpc_error
from dirsync.wire.descriptors import Method, methods

Metadata = tuple[tuple[str, str], ...]
"""Headers of a call."""

Handler = Callable[[Any, grpc.ServicerContext], Any]


Rejected = Callable[[errors.DirsyncError, str], None]
"""Told of each call that ends with an error of ours, and of its method."""

OnWire = Callable[[str, int], None]
"""Told ``sent`` or ``received`` and the bytes of each message; from any thread."""


def _nobody(_direction: str, _size: int) -> None:
    """Nobody counts."""


Admit = Callable[[grpc.ServicerContext], None]
"""Looks at who calls, by the call's metadata, before anything of its request is looked at; raises an error of ours."""


def _anybody(_context: grpc.ServicerContext) -> None:
    """Everybody may call."""


def generic_handler(
    service: str,
    handlers: Mapping[str, Handler],
    rejected: Rejected = lambda _error, _method: None,
    on_wire: OnWire = _nobody,
    admit: Admit = _anybody,
) -> grpc.GenericRpcHandler:
    """The service for ``grpc.Server.add_generic_rpc_handlers``.

    A handler is called with the raw request (or an iterator of raw requests) and gives raw responses; ``admit`` comes
    before it, so that no request of somebody who may not call is decoded. Errors of ours that either raises end the
    call with their status; anything else is a bug of ours and reaches the log through the library.
    """
    table = {
        m.name: _method_handler(m, handlers[m.name], rejected, on_wire, admit)
        for m in methods(service)
        if m.name in handlers
    }
    return grpc.method_handlers_generic_handler(service, table)


def _counted(messages: Iterable[bytes], direction: str, on_wire: OnWire) -> Iterator[bytes]:
    for message in messages:
        on_wire(direction, len(message))
        yield message


def _method_handler(
    method: Method, handler: Handler, rejected: Rejected, on_wire: OnWire, admit: Admit
) -> "grpc.RpcMethodHandler[Any, Any]":
    def received(requests: Iterator[bytes]) -> Any:
        counted = _counted(requests, "received", on_wire)
        return counted if method.client_streaming else first(counted)

    def unary(requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        try:
            admit(context)
            response: bytes = handler(received(requests), context)
        except errors.DirsyncError as error:
            rejected(error, method.path)
            abort(context, error)
        on_wire("sent", len(response))
        return response

    def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        try:
            admit(context)
            yield from _counted(handler(received(requests), context), "sent", on_wire)
        except errors.DirsyncError as error:
            rejected(error, method.path)
            abort(context, error)

    if method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(stream)
    return grpc.stream_unary_rpc_method_handler(unary)


class Caller:
    """Calls the methods of one service over a channel with raw bytes; errors come as ours.

    ``metadata`` is asked before each call, so that a rotated token is used at once. Whoever opens a stream of many
    requests counts its messages himself; all others are told to ``on_wire``.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        service: str,
        metadata: Callable[[], Metadata] = tuple,
        on_wire: OnWire = _nobody,
    ) -> None:
        self._metadata = metadata
        self._on_wire = on_wire
        self._calls: dict[str, Any] = {}
        for m in methods(service):
            kind = f"{'stream' if m.client_streaming else 'unary'}_{'stream' if m.server_streaming else 'unary'}"
            self._calls[m.name] = getattr(channel, kind)(m.path)

    def unary(self, name: str, request: bytes, *, timeout: float) -> bytes:
        """Call a method of one request and one response."""
        try:
            response: bytes = self._calls[name](request, timeout=timeout, metadata=self._metadata())
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None
        self._on_wire("sent", len(request))
        self._on_wire("received", len(response))
        return response

    def stream(self, name: str, request: bytes, *, timeout: float | None = None) -> Iterator[bytes]:
        """Call a method of one request and many responses."""
        call = self._calls[name](request, timeout=timeout, metadata=self._metadata())
        try:
            self._on_wire("sent", len(request))
            yield from _counted(call, "received", self._on_wire)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None
        finally:
            call.cancel()

    def open(self, name: str, requests: Iterator[bytes]) -> Any:
        """Start a method of many requests and many responses; gives the call itself."""
        return self._calls[name](requests, metadata=self._metadata())
