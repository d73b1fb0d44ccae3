"""When the removals at a source are judged."""

from dirsync.tree.diff import Change
from dirsync.tree.entry import file_entry, pack
from dirsync.tree.merge.policy import Conflicts, Policy
from dirsync.tree.path import RelPath
from dirsync_client.reconcile.context import Context, Options
from dirsync_client.reconcile.two_way.merging import Incoming, Merging
from dirsync_client.reconcile.two_way.removals import IncomingRemovals
from tests.unit.client.reconcile.model import Model

PATH = RelPath(b"leaves")
ENTRY = file_entry(mode=0o644, size=1, mtime_ns=1, digest=b"d" * 32)


def test_nothing_is_waited_for_that_time_does_not_bring() -> None:
    """While something else is on its way to the source, the engine is not woken again and again to judge a removal."""
    context = Context(Model(), Options())
    context.now = 10.0
    context.source.tree.put(PATH, pack(ENTRY))
    merging = Merging(context, Policy(Conflicts.KEEP_BOTH, "x"))
    merging.incoming[PATH] = Incoming(Change(PATH, ENTRY, None))
    removals = IncomingRemovals(context, merging, lambda _receive: None)
    removals.add(PATH)
    removals.advance(ready=True)
    due = removals.wake_at
    context.now = 20.0
    removals.advance(ready=False)

    assert due == 10.0 + context.options.delete_settle
    assert removals.pending
    assert removals.wake_at is None
