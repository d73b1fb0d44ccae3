"""A connection to the server, and the session on it."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import grpc

from dirsync import __version__
from dirsync.delta.blocks import BlockRange
from dirsync.errors import DirsyncError, UsageError
from dirsync.limits import LIMITS
from dirsync.location import Location
from dirsync.rpc.service import Caller, Metadata, OnWire
from dirsync.rpc.status import from_rpc_error
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath
from dirsync.wire.content import (
    ContentPiece,
    ContentRequest,
    check_content_pieces,
    decode_content_piece,
    encode_content_request,
)
from dirsync.wire.descriptors import SYNC_SERVICE
from dirsync.wire.session import (
    Opened,
    OpenRequest,
    Page,
    SessionMode,
    check_pages,
    decode_opened,
    decode_page,
    encode_close,
    encode_list,
    encode_open,
)
from dirsync.wire.signature import (
    SignatureRequest,
    check_signature_pages,
    decode_signature_page,
    encode_signature_request,
)
from dirsync.wire.watch import Report, decode_report, encode_watch, join_reports

LIST_SECONDS = 600.0
"""Deadline of a listing: its pages flow as the client reads them."""
SIGNATURE_SECONDS = 600.0
"""Deadline of asking for a signature: the server reads the whole file for it."""
CLOSE_SECONDS = 2.0

MetadataSource = Callable[[], Metadata]
"""Gives the headers of a call: the token as it is now."""


class ClientIdentity:
    """Who this client is at the server."""

    def __init__(self, namespace: str, client_id: str, mode: SessionMode = SessionMode.MIRROR) -> None:
        self.namespace = namespace
        self.client_id = client_id
        self.mode = mode
        self.instance_id = uuid.uuid4().hex


class Watch:
    """Reports of what others change, until it is closed. One thread reads, any thread may close."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def reports(self) -> Iterator[Report]:
        """Wait for the reports, whole ones.

        Raises:
            DirsyncError: the server ended the stream, or is not reached any more.
        """
        try:
            yield from join_reports(decode_report(raw) for raw in self._call)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from None

    def close(self) -> None:
        """End the stream."""
        self._call.cancel()


class Link:
    """One session. Closing it tells the server, if it can be told."""

    def __init__(
        self,
        channel: grpc.Channel,
        metadata: MetadataSource,
        identity: ClientIdentity,
        options: TreeOptions,
        location: Location,
        on_wire: OnWire,
    ) -> None:
        """Open a session.

        Raises:
            DirsyncError: the server cannot be reached, or refuses.
        """
        self.caller = Caller(channel, SYNC_SERVICE, metadata, on_wire)
        request = OpenRequest(
            identity.namespace, identity.client_id, identity.instance_id, options, location, __version__
        )._replace(mode=identity.mode)
        raw = self.caller.unary("OpenSession", encode_open(request), timeout=LIMITS.unary_deadline_seconds)
        self.opened: Opened = decode_opened(raw)
        if self.opened.mode is not identity.mode:
            self.close()
            msg = f"the server at this version knows no MODE={identity.mode.value}: upgrade it, or use MODE=mirror"
            raise UsageError(msg, reason="MODE_NOT_SUPPORTED")

    def list(self, paths: Sequence[RelPath]) -> Iterable[Page]:
        """The listing of directories of the replica."""
        request = encode_list(self.opened.session_id, paths)
        raw = self.caller.stream("ListDirectories", request, timeout=LIST_SECONDS)
        return check_pages((decode_page(page) for page in raw), paths)

    def checksums(self, digest: bytes, block_size: int, ranges: Sequence[BlockRange]) -> Iterator[bytes]:
        """The checksums of ranges of blocks of content that the replica has, packed, one range after the other.

        They come in pages, as the server reads the content.

        Raises:
            DirsyncError: it does not have it, or cannot be reached.
        """
        wanted = tuple(ranges)
        request = encode_signature_request(SignatureRequest(self.opened.session_id, digest, block_size, wanted))
        raw = self.caller.stream("GetSignature", request, timeout=SIGNATURE_SECONDS)
        for page in check_signature_pages((decode_signature_page(page) for page in raw), wanted):
            yield page.checksums

    def content(self, request: ContentRequest) -> Iterator[ContentPiece]:
        """Content that the replica has, in pieces that are checked to be those that were asked for.

        Raises:
            DirsyncError: it does not have it any more, or cannot be reached.
        """
        raw = self.caller.stream("ReadContent", encode_content_request(request), timeout=LIMITS.content_seconds)
        return check_content_pieces((decode_content_piece(piece) for piece in raw), request.ranges)

    def watch(self) -> "Watch":
        """Reports of what others change in the replica."""
        return Watch(self.caller.begin("WatchReplica", encode_watch(self.opened.session_id)))

    def close(self) -> None:
        """Give the replica up."""
        with suppress(DirsyncError):
            self.caller.unary("CloseSession", encode_close(self.opened.session_id), timeout=CLOSE_SECONDS)
