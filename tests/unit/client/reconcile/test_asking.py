"""What the server refused is not sent again before it says that it would take it."""

import pytest

from dirsync.limits import KIB
from dirsync.tree.outcome import Outcome
from dirsync.tree.plan import CopyContent, Operation, PutFile, TryFile
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import RetryRequested
from tests.unit.client.reconcile.harness import Harness
from tests.unit.client.reconcile.model import path, record

A = path("a")
REFUSALS = [Outcome.STORAGE, Outcome.REFUSED, Outcome.LIMIT]
LARGE = b"large" * 100 * KIB


def retry(harness: Harness) -> list[type[Operation]]:
    """What goes to the server when the path is due again."""
    harness.tell(RetryRequested())
    harness.look()
    return [type(transmit.operation) for transmit in harness.outgoing]


@pytest.fixture(params=[b"small", LARGE], ids=["small", "large"])
def content(request: pytest.FixtureRequest) -> bytes:
    """The content of the file."""
    found: bytes = request.param
    return found


@pytest.fixture(params=REFUSALS)
def refused(request: pytest.FixtureRequest, content: bytes) -> Harness:
    """The server has refused a file."""
    harness = Harness(Options())
    harness.write("a", content)
    harness.connect()
    harness.settle(request.param)
    assert [A] == list(harness.reconciler.view.problems)
    return harness


def test_asks(refused: Harness) -> None:
    """As long as it is refused, no content goes, and it is the same problem."""
    asked = []
    for outcome in REFUSALS * 2:
        asked += retry(refused)
        refused.settle(outcome)

    assert [TryFile] * 6 == asked
    assert [A] == list(refused.reconciler.view.problems)
    assert A not in refused.server


def test_taken(refused: Harness) -> None:
    """Once it would be taken, it is sent."""
    retry(refused)
    (asked,) = refused.settle()
    (sent,) = refused.settle()

    assert isinstance(asked.operation, TryFile)
    assert isinstance(sent.operation, PutFile)
    assert refused.server.record(A) == refused.source.tree.record(A)
    assert refused.reconciler.view.in_sync


def test_refused_by_content(refused: Harness) -> None:
    """If it is refused then all the same, it is asked about again, and the pause grows."""
    retry(refused)
    refused.settle()
    refused.settle(Outcome.STORAGE)
    asked = retry(refused)

    assert [TryFile] == asked
    assert [A] == list(refused.reconciler.view.problems) or refused.outgoing


@pytest.mark.parametrize("outcome", [Outcome.UNSUPPORTED, Outcome.UNKNOWN])
def test_older_server(refused: Harness, outcome: Outcome) -> None:
    """A server that cannot tell is sent the content."""
    retry(refused)
    refused.settle(outcome)

    assert [PutFile] == [type(transmit.operation) for transmit in refused.outgoing]


def test_changed_meanwhile(refused: Harness) -> None:
    """If something else is there by now, the question is asked about that."""
    refused.server.put(A, record(b"theirs"))
    retry(refused)
    refused.settle(Outcome.CHANGED)
    again = [type(transmit.operation) for transmit in refused.outgoing]
    refused.run()

    assert [TryFile] == again
    assert refused.server.record(A) == refused.source.tree.record(A)


def test_copy(content: bytes) -> None:
    """A copy at the replica that was refused is asked about as well: the server would make it each time."""
    harness = Harness(Options())
    harness.write("b", content)
    harness.connect()
    harness.run()
    harness.write("a", content)
    harness.change("a")
    (first,) = harness.settle(Outcome.LIMIT)
    asked = retry(harness)
    harness.run()

    assert isinstance(first.operation, CopyContent if content == LARGE else PutFile)
    assert [TryFile] == asked
    assert harness.reconciler.view.in_sync


def test_empty() -> None:
    """An empty file has no content to save."""
    harness = Harness(Options())
    harness.write("a", b"")
    harness.connect()
    harness.settle(Outcome.LIMIT)

    assert [PutFile] == retry(harness)


def test_changed_content(refused: Harness) -> None:
    """Another content of the file is asked about too: the reason is seldom in the content."""
    refused.write("a", b"another")
    refused.change("a")
    first = [type(transmit.operation) for transmit in refused.outgoing]

    assert first in ([], [TryFile])
    assert PutFile not in retry(refused)
