"""``SyncService``: the write API over gRPC. Bytes come in and go out; nothing is decided here."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import grpc

from dirsync_server.services.write_api import WriteApi
from dirsync_server.tenancy.authority import Authority


class SyncServicer:
    """Handlers of ``SyncService``; each takes raw bytes."""

    def __init__(self, authority: Authority, api: WriteApi) -> None:
        self._authority = authority
        self._api = api

    def open_session(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """Make the caller a writer of a replica."""
        return self._api.open_session(raw, self._authority.call(context))

    def list_directories(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """List directories, page by page."""
        return self._api.list_directories(raw, self._authority.call(context))

    def get_signature(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Checksums of blocks of content that the replica has, page by page."""
        return self._api.get_signature(raw, self._authority.call(context))

    def push_changes(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Apply operations as they come, and answer each commit."""
        with closing(self._api.push_changes(self._authority.call(context))) as handler:
            # A stream without a message is answered like one whose first message is empty.
            yield from handler.receive(next(requests, b""))
            for message in requests:
                yield from handler.receive(message)

    def watch_replica(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Report what others change, as long as the session lives."""
        with closing(self._api.watch_replica(raw, self._authority.call(context))) as watch:
            while watch.wait():
                yield from watch.take()

    def read_content(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Content that the replica has, piece by piece."""
        return self._api.read_content(raw, self._authority.call(context))

    def close_session(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """End a session."""
        return self._api.close_session(raw, self._authority.call(context))

    def handlers(self) -> dict[str, Any]:
        """The handlers by method name."""
        return {
            "OpenSession": self.open_session,
            "ListDirectories": self.list_directories,
            "GetSignature": self.get_signature,
            "PushChanges": self.push_changes,
            "WatchReplica": self.watch_replica,
            "ReadContent": self.read_content,
            "CloseSession": self.close_session,
        }
