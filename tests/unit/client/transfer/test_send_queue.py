"""The send queue: what goes when, and when what was sent is committed."""

import pytest

from dirsync.limits import LIMITS
from dirsync.tree.entry import file_entry
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Operation, PutFile
from dirsync_client.reconcile.commands import Transmit
from dirsync_client.transfer.send_queue import Outgoing, SendAction, SendQueue

SIZE = LIMITS.batch_bytes
ENTRY = file_entry(mode=0o644, size=1000, mtime_ns=0, digest=bytes(32))


class Queue:
    """A queue whose time a test sets."""

    def __init__(self) -> None:
        self.now = 10.0
        self.queue = SendQueue(lambda: self.now)

    def add(self, operation: Operation, count: int = 1) -> None:
        """Have it sent so many times."""
        self.queue.add([Outgoing(Transmit(operation, None, 0.0)) for _ in range(count)])

    def next(self) -> SendAction | None:
        """Do the next thing."""
        work = self.queue.poll()
        if work is None:
            return None
        if work.action is SendAction.BATCH:
            self.queue.sent(len(work.batch), SIZE)
        return work.action


def put(name: str) -> PutFile:
    """A small file."""
    return PutFile(RelPath(name.encode()), None, ENTRY)


@pytest.fixture
def waiting() -> Queue:
    """A queue of which one batch was sent, and several wait."""
    queue = Queue()
    queue.add(put("a"), 900)
    assert SendAction.BATCH is queue.next()
    return queue


def test_a_slow_line(waiting: Queue) -> None:
    """What was sent a while ago is committed, although more is waiting."""
    assert SendAction.BATCH is waiting.next()
    waiting.now += LIMITS.commit_seconds
    assert SendAction.COMMIT is waiting.next()
    assert SendAction.BATCH is waiting.next()
    waiting.now += LIMITS.commit_seconds
    assert SendAction.BATCH is waiting.next()  # the first commit is not answered
    waiting.queue.committed()
    assert SendAction.COMMIT is waiting.next()


def test_what_is_made_from_others(waiting: Queue) -> None:
    """Nothing that may be replaced is committed before what is made from it was sent."""
    waiting.add(CopyContent(RelPath(b"b"), None, ENTRY))
    waiting.now += LIMITS.commit_seconds
    batches = iter(waiting.next, SendAction.COMMIT)

    assert [SendAction.BATCH] * 3 == list(batches)


def test_all_at_once(waiting: Queue) -> None:
    """Without a pause all goes before the commit."""
    assert [SendAction.BATCH] * 3 == list(iter(waiting.next, SendAction.COMMIT))
    assert waiting.next() is None
