"""A relay of gRPC calls that keeps what passes: which methods are called, and which fields their messages have."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from dirsync.v1 import replica_service_pb2, sync_service_pb2

WORKERS = 16
"""Calls that may be open at the same time, those that are streams for as long as a client lives among them."""


class Recording:
    """What has passed."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        """By the name of the method."""
        self.fields: Counter[str] = Counter()
        """Fields that were set, by their full names; an unknown one is called MESSAGE.?NUMBER."""

    def message(self, kind: Descriptor, raw: bytes) -> bytes:
        """Keep which fields a message has. Returns it."""
        self._walk(message_factory.GetMessageClass(kind).FromString(raw))
        return raw

    def _walk(self, message: Message) -> None:
        unknown = UnknownFieldSet(message)
        for number in range(len(unknown)):
            self.fields[f"{message.DESCRIPTOR.full_name}.?{unknown[number].field_number}"] += 1
        for field, value in message.ListFields():
            self.fields[field.full_name] += 1
            if field.message_type is not None:
                for part in [value] if isinstance(value, Message) else value:
                    self._walk(part)


@contextmanager
def recording(target: str) -> Iterator[tuple[str, Recording]]:
    """Relay the calls of clients to the server at ``target``. Returns the address of the relay, and what passes."""
    seen = Recording()
    with grpc.insecure_channel(target) as channel:
        server = grpc.server(ThreadPoolExecutor(WORKERS))
        for file in (sync_service_pb2, replica_service_pb2):
            for service in file.DESCRIPTOR.services_by_name.values():
                handlers = {method.name: _handler(channel, method, seen) for method in service.methods}
                server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}", seen
        finally:
            server.stop(0).wait()


def _handler(channel: grpc.Channel, method: MethodDescriptor, seen: Recording) -> Any:
    # One message or many is the same on the wire.
    stub: Any = channel.stream_stream(f"/{method.containing_service.full_name}/{method.name}")

    def asked(requests: Iterable[bytes]) -> Iterator[bytes]:
        with suppress(grpc.RpcError):  # the caller is gone, and its call is cancelled
            for raw in requests:
                yield seen.message(method.input_type, raw)

    def relay(requests: Iterable[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        seen.calls[method.name] += 1
        call = stub(
            asked(requests),
            metadata=[(key, value) for key, value in context.invocation_metadata() if key.startswith("dirsync-")],
        )
        context.add_callback(call.cancel)
        try:
            for raw in call:
                yield seen.message(method.output_type, raw)
        except grpc.RpcError:
            context.set_trailing_metadata(call.trailing_metadata())
            context.abort(call.code(), call.details())

    return grpc.stream_stream_rpc_method_handler(relay)
