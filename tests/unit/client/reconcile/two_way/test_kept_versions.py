"""A path in conflict waits for the copy of the version that loses its name, and is never forgotten with it."""

from collections.abc import Sequence

import pytest

from dirsync.tree.diff import Change
from dirsync.tree.entry import Entry, file_entry, pack
from dirsync.tree.merge.policy import Policy
from dirsync.tree.outcome import Failure, Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import Command, LookAt
from dirsync_client.reconcile.context import Context, Options
from dirsync_client.reconcile.events import Connected, Event, Received, SourceChanged
from dirsync_client.reconcile.reconciler import Reconciler
from dirsync_client.reconcile.two_way.commands import Receive
from dirsync_client.reconcile.two_way.merging import Merging
from tests.unit.client.reconcile.model import Model

POLICY = Policy(client="c")
PATH = RelPath(b"notes.txt")
KEPT_AS = RelPath(b"notes.conflict-c-19700101T000005Z.txt")
DISK_FULL = Failure(0, Outcome.STORAGE, None, "NO_SPACE", "the disk is full")
GONE = Failure(0, Outcome.MISMATCH, None, "CONTENT_NOT_FOUND", "it is gone")


def version(number: int, *, at: int) -> Entry:
    """A file with a content of its own, written at a time in seconds."""
    return file_entry(mode=0o644, size=1, mtime_ns=at * 10**9, digest=bytes([number]) * 32)


OURS, THEIRS = version(1, at=5), version(2, at=9)


class Client:
    """A reconciler whose source and replica have different versions, and neither of them is agreed on."""

    def __init__(self) -> None:
        self.model = Model()
        self.model.tree.put(PATH, pack(OURS))
        replica = Tree()
        replica.put(PATH, pack(THEIRS))
        self.reconciler = Reconciler(self.model, Options(two_way=POLICY))
        self.now = 0.0
        self.commands = self.tell(Connected(replica, frozenset(Strategy), False, None, frozenset(), ancestor=Tree()))

    def tell(self, *events: Event) -> Sequence[Command]:
        """What it wants done after these."""
        self.now += 1.0
        self.commands = self.reconciler.handle(events, self.now)
        return self.commands

    @property
    def receive(self) -> Receive:
        """What it wants received: one thing."""
        (receive,) = (command for command in self.commands if isinstance(command, Receive))
        return receive

    def apply(self) -> None:
        """Have that received."""
        receive = self.receive
        self.model.tree.put(receive.path, pack({KEPT_AS: OURS, PATH: THEIRS}[receive.path]))
        self.tell(Received(receive))


@pytest.mark.parametrize("merged", [PATH, KEPT_AS])
def test_a_copy_that_failed_is_received_when_it_is_tried_again(merged: RelPath) -> None:
    """Also where the path in conflict was merged meanwhile: first the copy, then what replaces the version."""
    client = Client()
    assert client.receive.path == KEPT_AS

    client.tell(Received(client.receive, DISK_FULL))
    assert list(client.reconciler.view.problems) == [KEPT_AS]

    client.tell(SourceChanged([merged], client.now))
    assert list(client.reconciler.view.problems) == [KEPT_AS]

    client.tell(SourceChanged([KEPT_AS], client.now, [KEPT_AS]))
    assert client.receive.path == KEPT_AS

    client.apply()
    assert client.receive.path == PATH
    assert not client.reconciler.view.problems


def test_a_version_that_is_not_where_it_was_known_to_be_is_looked_at() -> None:
    """The source's file was rewritten, and no watch has told so: as long as that is not known, its copy fails."""
    client = Client()
    assert client.receive.near == PATH

    commands = client.tell(Received(client.receive, GONE, vanished=True))

    assert [LookAt((PATH,), retry=False)] == [command for command in commands if isinstance(command, LookAt)]


def conflict(*paths: RelPath) -> tuple[Context, Merging]:
    """Both sides have different versions at these paths."""
    context = Context(Model(), Options(two_way=POLICY))
    for path in paths:
        context.source.tree.put(path, pack(OURS))
        context.replica.put(path, pack(THEIRS))
    return context, Merging(context, POLICY)


def test_an_answer_to_an_older_decision_does_not_end_the_waiting() -> None:
    """What was under way at the path when it came into conflict is answered before its copy is there."""
    _, merging = conflict(PATH)
    merging.decide([PATH])

    assert merging.done(PATH) is None
    assert [] == list(merging.outgoing([Change(PATH, THEIRS, OURS)]))
    assert merging.done(KEPT_AS) == PATH


def test_the_path_is_compared_with_its_copy() -> None:
    """Whichever of them is merged: where there is no conflict any more, the path may be what is to be sent."""
    context, merging = conflict(PATH)
    assert merging.decide([PATH]) == [PATH]
    assert merging.decide([PATH]) == [PATH, KEPT_AS]
    assert merging.decide([KEPT_AS]) == [KEPT_AS, PATH]

    context.replica.remove(PATH)

    assert merging.decide([KEPT_AS]) == [KEPT_AS, PATH]
    assert not merging.incoming
    assert [PATH] == [change.path for change in merging.outgoing([Change(PATH, None, OURS)])]


def test_two_paths_never_wait_for_one_copy() -> None:
    """Names that are cut may lead to the same conflict name, also where they are merged one after the other."""
    first, second = RelPath(b"n" * 250 + b"1"), RelPath(b"n" * 250 + b"2")
    context, merging = conflict(first)
    merging.decide([first])
    (name,) = merging.incoming
    for tree, entry in ((context.source.tree, OURS), (context.replica, THEIRS)):
        tree.put(second, pack(entry))
    merging.decide([second])

    assert len(merging.incoming) == 2
    assert [merging.done(path) for path in sorted(merging.incoming, key=lambda path: path != name)] == [first, second]
