"""``ReplicaService``: the read API over gRPC. It waits for no commit and no scan, however long they take."""

from collections.abc import Iterator
from typing import Any

import grpc

from dirsync import __version__
from dirsync.clock import monotonic
from dirsync.endpoint.verify import verify
from dirsync.errors import NotFound
from dirsync.tree.path import escape
from dirsync.wire.replica import (
    ReplicaStatus,
    decode_list_entries,
    decode_stat_entry,
    decode_status_request,
    decode_verify,
    encode_entries,
    encode_stat_entry,
    encode_status,
    encode_verified,
)
from dirsync.wire.session import SessionMode
from dirsync_server.sessions import Sessions
from dirsync_server.tenancy.authority import Authority


class ReplicaServicer:
    """Handlers of ``ReplicaService``; each takes raw bytes."""

    def __init__(self, authority: Authority, sessions: Sessions) -> None:
        self._authority = authority
        self._sessions = sessions

    def get_status(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """Whether a replica can be used, and what it holds."""
        replica = self._authority.authorize(decode_status_request(raw), context)
        writers = self._sessions.writers(replica.namespace)
        last_commit = replica.last_commit
        ready, totals = replica.ready, replica.totals()
        status = ReplicaStatus(
            ready=ready,
            root_digest=totals.root_digest if ready else b"",
            entries=totals.entries,
            bytes=totals.bytes,
            options=replica.options,
            replica_id=replica.id,
            writer=writers[0].request.client_id if writers else "",
            generation=replica.generation,
            server_version=__version__,
            seconds_since_commit=None if last_commit is None else monotonic() - last_commit,
            not_ready_reason=replica.trouble(),
            writers=tuple(writer.request.client_id for writer in writers),
            mode=writers[0].request.mode if writers else SessionMode.MIRROR,
        )
        return encode_status(status)

    def list_entries(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """The entries of a directory, or of everything below it."""
        request = decode_list_entries(raw)
        replica = self._authority.authorize(request.namespace, context)
        yield from encode_entries(replica.walk(request.path, recursive=request.recursive))

    def stat_entry(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """One entry."""
        namespace, path = decode_stat_entry(raw)
        replica = self._authority.authorize(namespace, context)
        replica.require_ready()
        entry = replica.state.get(path)
        if entry is None:
            msg = f"the replica has nothing at {escape(path)!r}"
            raise NotFound(msg, reason="PATH_NOT_FOUND")
        return encode_stat_entry(path, entry)

    def verify_content(self, raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """What is really there."""
        request = decode_verify(raw)
        replica = self._authority.authorize(request.namespace, context)
        replica.require_ready()
        tree, summary = verify(replica, request.options, deep=request.deep, cancelled=lambda: not context.is_active())
        equal = summary.root_digest == request.root_digest
        yield from encode_verified(() if equal else tree.entries(), summary)

    def handlers(self) -> dict[str, Any]:
        """The handlers by method name."""
        return {
            "GetStatus": self.get_status,
            "ListEntries": self.list_entries,
            "StatEntry": self.stat_entry,
            "VerifyContent": self.verify_content,
        }
