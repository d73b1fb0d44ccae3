"""Estimates and deltas of real files, with a server that is only asked for checksums."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.packed import pack_checksums
from dirsync.errors import NotFound
from dirsync.fs.root import Root
from dirsync.limits import KIB
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.tree.strategy import Strategy, choose
from dirsync_client.reconcile.commands import Basis, CompareFile, EstimateSimilarity
from dirsync_client.reconcile.events import FileHashed
from dirsync_client.transfer.delta.planner import DeltaPlanner
from dirsync_client.transfer.delta.signature_store import RememberedSignatures
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import build
from tests.unit.client.reconcile.model import entry, path

BLOCK = 4 * KIB
SIZE = 300 * KIB
OLD = random_bytes(SIZE, 1)
EDITED = OLD[: SIZE // 2] + b"edited" + OLD[SIZE // 2 + 6 :]
OTHER = random_bytes(SIZE, 2)
BASIS = Basis(entry(OLD).digest, SIZE)


class Bench:
    """A planner between a source and a server."""

    def __init__(self, place: Path) -> None:
        self.place = place / "source"
        self.place.mkdir()
        self.remembered = RememberedSignatures(place / "signatures", NoMetrics())
        self.asked: list[tuple[int, int]] = []
        """Block size and number of blocks of each question to the server."""
        self.known: dict[bytes, bytes] = {BASIS.digest: OLD}
        """Content that the server has, by its digest."""
        self.root = Root.open(self.place)
        self.planner = DeltaPlanner(self.root, self.remembered, self._checksums, BLOCK, lambda: False)

    def close(self) -> None:
        """Close everything."""
        self.planner.close()
        self.root.close()

    def remember(self, content: bytes) -> None:
        """The signature of this content is remembered."""
        builder = SignatureBuilder(BLOCK)
        builder.feed(content)
        signature = builder.finish()
        assert signature is not None
        self.planner.remember(entry(content).digest, signature)

    def estimate(self, content: bytes) -> Strategy:
        """What an estimate for a file of this content leads to."""
        build(self.place, {"a": content})
        estimated = self.planner.estimate(EstimateSimilarity(path("a"), len(content), BASIS))
        return choose(len(content), estimated.similarity).strategy

    def compare(self, content: bytes) -> FileHashed | None:
        """Whether a file of this content is seen to differ from the basis."""
        build(self.place, {"a": content})
        return self.planner.compare(CompareFile(path("a"), None, BASIS))

    def _checksums(self, digest: bytes, block_size: int, ranges: Sequence[BlockRange]) -> Iterator[bytes]:
        content = self.known.get(digest)
        if content is None:
            raise NotFound("no such content")
        for first, count in ranges:
            self.asked.append((block_size, count))
            yield pack_checksums(content[first * block_size : (first + count) * block_size], block_size)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One for each test."""
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def test_remembered(bench: Bench) -> None:
    """With a remembered signature the server is not asked."""
    bench.remember(OLD)
    strategy = bench.estimate(EDITED)
    delta = bench.planner.take(path("a"))

    assert Strategy.DELTA is strategy
    assert delta is not None
    assert BASIS == delta.basis
    assert [] == bench.asked


def test_taken_once(bench: Bench) -> None:
    """A delta serves one reading of the file."""
    bench.remember(OLD)
    bench.estimate(EDITED)
    bench.planner.take(path("a"))

    assert bench.planner.take(path("a")) is None


def test_asked_for(bench: Bench) -> None:
    """Without one a sample is asked for, and the rest only if that is found."""
    similar = bench.estimate(EDITED)
    asked_for_similar, bench.asked = bench.asked, []
    bench.planner.take(path("a"))
    dissimilar = bench.estimate(OTHER)
    count = block_count(SIZE, BLOCK)

    assert (Strategy.DELTA, Strategy.WHOLE) == (similar, dissimilar)
    assert bench.planner.take(path("a")) is None
    assert sum(blocks for _, blocks in bench.asked) < count
    assert sum(blocks for _, blocks in bench.asked) < sum(blocks for _, blocks in asked_for_similar)


def test_unknown_to_the_server(bench: Bench) -> None:
    """Where the server cannot tell, the file goes whole."""
    bench.known.clear()

    assert Strategy.WHOLE is bench.estimate(EDITED)
    assert bench.planner.take(path("a")) is None


def test_gone(bench: Bench) -> None:
    """A file that cannot be read is left to the sender, which says why."""
    estimated = bench.planner.estimate(EstimateSimilarity(path("missing"), SIZE, BASIS))

    assert estimated.similarity is None


def test_differs(bench: Bench) -> None:
    """A file that differs from a remembered signature is seen to, without its digest."""
    bench.remember(OLD)

    assert FileHashed(path("a"), None, None) == bench.compare(EDITED)


def test_may_be_equal(bench: Bench) -> None:
    """A file that is equal, or of whose basis nothing is remembered, has to be hashed."""
    unknown = bench.compare(EDITED)
    bench.remember(OLD)

    assert unknown is None
    assert bench.compare(OLD) is None
