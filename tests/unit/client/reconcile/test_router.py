"""Which way the content of a file goes: with a real source and a real preparer, and without a server."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.packed import pack_checksums
from dirsync.endpoint.source import Source, SourceOptions
from dirsync.errors import NotFound
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.limits import KIB, LIMITS
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.entry import UNKNOWN, Entry, file_entry, pack
from dirsync.tree.path import RelPath
from dirsync.tree.plan import CopyContent, Move, PutFile
from dirsync.tree.strategy import Choice, Reason, Strategy
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.contents import Contents
from dirsync_client.reconcile.router import Router
from dirsync_client.reconcile.ticket import Basis, Ticket
from dirsync_client.transfer.delta_planner import Preparer
from dirsync_client.transfer.hasher import Hasher
from dirsync_client.transfer.send_queue import MAX_UNSETTLED, Outbox, Turn
from dirsync_client.transfer.signature_store import RememberedSignatures
from tests.support.content import random_bytes
from tests.support.trees import build
from tests.support.waiting import until

BLOCK = 4 * KIB
SIZE = 300 * KIB
OLD = random_bytes(SIZE, 1)
EDITED = OLD[: SIZE // 2] + b"edited" + OLD[SIZE // 2 + 6 :]
OTHER = random_bytes(SIZE, 2)


class Bench:
    """A router between a source and what it knows of a replica."""

    def __init__(self, place: Path, offered: frozenset[Strategy] = frozenset(Strategy)) -> None:
        self.place = place / "source"
        self.place.mkdir(parents=True)
        (place / "state").mkdir()
        self.source = Source(Root.open(self.place), Index.open(place / "state", "index"), SourceOptions(b".ignore"))
        self.replica = Tree()
        self.outbox = Outbox()
        self.contents = Contents()
        self.remembered = RememberedSignatures(place / "state/signatures", NoMetrics())
        self.asked: list[tuple[int, int]] = []
        """Block size and number of blocks of each question to the server."""
        self.known: dict[bytes, bytes] = {}
        """Content that the server has, by its digest."""
        self.hasher = Hasher(self.source.root, lambda _: None)
        self.preparer = Preparer(
            self.source.root, self.remembered, self._checksums, self.outbox.add, self.hasher, lambda _: None, BLOCK
        )
        self.router = Router(self.outbox, self.preparer, self.contents, self.source.glance, offered)

    def close(self) -> None:
        """Let go of everything."""
        self.preparer.close()
        self.hasher.close()
        self.source.close()

    def there(self, name: str, content: bytes) -> Entry:
        """The replica has this."""
        found = entry(content)
        self.replica.put(RelPath(name.encode()), pack(found))
        self.known[found.digest] = content
        return found

    def ticket(self, name: str, content: bytes, *, read: bool = False, expected: Entry | None = None) -> Ticket:
        """A change of the source; ``read``: its digest is known."""
        build(self.place, {name: content})
        planned = entry(content) if read else entry(content)._replace(digest=UNKNOWN)
        return Ticket(PutFile(RelPath(name.encode()), expected, planned), pack(planned), 0)

    def send(self, ticket: Ticket, leaving: RelPath | None = None, origin: Basis | None = None) -> bool:
        """Have it sent."""
        return self.router.send(ticket, self.replica, lambda _: leaving, origin)

    def sent(self) -> list[Ticket]:
        """What was handed on since the last time."""
        found: list[Ticket] = []
        while self.outbox.room + len(found) < MAX_UNSETTLED:
            work = self.outbox.take()
            large = self.outbox.take_large() if work.turn is Turn.FRAME else None
            if large is not None:
                self.outbox.closed_file()
            found += [large] if large is not None else work.tickets
        self.outbox.settled(len(found), requested=False)
        return found

    def wait(self, ticket: Ticket) -> Ticket:
        """The ticket, once it was prepared."""
        until(lambda: self.outbox.room < MAX_UNSETTLED, "the file is handed on")

        assert [ticket] == self.sent()
        return ticket

    def _checksums(self, digest: bytes, block_size: int, ranges: Sequence[BlockRange]) -> Iterator[bytes]:
        content = self.known.get(digest)
        if content is None:
            raise NotFound("no such content")
        for first, count in ranges:
            self.asked.append((block_size, count))
            yield pack_checksums(content[first * block_size : (first + count) * block_size], block_size)


def entry(content: bytes) -> Entry:
    """A file of this content."""
    return file_entry(mode=0o644, size=len(content), mtime_ns=0, digest=hashlib.sha256(content).digest())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One for each test."""
    bench = Bench(tmp_path)
    yield bench
    bench.close()


class TestKnown:
    """Content that the replica has."""

    def test_copied(self, bench: Bench) -> None:
        """A large file whose content is there under another name is copied, with its own entry."""
        bench.there("a", OLD)
        ticket = bench.ticket("b", OLD, read=True)
        sent = bench.send(ticket)

        assert sent
        assert [ticket] == bench.sent()
        assert CopyContent(RelPath(b"b"), None, entry(OLD)) == ticket.operation
        assert Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT) == ticket.choice

    def test_moved(self, bench: Bench) -> None:
        """Where the other name is about to leave, it is moved."""
        there = bench.there("a", OLD)
        ticket = bench.ticket("b", OLD, read=True)
        bench.send(ticket, leaving=RelPath(b"a"))

        assert Move(RelPath(b"b"), None, RelPath(b"a"), there) == ticket.operation
        assert Choice(Strategy.RENAME, Reason.SAME_CONTENT) == ticket.choice

    def test_refused(self, bench: Bench) -> None:
        """What the server could not make goes whole, once; after that it is tried again."""
        bench.there("a", OLD)
        first = bench.ticket("b", OLD, read=True)
        bench.send(first)
        again = bench.router.refused(first)
        second = bench.ticket("b", OLD, read=True)
        bench.send(second)
        second.sent = second.planned
        bench.router.applied(second)
        third = bench.ticket("c", OLD, read=True)
        bench.send(third)

        assert set() == again
        assert Choice(Strategy.WHOLE, Reason.AFTER_MISMATCH) == second.choice
        assert Choice(Strategy.DEDUP, Reason.KNOWN_CONTENT) == third.choice

    def test_read_first(self, bench: Bench) -> None:
        """A large file of which another one has the size is read before anything is decided; no other is."""
        bench.there("a", OLD)
        same, other = entry(OLD)._replace(digest=UNKNOWN), entry(OLD + b"!")._replace(digest=UNKNOWN)
        small = entry(OLD[: LIMITS.inline_file_bytes])._replace(digest=UNKNOWN)
        build(bench.place, {"b": OLD})
        asked = [
            bench.router.reads_first(RelPath(b"b"), None, new, bench.replica)
            for new in (same, other, small, entry(OLD))
        ]

        assert [True, False, False, False] == asked
        assert not bench.router.reads_first(RelPath(b"a"), entry(OLD), same, bench.replica)
        assert bench.router.only_here(entry(OLD), same)
        assert not bench.router.only_here(entry(OLD), other)


class TestOnItsWay:
    """Content that may be on its way."""

    def test_waits(self, bench: Bench) -> None:
        """Of files of the same content one is sent; the others wait for it, and are compared again after it."""
        first, second = bench.ticket("a", OLD), bench.ticket("b", OLD, read=True)
        went = bench.send(first), bench.send(second)
        first.sent = pack(entry(OLD))
        waited = bench.router.applied(first)
        third = bench.ticket("b", OLD, read=True)
        bench.send(third)

        assert (True, False) == went
        assert {RelPath(b"b")} == waited
        assert Strategy.DEDUP is third.choice.strategy

    def test_is_let_go(self, bench: Bench) -> None:
        """So they are where the first one fails."""
        first, second = bench.ticket("a", OLD), bench.ticket("b", OLD, read=True)
        bench.send(first)
        bench.send(second)
        waited = bench.router.dropped(first)

        assert {RelPath(b"b")} == waited
        assert bench.send(bench.ticket("b", OLD, read=True))

    def test_looks_different(self, bench: Bench) -> None:
        """Files of the same size that begin differently do not wait for each other."""
        assert bench.send(bench.ticket("a", OLD))
        assert bench.send(bench.ticket("b", OTHER, read=True))
        assert 2 == len(bench.sent())


class TestDelta:
    """What is made from something."""

    def test_remembered(self, bench: Bench) -> None:
        """With a remembered signature nobody is asked."""
        old = bench.there("a", OLD)
        builder = SignatureBuilder(BLOCK)
        builder.feed(OLD)
        signature = builder.finish()
        assert signature is not None
        bench.remembered.save(old.digest, signature)
        ticket = bench.ticket("a", EDITED, expected=old)
        bench.send(ticket)
        bench.wait(ticket)

        assert Choice(Strategy.DELTA, Reason.SIMILAR) == ticket.choice
        assert ticket.delta is not None
        assert Basis(old.digest, SIZE) == ticket.delta.basis
        assert [] == bench.asked

    def test_asked_for(self, bench: Bench) -> None:
        """Without one a sample is asked for, and the rest only if that is found."""
        old = bench.there("a", OLD)
        ticket = bench.ticket("a", EDITED, expected=old)
        bench.send(ticket)
        bench.wait(ticket)
        similar, bench.asked = bench.asked, []
        other = bench.ticket("a", OTHER, expected=old)
        bench.send(other)
        bench.wait(other)
        count = block_count(SIZE, BLOCK)

        assert Choice(Strategy.DELTA, Reason.SIMILAR) == ticket.choice
        assert Choice(Strategy.WHOLE, Reason.DISSIMILAR) == other.choice
        assert other.delta is None
        assert sum(blocks for _, blocks in bench.asked) < count
        assert sum(blocks for _, blocks in bench.asked) < sum(blocks for _, blocks in similar)

    def test_unknown_to_the_server(self, bench: Bench) -> None:
        """Where the server cannot tell, the file goes whole."""
        old = bench.there("a", OLD)
        bench.known.clear()
        ticket = bench.ticket("a", EDITED, expected=old)
        bench.send(ticket)
        bench.wait(ticket)

        assert Strategy.WHOLE is ticket.choice.strategy
        assert ticket.delta is None

    def test_from_a_former_name(self, bench: Bench) -> None:
        """A file without a basis of its own is made from what it was elsewhere."""
        old = bench.there("a", OLD)
        ticket = bench.ticket("b", EDITED)
        bench.send(ticket, origin=Basis(old.digest, SIZE))
        bench.wait(ticket)

        assert Strategy.DELTA is ticket.choice.strategy
        assert ticket.delta is not None
        assert old.digest == ticket.delta.basis.digest

    def test_refused(self, bench: Bench) -> None:
        """What came out wrong at the server goes whole."""
        old = bench.there("a", OLD)
        ticket = bench.ticket("a", EDITED, expected=old)
        bench.send(ticket)
        bench.wait(ticket)
        bench.router.refused(ticket)
        again = bench.ticket("a", EDITED, expected=old)
        bench.send(again)

        assert Choice(Strategy.WHOLE, Reason.AFTER_MISMATCH) == again.choice


class TestPlain:
    """Nothing to be saved."""

    def test_new_and_small(self, bench: Bench) -> None:
        """What the replica has nothing of goes whole; so does what is small, until it is read."""
        new, small = bench.ticket("a", OLD), bench.ticket("b", b"small")
        bench.send(new)
        bench.send(small)

        assert [Choice(Strategy.WHOLE, Reason.NEW), Choice(Strategy.WHOLE, Reason.SMALL)] == [new.choice, small.choice]

    def test_not_offered(self, tmp_path: Path) -> None:
        """A server that can only take whole files is sent whole files, and nothing is read for it."""
        bench = Bench(tmp_path / "plain", frozenset({Strategy.WHOLE}))
        old = bench.there("a", OLD)
        known, edited = bench.ticket("b", OLD, read=True), bench.ticket("a", EDITED, expected=old)
        bench.send(known)
        bench.send(edited)
        reads = bench.router.reads_first(RelPath(b"b"), None, entry(OLD)._replace(digest=UNKNOWN), bench.replica)
        bench.close()

        assert Choice(Strategy.WHOLE, Reason.NEW) == known.choice
        assert Choice(Strategy.WHOLE, Reason.NOT_OFFERED) == edited.choice
        assert not reads
