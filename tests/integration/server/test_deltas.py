"""Files rebuilt from a basis: exact or not at all, whatever the frames say and whatever becomes of the basis."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dirsync.limits import KIB, LIMITS, MIB
from tests.support.inside.deltas import BLOCK, Piece, based, copied, delta, literal, rebuilt, zeros
from tests.support.peers.operations import MTIME_NS, batch, begin, commit, data, delete, digest, end, file, put, seen
from tests.support.peers.serving import Bench
from tests.support.peers.wire import OK, Wire
from tests.support.running.programs import Pair, Server
from tests.support.trees.content import random_bytes

OLD = random_bytes(10 * BLOCK + 100)
NEW = OLD[:BLOCK] + b"inserted" + OLD[BLOCK : 5 * BLOCK] + bytes(3 * BLOCK) + OLD[9 * BLOCK :]
PIECES = (copied(0), literal(b"inserted"), copied(1, 4), zeros(3 * BLOCK), copied(9, 2))


@pytest.fixture
def old(bench: Bench) -> Path:
    """The basis, in place."""
    assert [] == bench.apply(put(2, bench.at("f"), OLD))
    return bench.place / "f"


def test_exact(bench: Bench, old: Path) -> None:
    """Literals, zeros and copies of the file itself, its short last block too, become the new file."""
    committed = bench.settle(*rebuilt(3, bench.at("f"), OLD, NEW, *PIECES))

    assert ([], [3]) == (list(committed.failures), list(committed.files))
    assert (NEW, MTIME_NS) == (old.read_bytes(), old.stat().st_mtime_ns)


def test_frames(bench: Bench, old: Path) -> None:
    """Frames of any kind follow one another, and two files that are rebuilt at once do not meet."""
    other = OLD[::-1]
    at, beside = bench.at("f"), bench.at("g")
    committed = bench.settle(
        based(3, at, len(NEW), digest(OLD), seen(file(OLD))),
        based(4, beside, len(other) + BLOCK, digest(OLD)),
        delta(3, copied(0)),
        data(4, other),
        data(3, b"inserted"),
        delta(4, copied(2)),
        delta(3, copied(1, 3)),
        delta(3, copied(4), zeros(BLOCK)),
        delta(3, zeros(2 * BLOCK), copied(9, 2)),
        end(4, digest(other + OLD[2 * BLOCK : 3 * BLOCK])),
        end(3, digest(NEW)),
    )

    assert ([], [3, 4]) == (list(committed.failures), sorted(committed.files))
    assert NEW == old.read_bytes()
    assert other + OLD[2 * BLOCK : 3 * BLOCK] == (bench.place / "g").read_bytes()


def test_basis_elsewhere(bench: Bench, old: Path) -> None:
    """The basis is found under whatever name it has now, also one that it was given by hand."""
    old.rename(bench.place / "elsewhere")
    bench.settle(rescan=True)
    at = bench.at("new")
    committed = bench.settle(based(3, at, len(NEW), digest(OLD)), delta(3, *PIECES), end(3, digest(NEW)))

    assert ([], [3]) == (list(committed.failures), list(committed.files))
    assert (NEW, OLD) == ((bench.place / "new").read_bytes(), (bench.place / "elsewhere").read_bytes())


def test_basis_of_this_commit_is_deleted(bench: Bench, old: Path) -> None:
    """A basis that an earlier operation of the same commit removes is still there: nothing is applied before."""
    committed = bench.settle(
        batch(delete(3, bench.at("f"), seen(file(OLD)))),
        based(4, bench.at("g"), len(NEW), digest(OLD)),
        delta(4, *PIECES),
        end(4, digest(NEW)),
    )

    assert ([], [4]) == (list(committed.failures), list(committed.files))
    assert (False, NEW) == (old.exists(), (bench.place / "g").read_bytes())


def test_zeros_without_basis(bench: Bench) -> None:
    """Zeros need no basis, and take no room on the disk (D13)."""
    size = 64 * MIB
    content = bytes(size) + b"end"
    committed = bench.settle(
        begin(2, bench.at("sparse"), len(content)),
        delta(2, zeros(size), literal(b"end")),
        end(2, digest(content)),
    )
    status = (bench.place / "sparse").stat()

    assert ([], len(content)) == (list(committed.failures), status.st_size)
    assert status.st_blocks * 512 < MIB


def test_basis_unknown(bench: Bench, old: Path) -> None:
    """A basis that the replica does not have fails that file by name; its frames are dropped, and others go on."""
    nobody = digest(b"nobody has this")
    committed = bench.settle(
        based(3, bench.at("f"), len(NEW), nobody, seen(file(OLD))),
        batch(put(4, bench.at("other"), b"x")),
        delta(3, *PIECES),
        data(3, b"more"),
        end(3, digest(NEW)),
    )

    assert [(3, "CONTENT_NOT_FOUND", 2)] == [(f.number, f.reason, f.outcome) for f in committed.failures]
    assert (OLD, b"x") == (old.read_bytes(), (bench.place / "other").read_bytes())


@pytest.mark.case("I05")
@pytest.mark.parametrize(
    "size, said, pieces",
    [
        (len(NEW), digest(OLD), PIECES),
        (len(NEW) + 1, digest(NEW), PIECES),
        (len(NEW) - 1, digest(NEW), PIECES),
        (len(NEW), digest(NEW), PIECES[:-1]),
        (len(NEW), digest(NEW), (*PIECES[:-1], copied(0, 1), literal(b"x" * 100))),
        (0, digest(b""), (copied(0),)),
    ],
    ids=["digest", "larger", "smaller", "incomplete", "other_blocks", "empty"],
)
def test_mismatch(bench: Bench, old: Path, size: int, said: bytes, pieces: tuple[Piece, ...]) -> None:
    """A file that does not come out as announced is not published, and says so."""
    committed = bench.settle(
        based(3, bench.at("f"), size, digest(OLD), seen(file(OLD))),
        delta(3, *pieces),
        end(3, said),
    )

    assert [(3, "MISMATCH")] == [(failure.number, failure.reason) for failure in committed.failures]
    assert OLD == old.read_bytes()


OUT_OF_RANGE = {
    "last": (11, 1),
    "over": (10, 2),
    "far": (1 << 62, 1),
    "all": (0, (1 << 63) - 1),
    "from_far": ((1 << 62) - 1, 1 << 62),
}


@pytest.mark.case("I06")
@pytest.mark.parametrize("first, count", OUT_OF_RANGE.values(), ids=OUT_OF_RANGE)
def test_copy_out_of_range(wire: Wire, open_bench: Callable[..., Bench], first: int, count: int) -> None:
    """A copy of blocks that the basis has not got ends the stream; nothing of the commit is published."""
    bench = open_bench()
    bench.apply(put(2, bench.at("f"), OLD))
    answers, status = bench.push.send(
        based(3, bench.at("f"), len(OLD), digest(OLD), seen(file(OLD))), delta(3, copied(first, count))
    ).finish()

    assert ([], "INVALID_ARGUMENT", "INVALID_DELTA") == (answers, *status[:2])
    assert OLD == (bench.place / "f").read_bytes()
    assert "SESSION_UNKNOWN" == wire.list(bench.session.session_id, b"").status.reason


@pytest.mark.case("I07")
def test_too_many_blocks(open_bench: Callable[..., Bench]) -> None:
    """A block size that cuts the basis into more blocks than a file may have ends the stream."""
    bench = open_bench()
    size = LIMITS.max_blocks * LIMITS.min_block_size + 1
    content = bytes(size)
    sent = [begin(2, bench.at("f"), size), delta(2, zeros(size)), end(2, digest(content))]

    assert [] == list(bench.settle(*sent).failures)
    status = bench.push.send(based(3, bench.at("g"), 1, digest(content), block_size=LIMITS.min_block_size)).finish()[1]
    assert ("INVALID_ARGUMENT", "INVALID_BLOCK_SIZE") == status[:2]


@pytest.mark.case("I09", "I11")
@pytest.mark.parametrize(
    "pieces",
    [[copied(0, 11)] * 16_000, [zeros((1 << 63) - 1)], [literal(OLD)] * 20],
    ids=["copies", "zeros", "literals"],
)
def test_more_than_declared(server: Server, bench: Bench, old: Path, pieces: list[Piece]) -> None:
    """A frame that stands for far more than was declared is given up where it would pass that."""
    before = server.metrics().value("dirsync_hashed_bytes_total")
    committed = bench.settle(
        based(3, bench.at("f"), len(OLD) + 5, digest(OLD), seen(file(OLD))),
        delta(3, *pieces),
        end(3, digest(NEW)),
    )

    assert [(3, "MISMATCH")] == [(failure.number, failure.reason) for failure in committed.failures]
    assert OLD == old.read_bytes()
    assert before == server.metrics().value("dirsync_hashed_bytes_total")


@pytest.mark.case("I10", "I11")
@pytest.mark.parametrize("size", [(1 << 63) - 1, 1 << 50], ids=["2_63", "1_PiB"])
def test_declared_too_large(bench: Bench, old: Path, size: int) -> None:
    """A size beyond any quota is refused before anything is copied for it."""
    committed = bench.settle(
        based(3, bench.at("f"), size, digest(OLD), seen(file(OLD))),
        delta(3, *[copied(0, 11)] * 16_000),
        end(3, digest(NEW)),
    )

    assert [(3, "MAX_FILE_SIZE", 5)] == [(f.number, f.reason, f.outcome) for f in committed.failures]
    assert OLD == old.read_bytes()


def test_quota(pair: Pair) -> None:
    """Files that are open at the same time count with all that they announced, and copies as if they were sent."""
    server = pair.server(quota_bytes="160KiB", min_free_bytes=0)
    content = random_bytes(48 * KIB)
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        push.send(batch(put(1, b"old", content)), commit()).receive()
        for number in (2, 3, 4):
            push.send(based(number, b"new%d" % number, len(content), digest(content)), delta(number, copied(0, 11)))
        for number in (2, 3, 4):
            push.send(delta(number, copied(11)), end(number, digest(content)))
        failures = push.send(commit()).receive().failures
        status = push.finish()[1]

    assert OK == status
    assert [(4, "QUOTA_BYTES")] == [(failure.number, failure.reason) for failure in failures]
