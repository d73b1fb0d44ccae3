"""Limits the calls of a server: each caller has a quota of concurrent calls, and no call waits without end.

The interceptor stands in front of all methods, ours and those of libraries. A method of one request is served as if it
took many. Only then can the watchdog see the wait for the request; the library's own wait has no end.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

import grpc

from dirsync.errors import DirsyncError, InvalidMessage, LimitExceeded
from dirsync.limits import LIMITS
from dirsync.rpc.interceptors.concurrency import CallQuota, ConcurrencyLimiter
from dirsync.rpc.interceptors.stall_watchdog import CallTimer, StallWatchdog
from dirsync.rpc.status import abort

CallerKey = Callable[[grpc.ServicerContext], str]
"""Tells one caller from another, as far as that is possible before the request is known."""
_HEALTH = "/grpc.health.v1.Health/"
Rejected = Callable[[DirsyncError, str], None]
Behaviour = Callable[[Iterator[Any], grpc.ServicerContext], Any]


class MethodQuota(NamedTuple):
    """A quota of each caller for the calls of some methods together."""

    calls: int
    limit: str
    """The limit's name, which a refusal carries. Methods whose limits have one name share one quota."""


NO_QUOTAS: Final[Mapping[str, MethodQuota]] = {}
"""All methods take from one quota."""


class CallLimitInterceptor(grpc.ServerInterceptor):
    """Counts calls and watches for stalled ones. Put it first among a server's interceptors."""

    def __init__(
        self,
        caller_key: CallerKey,
        calls: int,
        rejected: Rejected,
        may_idle: Collection[str] = (),
        quotas: Mapping[str, MethodQuota] = NO_QUOTAS,
    ) -> None:
        """Guard a server's threads.

        Args:
            caller_key: Names the caller whose quota a call takes from.
            calls: How many calls one caller may have under way.
            rejected: Told of each call that is refused or ended, and of its method.
            may_idle: Paths of the methods whose streams may be silent between requests for as long as they like.
            quotas: Paths of methods whose calls take from another quota of their caller.
        """
        self._caller_key = caller_key
        self._calls = calls
        self._rejected = rejected
        self._may_idle = frozenset(may_idle)
        self._quotas = quotas
        self._watchdog = StallWatchdog(rejected)
        self._limiter = ConcurrencyLimiter()

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
            timer = self._begin(path, context)
            try:
                return behaviour(self._arriving(requests, path, timer, context), context)
            finally:
                timer.response()

        def stream(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            timer = self._begin(path, context)
            try:
                for response in behaviour(self._arriving(requests, path, timer, context), context):
                    timer.response()
                    yield response
                    timer.over()
            finally:
                timer.response()

        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(
                stream, handler.request_deserializer, handler.response_serializer
            )
        return grpc.stream_unary_rpc_method_handler(once, handler.request_deserializer, handler.response_serializer)

    def _begin(self, path: str, context: grpc.ServicerContext) -> CallTimer:
        quota = self._quota(path, context)
        try:
            self._limiter.acquire(quota)
        except LimitExceeded as error:
            self._rejected(error, path)
            abort(context, error)
        timer = self._watchdog.watch(path, context.cancel)

        def ended() -> None:
            self._limiter.release(quota)
            self._watchdog.forget(timer)

        # The call is counted until its last response has gone, which only the library knows.
        if not context.add_callback(ended):
            ended()
        return timer

    def _quota(self, path: str, context: grpc.ServicerContext) -> CallQuota:
        if path.startswith(_HEALTH):
            # Health needs no credentials, so a caller could show different ones with each call.
            return CallQuota("", LIMITS.max_health_calls, "max_health_calls")
        caller, own = self._caller_key(context), self._quotas.get(path)
        if own is not None:
            return CallQuota(f"{own.limit} of {caller}", own.calls, own.limit)
        return CallQuota(caller, self._calls, "max_calls_per_caller")

    def _arriving(
        self, requests: Iterator[Any], path: str, timer: CallTimer, context: grpc.ServicerContext
    ) -> Iterator[Any]:
        timer.request()
        for request in requests:
            timer.over()
            yield request
            if path not in self._may_idle:
                timer.request()
        if timer.ended is not None:
            # The library may report the end of the requests where the watchdog has ended the call.
            abort(context, timer.ended)
        timer.over()


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
