"""The sender and the server's push stream with nothing in between but a line that can be cut at any message."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dirsync.delta.match.matcher import Matcher
from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.fs.root import Root
from dirsync.location import Location
from dirsync.tree.entry import Entry, file_entry
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath
from dirsync.tree.plan import PutFile
from dirsync.wire.push.messages import encode_stream_open
from dirsync.wire.push.results import Committed, decode_committed
from dirsync.wire.session import Opened, OpenRequest, decode_opened, encode_open
from dirsync_client.reconcile.commands import Basis, Transmit
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.delta.encoder import Delta
from dirsync_client.transfer.send_queue import Outgoing, SendQueue
from dirsync_client.transfer.sender import Sender, SenderOptions
from dirsync_client.transfer.uploads.memory import UploadMemory
from dirsync_client.transfer.uploads.resumption import Resumption
from tests.support.inside.direct import NAMESPACE, Direct
from tests.support.inside.matching import signed

if TYPE_CHECKING:
    from dirsync_server.ingest.handler import IngestHandler

BLOCK_SIZE = 4096


class Uploader:
    """Sends one file of a directory, in sessions that are cut."""

    def __init__(self, place: Path, path: bytes = b"file") -> None:
        self.memory = UploadMemory()
        self.hashes = KnownHashes()
        self.sent_bytes = 0
        """Of all messages."""
        self.failures: list[str] = []
        """Reasons of what was not applied."""
        self.unsent: list[Any] = []
        self._unnoticed: list[IngestHandler] = []
        self._root = Root.open(place)
        self._path = RelPath(path)
        self._file = place / os.fsdecode(path)

    def close(self) -> None:
        """Let go of the directory."""
        self._root.close()

    def notice(self) -> None:
        """The server notices each cut."""
        while self._unnoticed:
            self._unnoticed.pop().close()

    def forget(self) -> None:
        """The client starts again."""
        self.memory = UploadMemory()

    def open(self, server: Direct) -> Opened:
        """A new session."""
        request = OpenRequest(NAMESPACE, "client", "1", TreeOptions(), Location("", ()))
        return decode_opened(server.api.open_session(encode_open(request), server.call))

    def session(
        self, server: Direct, cut_after: int | None = None, basis: bytes | None = None, *, ends: bool = True
    ) -> bool:
        """One session, cut after so many messages; returns whether the file was applied.

        Args:
            server: the server.
            cut_after: messages that get across; all of them, if there is no number.
            basis: what the replica has at the path, if a delta is sent.
            ends: the server notices the cut at once, and not only in the next session.
        """
        opened = self.open(server)
        queue = SendQueue(lambda: 0.0)
        resumption = Resumption(self.memory, opened.kept_uploads, offered=opened.keeps_uploads)
        options = SenderOptions(
            opened.strategies, Compressor("none", frozenset()), BLOCK_SIZE, resumption, hashes=self.hashes
        )
        sender = Sender(self._root, queue, AssumedContent(lambda _digest: False), options, self.unsent.append)
        stream = server.api.push_changes(server.call)
        stream.receive(encode_stream_open(opened.session_id))
        queue.add([self._outgoing(server, basis)])
        try:
            for number, message in enumerate(_messages(queue, sender)):
                if number == cut_after:
                    return False
                self.sent_bytes += len(message)
                for response in stream.receive(message):
                    if self._settle(decode_committed(response), queue, sender):
                        return True
        finally:
            sender.close()
            self.notice()
            if ends:
                stream.close()
            else:
                self._unnoticed.append(stream)
        return False

    def _settle(self, committed: Committed, queue: SendQueue, sender: Sender) -> bool:
        sender.in_flight.settle(committed)
        queue.committed()
        self.failures += [failure.reason for failure in committed.failures]
        return bool(committed.files)

    def _outgoing(self, server: Direct, basis: bytes | None) -> Outgoing:
        status = self._file.stat()
        entry = file_entry(mode=status.st_mode, size=status.st_size, mtime_ns=status.st_mtime_ns)
        expected: Entry | None = server.replica.state.entry(self._path)
        transmit = Transmit(PutFile(self._path, expected, entry), None, 0.0)
        if basis is None or expected is None:
            return Outgoing(transmit)
        delta = Delta(Basis(expected.digest, len(basis)), BLOCK_SIZE, Matcher(signed(basis, BLOCK_SIZE)), None)
        return Outgoing(transmit, delta)


def _messages(queue: SendQueue, sender: Sender) -> Iterator[bytes]:
    while (work := queue.poll()) is not None:
        yield from sender.messages(work)
