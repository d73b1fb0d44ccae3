"""gRPC methods whose handlers take and return raw bytes.

gRPC would parse before and serialise after the handler. Our handlers do both themselves (``dirsync.wire.parse`` says
why), so a service is a table of names, and both ends use the same table.

All handlers are registered as taking many requests, also those that take one. So the caller is checked before the
server waits for the request, and :mod:`dirsync.rpc.interceptors.call_limit` can end that wait.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import grpc

from dirsync import errors
from dirsync.rpc.interceptors.call_limit import first
from dirsync.rpc.status import abort, from_rpc_error
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.wire.descriptors import Method, methods

Metadata = tuple[tuple[str, str], ...]
"""Headers of a call."""

Handler = Callable[[Any, grpc.ServicerContext], Any]


Rejected = Callable[[errors.DirsyncError, str], None]
"""Called with the error and the method of each call that ends with an error of ours."""

OnWire = Callable[[str, int], None]
"""Called with ``sent`` or ``received`` and the size of each message, from any thread."""


def _count_nothing(_direction: str, _size: int) -> None:
    """Count nothing."""


Admit = Callable[[grpc.ServicerContext], None]
"""Checks the caller by the call's metadata, before the request is parsed; raises an error of ours."""


def _anybody(_context: grpc.ServicerContext) -> None:
    """Let every caller call."""


def generic_handler(
    service: str,
    handlers: Mapping[str, Handler],
    rejected: Rejected = lambda _error, _method: None,
    on_wire: OnWire = _count_nothing,
    admit: Admit = _anybody,
) -> grpc.GenericRpcHandler:
    """The service for ``grpc.Server.add_generic_rpc_handlers``.

    A handler is called with the raw request (or an iterator of raw requests) and returns raw responses. ``admit`` is
    called first, so that the request of a caller that may not call is never decoded. Errors of ours that either raises
    end the call with their status; any other error is a bug of ours, which only the log tells of.
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
        except Exception as error:
            _fail(method, error, context)
            raise
        on_wire("sent", len(response))
        return response

    def stream(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        try:
            admit(context)
            yield from _counted(handler(received(requests), context), "sent", on_wire)
        except errors.DirsyncError as error:
            rejected(error, method.path)
            abort(context, error)
        except Exception as error:
            _fail(method, error, context)
            raise

    if method.server_streaming:
        return grpc.stream_stream_rpc_method_handler(stream)
    return grpc.stream_unary_rpc_method_handler(unary)


def _fail(method: Method, error: Exception, context: grpc.ServicerContext) -> None:
    """End the call for a bug of ours. The peer learns nothing of it: the error may name files of this machine.

    What gRPC itself raises, because the call has ended or is ended with a status, is no bug; this returns then.
    """
    ended = context.code() is not None  # type: ignore[attr-defined]  # the stubs do not have it
    if isinstance(error, grpc.RpcError) or ended or not context.is_active():
        return
    get_logger().error(Event.LIBRARY_MESSAGE, logger=__name__, message=f"{method.path} failed", exc_info=error)
    abort(context, errors.DirsyncError("an internal error; the log of the service that was called tells more"))


class Caller:
    """Calls the methods of one service over a channel with raw bytes, and raises errors of ours.

    ``metadata`` is called before each call, so that a rotated token is used at once. ``on_wire`` is called for all
    messages except those of :meth:`open` and the responses of :meth:`begin`, whose callers count them.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        service: str,
        metadata: Callable[[], Metadata] = tuple,
        on_wire: OnWire = _count_nothing,
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

    def begin(self, name: str, request: bytes) -> Any:
        """Start a method of one request and many responses that goes on until it is cancelled; returns the call."""
        self._on_wire("sent", len(request))
        return self._calls[name](request, metadata=self._metadata())

    def open(self, name: str, requests: Iterator[bytes], headers: Metadata = ()) -> Any:
        """Start a method of many requests and many responses, with ``headers`` beside the metadata of all calls.

        Returns:
            The call itself.
        """
        return self._calls[name](requests, metadata=(*self._metadata(), *headers))
