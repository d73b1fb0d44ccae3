"""A server that answers whatever a test wants it to: raw bytes for each method, in any order and number."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from dirsync.v1 import replica_service_pb2, sync_service_pb2
from dirsync.v1 import sync_service_pb2 as pb

Say = Callable[[Iterator[bytes]], Iterable[bytes]]
"""Returns the answers to a call's requests."""


@contextmanager
def hostile_server(answers: dict[str, Say]) -> Iterator[str]:
    """Serve these answers by method, as ``SyncService/OpenSession``. Returns the address. The rest is UNIMPLEMENTED."""
    server = grpc.server(ThreadPoolExecutor(8))
    for file in (sync_service_pb2, replica_service_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            handlers = {
                method.name: _handler(answers[f"{service.name}/{method.name}"], method.client_streaming)
                for method in service.methods
                if f"{service.name}/{method.name}" in answers
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def _handler(say: Say, streaming: bool) -> Any:
    # One answer or many is the same on the wire.
    if streaming:
        return grpc.stream_stream_rpc_method_handler(lambda requests, _: iter(say(requests)))
    return grpc.unary_stream_rpc_method_handler(lambda request, _: iter(say(iter([request]))))


def once(message: Any) -> Say:
    """The same answer to every call."""
    return lambda _: [message.SerializeToString()]


def opened(**fields: Any) -> pb.OpenSessionResponse:
    """What an honest server answers to OpenSession, but for these fields."""
    honest: dict[str, Any] = {
        "protocol_version": 1,
        "session_id": bytes(16),
        "generation": 1,
        "replica_id": "hostile",
        "root_digest": b"d" * 32,
        "max_message_bytes": 1 << 20,
        "strategies": [pb.STRATEGY_WHOLE, pb.STRATEGY_METADATA],
    }
    return pb.OpenSessionResponse(**{**honest, **fields})
