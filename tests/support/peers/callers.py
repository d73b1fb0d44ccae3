"""A caller with any headers, on a connection of its own, and everything that it receives."""

import contextlib
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import grpc
from google.protobuf.descriptor import FileDescriptor

from tests.support.peers.wire import SECONDS

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
Header = tuple[str, str]


class End(NamedTuple):
    """How a call ended, as far as its caller can see it."""

    code: str
    details: str
    trailers: tuple[tuple[str, str | bytes], ...]


class Caller:
    """Calls methods of one process over one connection; use as a context manager."""

    def __init__(self, target: str, *headers: Header) -> None:
        """``headers`` go with each call."""
        # Channels of one process to one target share their connections unless that is switched off.
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        self._channel = grpc.insecure_channel(target, options=[*options, ("grpc.max_metadata_size", 1 << 24)])
        self._headers = headers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, path: str, *requests: bytes, headers: Iterable[Header] = ()) -> End:
        """Call a method with these requests, and read to the end."""
        stub: Any = self._channel.stream_stream(path)
        call = stub(iter(requests), metadata=(*self._headers, *headers), timeout=SECONDS)
        with contextlib.suppress(grpc.RpcError):
            for _ in call:
                pass
        trailers = tuple((key, value) for key, value in call.trailing_metadata() or ())
        return End(call.code().name, call.details() or "", trailers)


def bearer(token: str) -> Header:
    """The header for a token."""
    return "authorization", f"Bearer {token}"


def paths_of(*files: FileDescriptor) -> list[str]:
    """The paths of all methods of all services of these files."""
    services = [service for file in files for service in file.services_by_name.values()]
    return [f"/{service.full_name}/{method.name}" for service in services for method in service.methods]
