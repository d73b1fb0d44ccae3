"""One session's reconciliation, without a server: what is compared again, and when."""

from pathlib import Path

from dirsync.endpoint.source import Source, SourceOptions
from dirsync.endpoint.watch.schedule import Schedule
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.guards import GuardPolicy, History
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.contents import Contents
from dirsync_client.reconcile.cycle import Cycle
from dirsync_client.reconcile.moves import Moves
from dirsync_client.reconcile.removals import Removals
from dirsync_client.reconcile.router import Router
from dirsync_client.reconcile.ticket import Unsent
from dirsync_client.report.transfer_metrics import Accounting
from dirsync_client.state import StateDirectory
from dirsync_client.transfer.delta_planner import Preparer
from dirsync_client.transfer.hasher import Hasher
from dirsync_client.transfer.send_queue import Outbox
from dirsync_client.transfer.signature_store import RememberedSignatures

PATH = RelPath(b"a")


def test_vanished_and_back(tmp_path: Path) -> None:
    """A file that was gone when it was to be read, and had changed meanwhile, is sent as it is now."""
    place = tmp_path / "source"
    place.mkdir()
    state = StateDirectory(tmp_path / "state")
    source = Source(Root.open(place), Index.open(tmp_path / "state", "index"), SourceOptions(b".dirsyncignore"))
    outbox, metrics, history, replica = Outbox(), NoMetrics(), History(0, 0), Tree()
    removals = Removals(source, replica, state, "replica", GuardPolicy(), history, metrics)
    hasher = Hasher(source.root, lambda _hashed: None)
    schedule, accounting = Schedule(0.05, 0.5, 60), Accounting(metrics)
    remembered = RememberedSignatures(state.signatures, metrics)
    preparer = Preparer(source.root, remembered, lambda *_: (), outbox.add, hasher, lambda _hashed: None, 4096)
    cycle = Cycle(
        source,
        replica,
        outbox,
        hasher,
        Router(outbox, preparer, Contents(), source.glance, frozenset()),
        Moves(source, lambda: True),
        removals,
        history,
        schedule,
        accounting,
        lambda tree, _: tree,
        deletes=True,
    )
    (place / "a").write_text("one")
    cycle.compare(source.look([PATH]), 0)
    (ticket,) = outbox.take().tickets
    (place / "a").write_text("another")
    cycle.compare(source.look([PATH]), 0)
    cycle.unsent(Unsent(ticket, Problem(PATH, ProblemKind.VANISHED, "gone")))
    before = outbox.room
    cycle.advance()

    assert before - 1 == outbox.room
    assert source.tree.record(PATH) == outbox.take().tickets[0].planned
    hasher.close()
    preparer.close()
    source.close()
    state.close()
