"""What the server counts: each way of bringing content counts what it saved, and the sums come out."""

import zlib
from typing import NamedTuple

from dirsync.v1 import entry_pb2
from tests.support.inside.deltas import BLOCK, based, copied, copy_content, delta, entry, literal, move, zeros
from tests.support.peers.operations import (
    Request,
    batch,
    begin,
    data,
    digest,
    end,
    file,
    make_directory,
    put,
    seen,
    set_metadata,
)
from tests.support.peers.serving import Bench
from tests.support.running.metrics import Samples
from tests.support.trees.content import random_bytes, text

OLD = random_bytes(10 * BLOCK)
WORDS = text(3 * BLOCK)
LITERAL = "dirsync_literal_bytes_total"


class Counted(NamedTuple):
    """What was counted; what is 0 is left out of the first two."""

    transferred: dict[str, float]
    """Files, by strategy."""
    saved: dict[str, float]
    """Bytes, by reason."""
    logical: float
    literal: float


class Count:
    """The counters of content, since they were last looked at."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._before = bench.server.metrics()

    def now(self) -> Counted:
        """What was counted since the last time; checks the identity that holds at any time."""
        before, after = self._before, self._bench.server.metrics()
        self._before = after
        counted = Counted(
            _differences(before, after, "dirsync_files_transferred_total", "strategy"),
            _differences(before, after, "dirsync_saved_bytes_total", "reason"),
            *(after.value(name) - before.value(name) for name in ("dirsync_logical_bytes_total", LITERAL)),
        )
        elsewhere = sum(size for reason, size in counted.saved.items() if reason != "compression")

        assert counted.logical == counted.literal + elsewhere
        return counted


def _differences(before: Samples, after: Samples, name: str, label: str) -> dict[str, float]:
    then, now = before.sums(name, label), after.sums(name, label)
    return {key: now[key] - then[key] for key in now if now[key] != then[key]}


def compressed_delta(number: int, *pieces: Request.Piece) -> tuple[Request, int]:
    """A delta frame, compressed, and how many bytes that saved."""
    raw = Request.Delta(pieces=pieces).SerializeToString()
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = compressor.compress(raw) + compressor.flush()
    what = Request.Compressed(compression=entry_pb2.COMPRESSION_GZIP, size=len(raw), payload=packed)
    return Request(data=Request.FileData(number=number, compressed_delta=what)), len(raw) - len(packed)


def test_each_way(bench: Bench) -> None:
    """Whole, delta, dedup, rename and metadata each count their files, and what did not have to come."""
    count = Count(bench)
    small = OLD[:100]
    bench.settle(
        begin(2, bench.at("f"), len(OLD)), data(2, OLD), end(2, digest(OLD)), batch(put(3, bench.at("small"), small))
    )
    whole = count.now()

    new = OLD[: 4 * BLOCK] + WORDS + bytes(2 * BLOCK) + OLD[8 * BLOCK :]
    frame, packed = compressed_delta(4, copied(0, 4), literal(WORDS))
    bench.settle(
        based(4, bench.at("f"), len(new), digest(OLD), seen(file(OLD))),
        frame,
        delta(4, zeros(2 * BLOCK), copied(8, 2)),
        end(4, digest(new)),
    )
    rebuilt = count.now()

    bench.apply(copy_content(5, bench.at("copy"), new), make_directory(6, bench.at("d")))
    copies = count.now()

    bench.apply(
        move(7, bench.at("copy"), bench.at("d/moved"), file(new)),
        move(8, bench.at("small"), bench.at("d/s"), file(small)),
    )
    files_moved = count.now()

    d = entry(bench.wire, bench.at("d"))
    bench.apply(move(9, bench.at("d"), bench.at("e"), d))
    bench.apply(move(10, bench.at("d"), bench.at("e"), d))
    directory_moved = count.now()

    bench.apply(move(11, bench.at("e"), bench.at("f"), entry(bench.wire, bench.at("e")), file(new), exchange=True))
    exchanged = count.now()

    bench.apply(
        set_metadata(12, bench.at("e"), seen(file(new))),
        set_metadata(13, bench.at("f"), seen(entry(bench.wire, bench.at("f")))),
    )
    metadata = count.now()

    logical, came = len(new), len(WORDS) + 2 * BLOCK
    both = len(new) + len(small)
    assert Counted({"whole": 2}, {}, len(OLD) + 100, len(OLD) + 100) == whole
    assert Counted({"delta": 1}, {"delta": 6 * BLOCK, "compression": packed + 2 * BLOCK}, logical, came) == rebuilt
    assert Counted({"dedup": 1}, {"dedup": logical}, logical, 0) == copies
    assert Counted({"rename": 2}, {"rename": both}, both, 0) == files_moved
    assert Counted({"rename": 2}, {"rename": both}, both, 0) == directory_moved
    assert Counted({"rename": 3}, {"rename": both + logical}, both + logical, 0) == exchanged
    assert Counted({"metadata": 1}, {}, 0, 0) == metadata


def test_failures(bench: Bench) -> None:
    """What was not applied counts as that, by operation and outcome, and brings nothing."""
    count = Count(bench)
    name = "dirsync_changes_applied_total"
    before = bench.server.metrics()
    bench.apply(
        copy_content(2, bench.at("copy"), b"nobody has this content"),
        move(3, bench.at("a"), bench.at("b"), file(b"nothing there")),
        make_directory(4, bench.at("d")),
    )
    after = bench.server.metrics()

    assert Counted({}, {}, 0, 0) == count.now()
    for operation, outcome in (("copy_content", "mismatch"), ("move", "changed"), ("make_directory", "applied")):
        labels = {"operation": operation, "outcome": outcome}
        assert 1 == after.value(name, **labels) - before.value(name, **labels)


def test_compression_never_saves_more_than_came(bench: Bench) -> None:
    """Where compression saved more on a delta's copies than its literals are, no more than the literals counts."""
    bench.settle(begin(2, bench.at("f"), len(OLD)), data(2, OLD), end(2, digest(OLD)))
    count = Count(bench)
    new = OLD[:BLOCK] * 500 + b"x"
    frame, packed = compressed_delta(3, *[copied(0)] * 500, literal(b"x"))
    bench.settle(based(3, bench.at("f"), len(new), digest(OLD), seen(file(OLD))), frame, end(3, digest(new)))

    assert packed > 1
    assert Counted({"delta": 1}, {"delta": len(new) - 1, "compression": 1}, len(new), 1) == count.now()
