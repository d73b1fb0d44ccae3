"""Content that is here already becomes another file without being sent: every byte checked, or not at all."""

import itertools
import mmap
import os
from pathlib import Path

import pytest

from dirsync.limits import LIMITS, MIB
from tests.support.faults.privileges import without_override
from tests.support.inside.deltas import based, copied, copy_content, delta, entry
from tests.support.peers.operations import MTIME_NS, batch, begin, commit, data, delete, digest, end, file, put, seen
from tests.support.peers.serving import Bench
from tests.support.peers.wire import OK, Wire
from tests.support.running.programs import Pair, Server
from tests.support.trees.content import random_bytes

SMALL = random_bytes(1000)
LARGE = random_bytes(2 * MIB + 1)
SIZES = {"small": 1000, "inline": LIMITS.inline_file_bytes, "framed": LIMITS.inline_file_bytes + 1, "large": len(LARGE)}
each_size = pytest.mark.parametrize("content", SIZES.values(), indirect=True, ids=SIZES)
_seeds = itertools.count(1)


@pytest.fixture
def content(request: pytest.FixtureRequest) -> bytes:
    """Content that no other test has: the server is the module's."""
    return random_bytes(getattr(request, "param", len(SMALL)), next(_seeds))


def have(bench: Bench, number: int, name: str, content: bytes) -> Path:
    """Put a file that may be too large for a batch, and commit it."""
    frames = [data(number, content[at : at + MIB // 2]) for at in range(0, len(content), MIB // 2)]
    committed = bench.settle(begin(number, bench.at(name), len(content)), *frames, end(number, digest(content)))

    assert [] == list(committed.failures)
    return bench.place / name


def lookups(server: Server) -> tuple[float, ...]:
    """How often the content cache answered hit, miss and stale so far."""
    samples = server.metrics()
    results = ("hit", "miss", "stale")
    return tuple(samples.value("dirsync_cache_lookups_total", cache="content", result=result) for result in results)


def since(before: tuple[float, ...], server: Server) -> tuple[float, ...]:
    """How often it answered since then."""
    return tuple(now - then for now, then in zip(lookups(server), before, strict=True))


@each_size
def test_copied(bench: Bench, content: bytes) -> None:
    """The content is found under any name, and the copy is a file of its own with the metadata that it is to have."""
    before = lookups(bench.server)
    source = have(bench, 2, "source", content)
    failures = bench.apply(copy_content(3, bench.at("copy"), content))
    source.write_bytes(b"changed")
    copy = bench.place / "copy"

    assert [] == failures
    assert (content, MTIME_NS) == (copy.read_bytes(), copy.stat().st_mtime_ns)
    assert (1, 0, 0) == since(before, bench.server)


def test_repeated(bench: Bench, content: bytes) -> None:
    """A copy replaces what was expected, and repeated it counts as applied, and leaves the file alone."""
    bench.apply(put(2, bench.at("source"), content), put(3, bench.at("copy"), b"old"))
    there = seen(file(b"old"))
    first = bench.apply(copy_content(4, bench.at("copy"), content, there))
    inode = (bench.place / "copy").stat().st_ino
    again = bench.apply(copy_content(5, bench.at("copy"), content, there))

    assert ([], []) == (first, again)
    # What was staged for the second one, and not needed, is gone, and with it the directory beside the root.
    assert [bench.server.root.name] == [p.name for p in bench.server.root.parent.iterdir() if "replica" in p.name]
    assert (content, inode) == ((bench.place / "copy").read_bytes(), (bench.place / "copy").stat().st_ino)


@each_size
def test_sent_once(bench: Bench, content: bytes) -> None:
    """Of two files with the same content in one push the second need not be sent, however large."""
    frames = [data(2, content[at : at + MIB // 2]) for at in range(0, len(content), MIB // 2)]
    sent = [begin(2, bench.at("one"), len(content)), *frames, end(2, digest(content))]
    committed = bench.settle(*sent, batch(copy_content(3, bench.at("two"), content)))

    assert [] == list(committed.failures)
    assert [content] * 2 == [(bench.place / name).read_bytes() for name in ("one", "two")]


@pytest.mark.needs("modes")
def test_sent_once_and_unreadable(pair: Pair) -> None:
    """A staged file that is to be published without permission to read it is no source for a copy, and no trouble."""
    server = pair.server(prefix=without_override())
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        push.send(batch(put(1, b"one", SMALL, mode=0o200), copy_content(2, b"two", SMALL)))
        first = push.send(commit()).receive()
        again = push.send(batch(copy_content(3, b"two", SMALL)), commit()).receive()
        status = push.finish()[1]

    assert OK == status
    assert [[(2, "CONTENT_NOT_FOUND")], [(3, "CONTENT_NOT_FOUND")]] == [
        [(failure.number, failure.reason) for failure in committed.failures] for committed in (first, again)
    ]
    assert first.root_digest == again.root_digest


def test_source_leaves_in_the_same_commit(bench: Bench, content: bytes) -> None:
    """Content whose only file an earlier operation of the same commit removes or replaces is still there."""
    bench.apply(put(2, bench.at("gone"), content), put(3, bench.at("other"), content[::-1]))
    failures = bench.apply(
        delete(4, bench.at("gone"), seen(file(content))),
        put(5, bench.at("other"), b"new", seen(file(content[::-1]))),
        copy_content(6, bench.at("one"), content),
        copy_content(7, bench.at("two"), content[::-1]),
    )

    assert [] == failures
    assert {"one": content, "two": content[::-1], "other": b"new"} == {
        path.name: path.read_bytes() for path in bench.place.iterdir()
    }


def test_gone(bench: Bench, content: bytes) -> None:
    """Content that nothing has any more, or never had, fails that operation by name, and others go on."""
    bench.apply(put(2, bench.at("gone"), content))
    bench.apply(delete(3, bench.at("gone"), seen(file(content))))
    before = lookups(bench.server)
    failures = bench.apply(
        copy_content(4, bench.at("one"), content),
        copy_content(5, bench.at("two"), content[::-1]),
        put(6, bench.at("three"), b"3"),
    )

    assert [(4, "CONTENT_NOT_FOUND", 2), (5, "CONTENT_NOT_FOUND", 2)] == [
        (failure.number, failure.reason, failure.outcome) for failure in failures
    ]
    assert ["three"] == [path.name for path in bench.place.iterdir()]
    assert (0, 2, 0) == since(before, bench.server)


@pytest.mark.case("G11")
@each_size
def test_edited_by_hand(bench: Bench, content: bytes) -> None:
    """A file that was edited is no source of its former content; the tree learns of it, and another file serves."""
    edited, replaced = have(bench, 2, "b", content), have(bench, 3, "c", content)
    keeps = have(bench, 4, "a", content)
    edited.write_bytes(content[::-1][:-1] + b"!")
    os.utime(edited, ns=(MTIME_NS, MTIME_NS))
    replaced.unlink()
    # The newest is tried first: let it be the one that is true.
    bench.apply(put(5, bench.at("x"), b"1"))
    before = lookups(bench.server)
    first = bench.apply(copy_content(6, bench.at("copy"), content))
    keeps.unlink()
    (bench.place / "copy").unlink()
    second = bench.apply(copy_content(7, bench.at("again"), content))

    assert ([], [(7, "CONTENT_NOT_FOUND")]) == (first, [(f.number, f.reason) for f in second])
    assert (1, 1, 4) == since(before, bench.server)
    assert digest(edited.read_bytes()) == entry(bench.wire, bench.at("b")).digest


@pytest.mark.case("G11", "I05")
def test_edited_unseen(bench: Bench, content: bytes) -> None:
    """An edit of which nothing shows is found when the content is copied: no wrong byte gets further."""
    source = have(bench, 2, "source", content)
    other = content[::-1]
    with source.open("r+b") as opened, mmap.mmap(opened.fileno(), 0) as mapping:
        mapping[0] = mapping[0]
        bench.settle(rescan=True)
        looked = os.lstat(source)
        mapping[:] = other
        after = os.lstat(source)
    before = lookups(bench.server)
    failures = bench.apply(copy_content(3, bench.at("copy"), content))
    now = bench.apply(copy_content(4, bench.at("copy"), other))

    # The positive control: without it the test would prove nothing on a file system that does show it.
    assert (looked.st_mtime_ns, looked.st_ctime_ns) == (after.st_mtime_ns, after.st_ctime_ns)
    assert ([(3, "CONTENT_NOT_FOUND")], []) == ([(f.number, f.reason) for f in failures], now)
    assert other == (bench.place / "copy").read_bytes()
    assert (1, 1, 1) == since(before, bench.server)


@pytest.mark.case("I05")
@pytest.mark.parametrize("by", [-1, 1])
def test_other_size(bench: Bench, by: int) -> None:
    """Content that exists, announced with another size, is a mismatch."""
    have(bench, 2, "source", SMALL)
    operation = copy_content(3, bench.at("copy"), SMALL)
    operation.copy_content.entry.size += by
    failures = bench.apply(operation)

    assert [(3, "MISMATCH")] == [(failure.number, failure.reason) for failure in failures]
    assert not (bench.place / "copy").exists()


def test_limits(pair: Pair) -> None:
    """A copy counts against the quota as if it had been sent."""
    server = pair.server(quota_bytes=2500)
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        push.send(batch(put(1, b"one", SMALL)), commit()).receive()
        push.send(batch(copy_content(2, b"two", SMALL), copy_content(3, b"three", SMALL)))
        failures = push.send(commit()).receive().failures
        status = push.finish()[1]

    assert OK == status
    assert [(3, "QUOTA_BYTES")] == [(failure.number, failure.reason) for failure in failures]


@pytest.mark.case("A09")
@pytest.mark.needs("strace")
def test_lying_disk(pair: Pair) -> None:
    """A kernel that says that it shared blocks, and did not, gets neither a copy nor a delta published."""
    lie = ["strace", "-D", "-f", "-qq", "-e", "inject=ioctl:retval=0", "-o", "/dev/null"]
    server = pair.server(prefix=[*lie, "-e", "trace=ioctl"])
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        frames = [data(1, LARGE[at : at + MIB // 2]) for at in range(0, len(LARGE), MIB // 2)]
        push.send(begin(1, b"one", len(LARGE)), *frames, end(1, digest(LARGE)), commit()).receive()
        push.send(batch(copy_content(2, b"two", LARGE)))
        push.send(based(3, b"three", 65536, digest(LARGE)), delta(3, copied(0, 16)), end(3, digest(LARGE[:65536])))
        failures = push.send(commit()).receive().failures
        push.cancel()
    server.kill()  # strace now and then forgets to pass a signal on; nothing is asked of the end here

    assert [(2, "STORAGE"), (3, "STORAGE")] == [(failure.number, failure.reason) for failure in failures]
    assert ["one"] == [path.name for path in server.root.iterdir()]
