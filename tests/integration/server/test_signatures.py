"""Signatures: the checksums of exactly the blocks that were asked for, of content that the replica really has."""

import contextlib
import hashlib
import os
import zlib
from pathlib import Path

import grpc
import pytest

from dirsync.limits import KIB, LIMITS, MIB
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.inside.deltas import delta, signature, signature_call, zeros
from tests.support.peers.operations import begin, data, digest, end, put
from tests.support.peers.serving import Bench
from tests.support.peers.wire import status_of
from tests.support.running.programs import Server
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes

CONTENT = random_bytes(300 * KIB + 17)


def checksums(content: bytes, block_size: int, first: int = 0, count: int | None = None) -> bytes:
    """What the server should say of some blocks, by the libraries themselves."""
    end = None if count is None else (first + count) * block_size
    part = content[first * block_size : end]
    blocks = [part[at : at + block_size] for at in range(0, len(part), block_size)]
    return b"".join(zlib.adler32(b).to_bytes(4, "little") + hashlib.sha256(b).digest() for b in blocks)


@pytest.fixture
def known(bench: Bench) -> Path:
    """A file of the replica with the content."""
    committed = bench.settle(begin(2, bench.at("f"), len(CONTENT)), data(2, CONTENT), end(2, digest(CONTENT)))

    assert [] == list(committed.failures)
    return bench.place / "f"


def asked(bench: Bench, content: bytes = CONTENT, **how: object) -> tuple[list[pb.GetSignatureResponse], str]:
    """The pages, and how the call ended: its reason, or OK."""
    pages, status = signature(bench.wire, bench.session.session_id, digest(content), **how)  # type: ignore[arg-type]
    return pages, status.reason or status.code


@pytest.mark.parametrize("block_size", [512, 4096, 65_536, 100_000, len(CONTENT), MIB, 16 * MIB])
def test_all_blocks(bench: Bench, known: Path, block_size: int) -> None:
    """Without ranges every block is described once, in order, the short last one too."""
    pages, how = asked(bench, block_size=block_size)

    assert "OK" == how
    assert checksums(CONTENT, block_size) == b"".join(page.checksums for page in pages)
    blocks = 0
    for page in pages:
        assert blocks == page.first_block
        blocks += len(page.checksums) // 36


@pytest.mark.parametrize("ranges", [[(0, 1)], [(75, 1)], [(0, 2), (3, 1), (10, 66)], [(5, 3), (8, 4)]])
def test_ranges(bench: Bench, known: Path, ranges: list[tuple[int, int]]) -> None:
    """Only what was asked for is described."""
    pages, how = asked(bench, ranges=ranges)
    said = {}
    for page in pages:
        for number in range(len(page.checksums) // 36):
            said[page.first_block + number] = page.checksums[number * 36 : number * 36 + 36]

    assert "OK" == how
    assert {
        block: checksums(CONTENT, 4096, block, 1) for first, count in ranges for block in range(first, first + count)
    } == said


@pytest.mark.case("I06", "I07")
@pytest.mark.parametrize("ranges", [[(76, 1)], [(0, 77)], [(75, 2)], [(0, 1), (1 << 62, 1)], [(0, (1 << 63) - 1)]])
def test_beyond_the_end(bench: Bench, known: Path, ranges: list[tuple[int, int]]) -> None:
    """Blocks that the content has not got are refused, and none is described."""
    assert ([], "INVALID_RANGE") == asked(bench, ranges=ranges)


@pytest.mark.case("I07")
def test_too_many_blocks(bench: Bench) -> None:
    """A block size that cuts the content into more blocks than a file may have is refused."""
    size = LIMITS.max_blocks * 512 + 1
    content = bytes(size)
    committed = bench.settle(begin(2, bench.at("f"), size), delta(2, zeros(size)), end(2, digest(content)))

    assert [] == list(committed.failures)
    assert ([], "INVALID_BLOCK_SIZE") == asked(bench, content, block_size=512)


def test_unknown(bench: Bench, known: Path) -> None:
    """Content that the replica does not have is not found, and neither is that of an empty file."""
    bench.apply(put(3, bench.at("empty"), b""))

    assert ([], "CONTENT_NOT_FOUND") == asked(bench, b"nobody has this")
    assert ([], "CONTENT_NOT_FOUND") == asked(bench, b"")


@pytest.mark.case("G11")
def test_edited_by_hand(bench: Bench) -> None:
    """A file that was edited is not described as what it was, but as what it is."""
    content, edited = random_bytes(1000, seed=1), random_bytes(1000, seed=2)
    bench.apply(put(2, bench.at("f"), content))
    (bench.place / "f").write_bytes(edited)
    before = asked(bench, content)
    pages, how = asked(bench, edited)

    assert (([], "CONTENT_NOT_FOUND"), "OK") == (before, how)
    assert [checksums(edited, 4096)] == [page.checksums for page in pages]


@pytest.fixture
def large(bench: Bench) -> bytes:
    """The digest of a file whose signature in blocks of 512 bytes is more than any window holds."""
    size = LIMITS.max_blocks * 512
    content = digest(bytes(size))
    committed = bench.settle(begin(2, bench.at("large"), size), delta(2, zeros(size)), end(2, content))

    assert [] == list(committed.failures)
    return content


def test_changed_meanwhile(bench: Bench, large: bytes) -> None:
    """A file that is edited while it is read ends the call: what came so far is worth nothing."""
    call = signature_call(bench.wire, bench.session.session_id, large, 512)
    next(call)
    with (bench.place / "large").open("r+b") as edited:
        edited.write(b"edited")
    pages = 1
    with contextlib.suppress(grpc.RpcError):
        pages += sum(1 for _ in call)

    assert ("ABORTED", "CONTENT_CHANGED") == status_of(call)[:2]
    assert pages < LIMITS.max_blocks * 36 // LIMITS.signature_bytes


def test_cancelled(bench: Bench, large: bytes) -> None:
    """A client that goes does not keep the server reading, and all the while the replica is free."""
    before = bench.server.metrics().value("dirsync_hashed_bytes_total")
    call = signature_call(bench.wire, bench.session.session_id, large, 512)
    next(call)
    failures = bench.apply(put(3, bench.at("meanwhile"), b"x"))
    held = is_open(bench.server, bench.place / "large")
    call.cancel()
    until(lambda: not is_open(bench.server, bench.place / "large"), "the server to let go of the file")

    assert ([], True) == (failures, held)
    assert bench.server.metrics().value("dirsync_hashed_bytes_total") - before < LIMITS.max_blocks * 512 / 2


def is_open(server: Server, path: Path) -> bool:
    """Whether the server has a descriptor of the file."""
    links = Path(f"/proc/{server.pid}/fd")
    return str(path) in (os.readlink(links / name) for name in os.listdir(links))
