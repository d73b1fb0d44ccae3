"""The turnstile of a server: every call is somebody's, of his share of threads, and none waits for ever.

It stands in front of all methods, ours and those of libraries. A method of one request is served as if it took many:
only so does the wait for the request come under our eyes, instead of the library's, which has no end.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import grpc

from dirsync.errors import DirsyncError, InvalidMessage, LimitExceeded
from dirsync.limits import LIMITS
from dirsync.rpc.interceptors.concurrency import Crowd, Share
from dirsync.rpc.interceptors.stall_watchdog import Stalls, Wait
from dirsync.rpc.status import abort

HolderOf = Callable[[grpc.ServicerContext], str]
"""Tells one caller from another, as far as that can be known before the request is."""
_HEALTH = "/grpc.health.v1.Health/"
Rejected = Callable[[DirsyncError, str], None]
Behaviour = Callable[[Iterator[Any], grpc.ServicerContext], Any]


class Turnstile(grpc.ServerInterceptor):
    """Put first among a server's interceptors."""

    def __init__(self, holder_of: HolderOf, calls: int, rejected: Rejected, patient: Collection[str] = ()) -> None:
        """Guard a server's threads.

        Args:
            holder_of: Whose share of the threads a call takes.
            calls: How many calls one holder may have under way.
            rejected: Told of each call that is refused or ended, and of its method.
            patient: Paths of the methods whose streams may be silent between requests for as long as they like.
        """
        self._holder_of = holder_of
        self._calls = calls
        self._rejected = rejected
        self._patient = frozenset(patient)
        self._stalls = Stalls(rejected)
        self._crowd = Crowd()

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Let the handler run as a call that is counted and watched."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        path = handler_call_details.method
        behaviour = _of_many(handler)

        def once(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            wait = self._begin(path, context)
            try:
                return behaviour(self._arriving(requests, path, wait, context), context)
            finally:
                wait.response()

        def stream(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            wait = self._begin(path, context)
            try:
                for response in behaviour(self._arriving(requests, path, wait, context), context):
                    wait.response()
                    yield response
                    wait.over()
            finally:
                wait.response()

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                stream, handler.request_deserializer, handler.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(once, handler.request_deserializer, handler.response_serializer)

    def _begin(self, path: str, context: grpc.ServicerContext) -> Wait:
        share = self._share(path, context)
        try:
            self._crowd.enter(share)
        except LimitExceeded as error:
            self._rejected(error, path)
            abort(context, error)
        wait = self._stalls.watch(path, context.cancel)

        def ended() -> None:
            self._crowd.leave(share)
            self._stalls.forget(wait)

        # The last response is waited for too: only the library knows when it has gone.
        if not context.add_callback(ended):
            ended()
        return wait

    def _share(self, path: str, context: grpc.ServicerContext) -> Share:
        if path.startswith(_HEALTH):
            # Whoever needs no credentials could show others with each call.
            return Share("", LIMITS.max_health_calls, "max_health_calls")
        return Share(self._holder_of(context), self._calls, "max_calls_per_caller")

    def _arriving(self, requests: Iterator[Any], path: str, wait: Wait, context: grpc.ServicerContext) -> Iterator[Any]:
        wait.request()
        for request in requests:
            wait.over()
            yield request
            if path not in self._patient:
                wait.request()
        if wait.ended is not None:
            # The library may say that the requests are at their end, where it was we who ended them.
            abort(context, wait.ended)
        wait.over()


def first(requests: Iterator[Any]) -> Any:
    """The request of a method that takes one.

    Raises:
        InvalidMessage: there is none.
    """
    for request in requests:
        return request
    msg = "the call ended without a request"
    raise InvalidMessage(msg)


def _of_many(handler: "grpc.RpcMethodHandler[Any, Any]") -> Behaviour:
    """The handler's behaviour as one that takes many requests."""
    if handler.request_streaming:
        behaviour = handler.stream_stream if handler.response_streaming else handler.stream_unary
        assert behaviour is not None
        return behaviour
    single = handler.unary_stream if handler.response_streaming else handler.unary_unary
    assert single is not None

    def of_one(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        try:
            request = first(requests)
        except InvalidMessage as error:
            abort(context, error)
        return single(request, context)

    return of_one
