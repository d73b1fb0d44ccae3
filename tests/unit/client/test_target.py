"""One server's session: when it is opened, and what is started for it."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.options import TreeOptions
from dirsync.tree.tree import Tree
from dirsync.wire.session import Opened
from dirsync_client.lifecycle.activity import Activities
from dirsync_client.mailbox import Completion
from dirsync_client.reconcile.context import Options
from dirsync_client.session.connector import ReplicaFetched, SessionOpened
from dirsync_client.state import ReplicaPairing
from dirsync_client.target import Target
from dirsync_client.targets.source_view import SourceSide


class Bench:
    """A target whose server answers by hand."""

    def __init__(self, place: Path) -> None:
        (place / "source").mkdir()
        (place / "source/a").write_bytes(b"content")
        self.source = Source(
            Root.open(place / "source"),
            Index.open(place, "index"),
            SourceOptions(b".dirsyncignore"),
            lambda _step: None,
        )
        self.now = 100.0
        self.connector = Mock()
        self.started = 0
        state = Mock(pairing=lambda _id: ReplicaPairing(adopted=True, identity=None), approvals=set)
        parts = Mock(activities=Activities())
        self.target = Target(
            SourceSide(self.source, self.source), state, self.connector, parts, Mock(), Mock(), Options(at_once=True)
        )
        self.target._now = lambda: self.now

    def scan(self) -> None:
        """Look at the whole source."""
        for _ in self.source.scan():
            pass

    def answer(self) -> Mock:
        """The server has opened the session that was asked for; returns the link."""
        options = TreeOptions(self.source.options.attributes, self.source.ignore.lines)
        opened = Opened(b"session", 1, "replica", options, b"", 0, frozenset(), frozenset(), frozenset(), 1, 1, "")
        link = Mock(opened=opened)
        self.take(SessionOpened(link))
        return link

    def list(self, tree: Tree) -> None:
        """The replica is listed, and holds this."""
        self.take(ReplicaFetched(tree))

    def take(self, result: SessionOpened | ReplicaFetched) -> None:
        """The connector is done with what it was asked for last."""
        self.target.take([Completion(self.connector.open.call_args[0][0], result)])

    @property
    def opened(self) -> int:
        """How often a session was asked for."""
        return len(self.connector.open.mock_calls)

    @property
    def listed(self) -> int:
        """How often the replica was."""
        return len(self.connector.fetch.mock_calls)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A target, and whether its stream was opened."""
    bench = Bench(tmp_path)

    def start(*_: object) -> Mock:
        bench.started += 1
        return Mock()

    monkeypatch.setattr("dirsync_client.target._open_transfer", start)
    yield bench
    bench.source.close()


def test_session_before_the_scan(bench: Bench) -> None:
    """A session may be asked for before the source is scanned; what it is compared with is the scanned source."""
    bench.target.connect_early()
    bench.answer()
    assert (1, 0) == (bench.opened, bench.listed)
    bench.scan()
    bench.target.connect_if_due(bench.now + 1)
    bench.target.connect_if_due(bench.now + 2)

    assert (1, 1) == (bench.opened, bench.listed)
    assert b"a" in bench.connector.fetch.call_args[0][2]


def test_answer_after_the_scan(bench: Bench) -> None:
    """A session that was asked for early is used as soon as the server answers, and no other one is asked for."""
    bench.target.connect_early()
    bench.scan()
    bench.target.connect_if_due(bench.now + 1)
    assert (1, 0) == (bench.opened, bench.listed)
    bench.answer()

    assert (1, 1) == (bench.opened, bench.listed)


def test_long_scan(bench: Bench) -> None:
    """A session that was opened long ago is closed, and another one is opened."""
    bench.target.connect_early()
    link = bench.answer()
    bench.scan()
    bench.target.connect_if_due(bench.now + LIMITS.early_session_seconds + 1)
    for call in bench.connector.run.mock_calls:
        call.args[0]()
    assert (2, 0) == (bench.opened, bench.listed)
    assert [()] == [call.args for call in link.close.mock_calls]
    bench.answer()

    assert (2, 1) == (bench.opened, bench.listed)


def test_other_rules(bench: Bench) -> None:
    """A session that agreed on ignore rules that are no more is closed, whether or not the server has answered."""
    bench.target.connect_early()
    link = bench.answer()
    bench.target.disconnect()
    for call in bench.connector.run.mock_calls:
        call.args[0]()
    bench.scan()
    bench.target.connect_if_due(bench.now)

    assert 1 == len(link.close.mock_calls)
    assert (2, 0) == (bench.opened, bench.listed)


@pytest.mark.parametrize("differs", [False, True])
def test_stream_on_demand(bench: Bench, differs: bool) -> None:
    """A single sync that finds both sides equal opens no stream."""
    bench.scan()
    bench.target.connect_if_due(bench.now)
    bench.answer()
    replica = Tree() if differs else bench.source.tree.copy()
    bench.list(replica)

    assert int(differs) == bench.started
