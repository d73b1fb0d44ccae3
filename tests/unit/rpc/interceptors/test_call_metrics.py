"""What is counted of gRPC calls."""

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from dirsync.rpc.interceptors.call_metrics import GrpcMetricsInterceptor, grpc_metrics
from dirsync.runtime.metrics.exposition import render
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.wire.descriptors import Method
from tests.support.running.metrics import samples

METHODS = [
    Method("t.Test", "Unary", client_streaming=False, server_streaming=False),
    Method("t.Test", "Down", client_streaming=False, server_streaming=True),
    Method("t.Test", "Up", client_streaming=True, server_streaming=False),
    Method("t.Test", "Both", client_streaming=True, server_streaming=True),
]
TYPES = {"Unary": "unary", "Down": "server_stream", "Up": "client_stream", "Both": "bidi_stream"}


def act(request: bytes, context: grpc.ServicerContext) -> bytes:
    """Do what the request says."""
    if request == b"abort":
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no")
    if request == b"raise":
        raise RuntimeError
    if request == b"code":
        context.set_code(grpc.StatusCode.NOT_FOUND)
    if request == b"wait":
        gone = threading.Event()
        context.add_callback(gone.set)
        gone.wait(10)
    return request


def act_each(requests: Iterable[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    """Do what each request says."""
    for request in requests:
        yield act(request, context)


Served = tuple[PrometheusMetrics, grpc.Channel]


@pytest.fixture(name="metrics")
def a_server() -> Iterator[Served]:
    """A server with all four kinds of methods, and a channel to it."""
    metrics = PrometheusMetrics(grpc_metrics(METHODS))
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[GrpcMetricsInterceptor(metrics, METHODS)])
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Unary": grpc.unary_unary_rpc_method_handler(act),
        "Down": grpc.unary_stream_rpc_method_handler(lambda request, context: act_each([request], context)),
        "Up": grpc.stream_unary_rpc_method_handler(lambda requests, context: act(next(requests), context)),
        "Both": grpc.stream_stream_rpc_method_handler(act_each),
        "Extra": grpc.unary_unary_rpc_method_handler(act),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("t.Test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield metrics, channel
    server.stop(None).wait()


def call(channel: grpc.Channel, method: Method, request: bytes) -> None:
    """Call to the end, whatever it is."""
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    stub = getattr(channel, kind)(f"/{method.service}/{method.name}")
    outgoing = iter([request]) if method.client_streaming else request
    try:
        if method.server_streaming:
            list(stub(outgoing, timeout=0.2 if request == b"wait" else 10))
        else:
            stub(outgoing, timeout=0.2 if request == b"wait" else 10)
    except grpc.RpcError:
        return


def counted(metrics: PrometheusMetrics, method: Method, code: str) -> float:
    """How many calls ended so; the server says it a moment after the caller knows."""
    labels = {"grpc_type": TYPES[method.name], "grpc_service": method.service, "grpc_method": method.name}
    ends = time.monotonic() + 5
    while not samples(metrics).value("grpc_server_handling_seconds_count", **labels) and time.monotonic() < ends:
        time.sleep(0.01)
    return samples(metrics).value("grpc_server_handled_total", grpc_code=code, **labels)


@pytest.mark.parametrize("method", METHODS, ids=TYPES)
@pytest.mark.parametrize(
    "request_, code",
    [
        (b"ok", "OK"),
        (b"abort", "FailedPrecondition"),
        (b"raise", "Unknown"),
        (b"code", "NotFound"),
        (b"wait", "Cancelled"),
    ],
)
def test_each_end_is_counted(metrics: Served, method: Method, request_: bytes, code: str) -> None:
    """A call of any kind is counted once, with the code that it ended with."""
    call(metrics[1], method, request_)

    assert 1 == counted(metrics[0], method, code)


def test_unknown_methods_are_counted_nowhere(metrics: Served) -> None:
    """A call to what is not announced, served or not, makes no series and no error."""
    for name in ("Extra", "Nothing"):
        call(metrics[1], Method("t.Test", name, client_streaming=False, server_streaming=False), b"ok")
    call(metrics[1], METHODS[0], b"ok")

    assert 1 == counted(metrics[0], METHODS[0], "OK")
    assert b"Extra" not in render(metrics[0].registry)


def test_label_sets_exist_from_the_start() -> None:
    """Each method has a series for each code before it is called."""
    text = render(PrometheusMetrics(grpc_metrics(METHODS)).registry).decode()

    labels = 'grpc_code="Unavailable",grpc_method="Both",grpc_service="t.Test",grpc_type="bidi_stream"'
    assert f"grpc_server_handled_total{{{labels}}} 0.0" in text
    assert 4 * len(grpc.StatusCode) == text.count("grpc_server_handled_total{")
