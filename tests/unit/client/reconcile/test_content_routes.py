"""Which way the content of a file goes: decided without a disk and without a server."""

import pytest

from dirsync.limits import KIB, LIMITS
from dirsync.tree.entry import Entry, pack
from dirsync.tree.outcome import Outcome
from dirsync.tree.plan import CopyContent, Move, PutFile
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync_client.reconcile.commands import (
    Basis,
    Command,
    DropEstimate,
    EstimateSimilarity,
    ProbeFile,
    Sent,
    Transmit,
)
from dirsync_client.reconcile.content_routes import ContentRoutes
from dirsync_client.reconcile.context import Context, Options
from dirsync_client.reconcile.path_states import Phase
from dirsync_client.reconcile.renames import Renames
from tests.support.trees.content import random_bytes
from tests.unit.client.reconcile.model import Model, entry, path, unread

SIZE = 300 * KIB
OLD = random_bytes(SIZE, 1)
EDITED = OLD[: SIZE // 2] + b"edited" + OLD[SIZE // 2 + 6 :]
OTHER = random_bytes(SIZE, 2)


class Bench:
    """The routes between a source and what is known of a replica."""

    def __init__(self, offered: frozenset[Strategy] = frozenset(Strategy)) -> None:
        self.source = Model()
        self.context = Context(self.source, Options())
        self.context.offered = offered
        self.renames = Renames(self.context)
        self.routes = ContentRoutes(self.context, self.renames)

    def there(self, name: str, content: bytes) -> Entry:
        """The replica has this."""
        self.context.replica.put(path(name), pack(entry(content)))
        return entry(content)

    def send(self, name: str, content: bytes, *, read: bool = False, expected: Entry | None = None) -> list[Command]:
        """Have a file sent, after a probe if one is asked for; ``read``: its digest is known."""
        planned = entry(content) if read else unread(content)
        self.source.tree.put(path(name), pack(planned))
        step = PutFile(path(name), expected, planned)
        self.routes.send(step, 0.0)
        commands = self.context.take_commands()
        if commands == [ProbeFile(path(name))]:
            self.context.table.to(path(name), Phase.DIRTY).probe = content[:16]
            self.routes.send(step, 0.0)
            commands = self.context.take_commands()
        return commands

    def transmit(self, name: str, content: bytes, *, read: bool = False, expected: Entry | None = None) -> Transmit:
        """As :meth:`send`, where one operation is sent at once."""
        (command,) = self.send(name, content, read=read, expected=expected)
        assert isinstance(command, Transmit)
        return command

    def applied(self, transmit: Transmit, content: bytes) -> None:
        """The server made it."""
        self.routes.applied(Sent(transmit, transmit.operation, transmit.choice, pack(entry(content))))
        self.context.table.to(transmit.path, Phase.IDLE)

    def failed(self, transmit: Transmit, outcome: Outcome = Outcome.MISMATCH) -> None:
        """The server did not make it, and it is compared again."""
        self.routes.failed(Sent(transmit, transmit.operation, transmit.choice, None), outcome)
        self.context.table.to(transmit.path, Phase.DIRTY)

    def phase(self, name: str) -> Phase:
        """What is going on at a path."""
        return self.context.table.phase(path(name))


@pytest.fixture
def bench() -> Bench:
    """One for each test."""
    return Bench()


class TestKnown:
    """Content that the replica has."""

    def test_copied(self, bench: Bench) -> None:
        """A large file whose content is there under another name is copied, with its own entry."""
        bench.there("a", OLD)
        sent = bench.transmit("b", OLD, read=True)

        assert CopyContent(path("b"), None, entry(OLD)) == sent.operation
        assert Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT) == sent.choice

    def test_moved(self, bench: Bench) -> None:
        """Where the other name is about to leave, it is moved."""
        there = bench.there("a", OLD)
        bench.context.table.to(path("a"), Phase.DOOMED)
        sent = bench.transmit("b", OLD, read=True)

        assert Move(path("b"), None, path("a"), there) == sent.operation
        assert Choice(Strategy.RENAME, Reason.SAME_CONTENT) == sent.choice

    @pytest.mark.parametrize("why", ["stays", "refused", "kept", "replaces a directory"])
    def test_not_moved(self, why: str) -> None:
        """It is copied where the other name stays in use, or a move was refused, or nothing may leave the replica."""
        bench = Bench()
        there = bench.there("a", OLD)
        bench.context.table.to(path("a"), Phase.DOOMED)
        if why == "stays":
            bench.source.tree.put(path("a"), pack(there))
        if why == "refused":
            bench.renames.refuse(path("b"))
        if why == "kept":
            bench.context.options = Options(deletes=False)
        expected = Entry(there.kind.DIRECTORY) if why == "replaces a directory" else None
        sent = bench.transmit("b", OLD, read=True, expected=expected)

        assert isinstance(sent.operation, CopyContent)

    def test_refused(self, bench: Bench) -> None:
        """What the server could not make goes whole, once; after that it is tried again."""
        bench.there("a", OLD)
        bench.failed(bench.transmit("b", OLD, read=True))
        second = bench.transmit("b", OLD, read=True)
        bench.applied(second, OLD)
        third = bench.transmit("c", OLD, read=True)

        assert Choice(Strategy.WHOLE, Reason.AFTER_MISMATCH) == second.choice
        assert Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT) == third.choice

    def test_read_first(self, bench: Bench) -> None:
        """A large file of which another one has the size is read before anything is decided; no other is."""
        bench.there("a", OLD)
        same, other, small = unread(OLD), unread(OLD + b"!"), unread(OLD[: LIMITS.inline_file_bytes])
        asked = [bench.routes.needs_hash(path("b"), None, new) for new in (same, other, small, entry(OLD))]

        assert [True, False, False, False] == asked
        assert bench.routes.needs_hash(path("a"), entry(OLD), same) is False
        assert bench.routes.only_here(entry(OLD), same)
        assert not bench.routes.only_here(entry(OLD), other)


class TestOnItsWay:
    """Content that may be on its way."""

    def test_waits(self, bench: Bench) -> None:
        """Of files of the same content one is sent; the others wait for it, and are compared again after it."""
        first = bench.transmit("a", OLD)
        second = bench.send("b", OLD, read=True)
        blocked = bench.phase("b")
        bench.applied(first, OLD)
        released = bench.phase("b")
        third = bench.transmit("b", OLD, read=True)

        assert ([], Phase.BLOCKED, Phase.DIRTY) == (second, blocked, released)
        assert Strategy.DEDUP is third.choice.strategy

    def test_is_let_go(self, bench: Bench) -> None:
        """So they are where the first one fails."""
        first = bench.transmit("a", OLD)
        bench.send("b", OLD, read=True)
        bench.failed(first, Outcome.STORAGE)

        assert Phase.DIRTY is bench.phase("b")
        assert bench.send("b", OLD, read=True)

    def test_looks_different(self, bench: Bench) -> None:
        """Files of the same size that begin differently do not wait for each other."""
        sent = [bench.transmit("a", OLD), bench.transmit("b", OTHER, read=True)]

        assert [path("a"), path("b")] == [transmit.path for transmit in sent]

    def test_probed_only_beside_others(self, bench: Bench) -> None:
        """A file is probed before it is read only while another one is on its way, and read if it looks alike."""
        alone = bench.routes.needs_hash(path("b"), None, unread(OLD))
        bench.transmit("a", OLD)
        asked = bench.routes.needs_hash(path("b"), None, unread(OLD))
        probe = bench.context.take_commands()
        bench.context.table.to(path("b"), Phase.DIRTY).probe = OLD[:16]
        alike = bench.routes.needs_hash(path("b"), None, unread(OLD))
        bench.context.table.to(path("c"), Phase.DIRTY).probe = OTHER[:16]
        different = bench.routes.needs_hash(path("c"), None, unread(OTHER))

        assert (False, None, True, False) == (alone, asked, alike, different)
        assert [ProbeFile(path("b"))] == probe


class TestDelta:
    """What may be made from something."""

    def test_estimated(self, bench: Bench) -> None:
        """A large file with a basis is estimated first, and travels as a delta where that pays."""
        old = bench.there("a", OLD)
        asked = bench.send("a", EDITED, expected=old)
        bench.routes.estimated(path("a"), 0.9)
        sent = bench.context.take_commands()

        assert [EstimateSimilarity(path("a"), SIZE, Basis(old.digest, SIZE))] == asked
        assert [Choice(Strategy.DELTA, Reason.SIMILAR)] == [c.choice for c in sent if isinstance(c, Transmit)]

    def test_dissimilar(self, bench: Bench) -> None:
        """Where it does not pay, it goes whole, and what was prepared is dropped."""
        old = bench.there("a", OLD)
        bench.send("a", OTHER, expected=old)
        bench.routes.estimated(path("a"), 0.0)
        dropped, sent = bench.context.take_commands()

        assert DropEstimate(path("a")) == dropped
        assert isinstance(sent, Transmit)
        assert Choice(Strategy.WHOLE, Reason.DISSIMILAR) == sent.choice

    def test_unknown_to_the_server(self, bench: Bench) -> None:
        """Where nothing can be estimated, the file goes whole."""
        old = bench.there("a", OLD)
        bench.send("a", EDITED, expected=old)
        bench.routes.estimated(path("a"), None)
        _, sent = bench.context.take_commands()

        assert isinstance(sent, Transmit)
        assert Strategy.WHOLE is sent.choice.strategy

    def test_late(self, bench: Bench) -> None:
        """An estimate for which nothing waits any more leads to nothing."""
        bench.routes.estimated(path("a"), 0.9)

        assert [] == bench.context.take_commands()

    def test_refused(self, bench: Bench) -> None:
        """What came out wrong at the server goes whole."""
        old = bench.there("a", OLD)
        bench.send("a", EDITED, expected=old)
        bench.routes.estimated(path("a"), 0.9)
        (sent,) = bench.context.take_commands()
        assert isinstance(sent, Transmit)
        bench.failed(sent)
        again = bench.transmit("a", EDITED, expected=old)

        assert Choice(Strategy.WHOLE, Reason.AFTER_MISMATCH) == again.choice


class TestPlain:
    """Nothing to be saved."""

    def test_new_and_small(self, bench: Bench) -> None:
        """What the replica has nothing of goes whole; so does what is small, until it is read."""
        sent = [bench.transmit("a", OLD), bench.transmit("b", b"small")]

        assert [Choice(Strategy.WHOLE, Reason.NEW), Choice(Strategy.WHOLE, Reason.SMALL)] == [s.choice for s in sent]

    def test_not_offered(self) -> None:
        """A server that can only take whole files is sent whole files, and nothing is read for it."""
        bench = Bench(frozenset({Strategy.WHOLE}))
        old = bench.there("a", OLD)
        known, edited = bench.transmit("b", OLD, read=True), bench.transmit("a", EDITED, expected=old)

        assert Choice(Strategy.WHOLE, Reason.NEW) == known.choice
        assert Choice(Strategy.WHOLE, Reason.NOT_OFFERED) == edited.choice
        assert bench.routes.needs_hash(path("c"), None, unread(OLD)) is False
