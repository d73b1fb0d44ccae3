"""The engine's mailbox: what others put in together is taken together, and it does not grow without end."""

from dirsync.clock import monotonic
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.limits import LIMITS
from dirsync.tree.path import ROOT, RelPath
from dirsync_client.lifecycle.ending import Deadlines
from dirsync_client.mailbox import Mailbox
from dirsync_client.session.stream_ended import StreamEnded

A, B = Hint(RelPath(b"a"), HintKind.CHANGED), Hint(RelPath(b"b"), HintKind.CHANGED)


def test_hints() -> None:
    """Hints come out in their order, each with the time when it came."""
    times = iter([1.0, 2.0])
    mailbox = Mailbox(lambda: next(times))

    mailbox.hints([A, B])
    mailbox.hint(A)

    assert [(A, 1.0), (B, 1.0), (A, 2.0)] == mailbox.take().hints
    assert mailbox.empty


def test_what_concerns_a_target() -> None:
    """What one target has done keeps no other from being at rest; what came in from outside concerns all."""
    mailbox = Mailbox()
    mailbox.complete(1, StreamEnded(None), target=1)
    alone = [mailbox.is_empty_for(target) for target in (0, 1)]
    mailbox.hint(A)

    assert [True, False] == alone
    assert [False, False] == [mailbox.is_empty_for(target) for target in (0, 1)]
    mailbox.take()
    assert [True, True] == [mailbox.is_empty_for(target) for target in (0, 1)]


def test_bound() -> None:
    """More hints than are kept become one that puts everything in doubt, since the earliest of them."""
    times = iter([1.0, 2.0])
    mailbox = Mailbox(lambda: next(times))
    mailbox.hints([A] * LIMITS.max_dirty_paths)

    mailbox.hint(B)

    assert [(Hint(ROOT, HintKind.LOST), 1.0)] == mailbox.take().hints


def test_end() -> None:
    """Being told to end wakes the engine once; then it sleeps as before, for what comes until the end."""
    mailbox = Mailbox()
    deadlines = Deadlines(1.0, 2.0)
    mailbox.end(deadlines)

    mailbox.wait(None)  # returns at once
    mailbox.take()
    assert deadlines == mailbox.end_by
    started = monotonic()
    mailbox.wait(0.05)
    assert monotonic() - started >= 0.05
