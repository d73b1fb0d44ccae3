"""A commit travels with the last of what it commits, if the server takes that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import file_entry
from dirsync.tree.path import RelPath
from dirsync.tree.plan import PutFile
from dirsync.tree.strategy import Strategy
from dirsync.wire.push.messages import Commit, FileEnd, PushMessage, WithCommit, decode_push
from dirsync_client.reconcile.commands import Transmit
from dirsync_client.transfer.assumed_content import AssumedContent
from dirsync_client.transfer.compression import Compressor
from dirsync_client.transfer.send_queue import Outgoing, SendQueue
from dirsync_client.transfer.sender import Sender, SenderOptions
from dirsync_client.transfer.uploads.memory import UploadMemory
from dirsync_client.transfer.uploads.resumption import Resumption

LARGE = LIMITS.inline_file_bytes + 1


class Line:
    """A sender, and what it puts on the line."""

    def __init__(self, place: Path, *, commits_after: bool) -> None:
        self.queue = SendQueue(lambda: 0.0)
        self._place = place
        self._root = Root.open(place)
        compressor, resumption = Compressor("none", frozenset()), Resumption(UploadMemory())
        options = SenderOptions(frozenset(Strategy), compressor, 4096, resumption, commits_after=commits_after)
        self._sender = Sender(self._root, self.queue, AssumedContent(lambda _: False), options, lambda _: None)

    def put(self, *names: str, size: int = 1) -> None:
        """Have these new files sent."""
        outgoing = []
        for name in names:
            (self._place / name).write_bytes(name.encode()[:1] * size)
            entry = file_entry(mode=0o644, size=size, mtime_ns=0)
            outgoing.append(Outgoing(Transmit(PutFile(RelPath(name.encode()), None, entry), None, 0.0)))
        self.queue.add(outgoing)

    def sent(self) -> Iterator[PushMessage]:
        """The messages for what is in the queue."""
        while (work := self.queue.poll()) is not None:
            for message in self._sender.messages(work):
                if message:
                    yield decode_push(message)

    def close(self) -> None:
        """Let go of the directory."""
        self._sender.close()
        self._root.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    """To a server that takes a commit with what it commits."""
    line = Line(tmp_path, commits_after=True)
    yield line
    line.close()


def kinds(line: Line) -> list[str]:
    """What the messages are."""
    return [type(message).__name__ for message in line.sent()]


def test_small(line: Line) -> None:
    """A small change is one message, and so is the next one after the answer."""
    line.put("a")
    assert ["WithCommit"] == kinds(line)
    line.put("b")
    assert ["Batch"] == kinds(line)  # the first commit is not answered yet
    line.queue.committed()
    assert ["Commit"] == kinds(line)
    line.queue.committed()
    line.put("c")
    assert ["WithCommit"] == kinds(line)


def test_large(line: Line) -> None:
    """The end of a large file carries the commit."""
    line.put("a", size=LARGE)
    *_, last = line.sent()
    assert isinstance(last, WithCommit)
    assert isinstance(last.message, FileEnd)
    assert Commit() == last.commit


def test_more_follows(line: Line) -> None:
    """Only the last of several batches carries it: all that waits is one commit."""
    line.put(*(f"f{number}" for number in range(40)), size=LIMITS.inline_file_bytes)
    *before, last = kinds(line)
    assert {"Batch"} == set(before)
    assert "WithCommit" == last


def test_rescan(line: Line) -> None:
    """What else is asked for goes with it."""
    line.queue.rescan()
    line.queue.drop_uploads()
    line.put("a")
    (message,) = line.sent()
    assert isinstance(message, WithCommit)
    assert Commit(rescan=True, drop_uploads=True) == message.commit


def test_older_server(tmp_path: Path) -> None:
    """A server that does not say that it takes it gets a commit of its own."""
    line = Line(tmp_path, commits_after=False)
    line.put("a")
    assert ["Batch", "Commit"] == kinds(line)
    line.close()
