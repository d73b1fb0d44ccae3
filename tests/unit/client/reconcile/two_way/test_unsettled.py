"""What was sent before a session was lost, and never answered."""

import pytest

from dirsync.tree.entry import Entry, directory_entry, file_entry, pack
from dirsync.tree.merge.policy import Policy
from dirsync.tree.path import RelPath
from dirsync.tree.strategy import Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.commands import Command, Sent, Transmit
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import Connected, Disconnected, Event, SourceChanged
from dirsync_client.reconcile.reconciler import Reconciler
from dirsync_client.reconcile.two_way.commands import ReportConflict
from tests.unit.client.reconcile.model import Model

PATH, DIRECTORY = RelPath(b"new/notes.txt"), RelPath(b"new")


def version(number: int) -> Entry:
    """A file with a content of its own."""
    return file_entry(mode=0o644, size=1, mtime_ns=number, digest=bytes([number]) * 32)


class Client:
    """A reconciler whose source has a new file in a new directory, which the replica has not."""

    def __init__(self) -> None:
        self.model = Model()
        self.model.tree.put(DIRECTORY, pack(directory_entry(0o755)))
        self.model.tree.put(PATH, pack(version(1)))
        self.reconciler = Reconciler(self.model, Options(two_way=Policy(client="c")))
        self.now = 0.0
        self.commands: list[Command] = []
        self.connect(Tree())

    def tell(self, *events: Event) -> None:
        """What it wants done after these is in ``commands``."""
        self.now += 1.0
        self.commands = list(self.reconciler.handle(events, self.now))

    def connect(self, replica: Tree) -> None:
        """Open a session; nothing was agreed on that was kept."""
        self.tell(Connected(replica, frozenset(Strategy), False, None, frozenset(), ancestor=Tree()))

    def take_sent(self) -> list[Sent]:
        """What it has sent."""
        sent = [command for command in self.commands if isinstance(command, Transmit)]
        return [Sent(one, one.operation, one.choice, self.model.tree.record(one.path)) for one in sent]


@pytest.mark.parametrize("theirs, conflicts", [(1, 0), (3, 1)])
def test_own_version_is_no_conflict(theirs: int, conflicts: int) -> None:
    """A file that was written again while its last version was not answered is sent; another's version is not lost."""
    client = Client()
    sent = client.take_sent()
    assert [DIRECTORY, PATH] == [one.operation.path for one in sent]
    client.tell(Disconnected(sent))
    client.model.tree.put(PATH, pack(version(2)))
    client.tell(SourceChanged([PATH]))
    replica = Tree()
    replica.put(DIRECTORY, pack(directory_entry(0o755)))
    replica.put(PATH, pack(version(theirs)))
    client.connect(replica)

    assert conflicts == sum(isinstance(command, ReportConflict) for command in client.commands)
    assert (not conflicts) == any(isinstance(one, Transmit) and one.path == PATH for one in client.commands)


def test_known_for_one_session() -> None:
    """What the next session does not show was not applied, and is nobody's last version any more."""
    client = Client()
    client.tell(Disconnected(client.take_sent()))
    client.connect(Tree())
    client.tell(Disconnected())
    client.model.tree.put(PATH, pack(version(2)))
    replica = Tree()
    replica.put(DIRECTORY, pack(directory_entry(0o755)))
    replica.put(PATH, pack(version(1)))
    client.connect(replica)

    assert any(isinstance(command, ReportConflict) for command in client.commands)
