"""What content that was made to be expensive costs the server: as much as any other of its size."""

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from dirsync.limits import LIMITS, MIB
from tests.support.inside.deltas import BLOCK, Piece, based, copied, delta, literal, signature, zeros
from tests.support.peers.operations import begin, commit, data, digest, end
from tests.support.peers.wire import OK, Wire
from tests.support.running.programs import Server
from tests.support.trees.content import random_bytes

pytestmark = pytest.mark.programs

SIZE = 32 * MIB


def colliding() -> bytes:
    """Blocks that all differ and all have one Adler-32: +1, -2, +1 at any three bytes in a row changes neither sum."""
    plain = bytearray(b"\x80" * BLOCK)
    blocks = []
    for number in range(SIZE // BLOCK):
        block = bytearray(plain)
        for bit in range(16):
            if number >> bit & 1:
                at = bit * 3
                block[at], block[at + 1], block[at + 2] = 0x81, 0x7E, 0x81
        blocks.append(bytes(block))

    assert 1 == len({zlib.adler32(block) for block in blocks})
    assert len(blocks) == len(set(blocks))
    return b"".join(blocks)


CONTENTS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: bytes(SIZE),
    "one_block": lambda: random_bytes(BLOCK) * (SIZE // BLOCK),
    "colliding": colliding,
}


def hashed(server: Server) -> float:
    """Bytes that the server has hashed so far."""
    return server.metrics().value("dirsync_hashed_bytes_total")


def peak_kib(server: Server) -> int:
    """The most memory that the server has had, in KiB."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.case("I24", "I25")
@pytest.mark.parametrize("make", CONTENTS.values(), ids=CONTENTS)
def test_signature(server: Server, wire: Wire, make: Callable[[], bytes]) -> None:
    """Each byte is read and hashed once, whatever it is."""
    content = make()
    session_id = wire.open_session().session_id
    push = wire.push(session_id)
    push.send(begin(1, b"costly", SIZE))
    for at in range(0, SIZE, MIB // 2):
        push.send(data(1, content[at : at + MIB // 2]))
    committed = push.send(end(1, digest(content)), commit()).receive()
    before = hashed(server)
    pages, status = signature(wire, session_id, digest(content))
    (server.root / "costly").unlink()

    assert [1] == list(committed.files)
    assert (OK, SIZE) == (status, hashed(server) - before)
    last = content[-BLOCK:]
    assert zlib.adler32(last).to_bytes(4, "little") + hashlib.sha256(last).digest() == pages[-1].checksums[-36:]


HOSTILE: dict[str, tuple[Piece, ...]] = {
    "copies": (copied(0),) * LIMITS.max_frame_pieces,
    "literals": (literal(b"x"),) * LIMITS.max_frame_pieces,
    "zeros": (zeros(1),) * LIMITS.max_frame_pieces,
    "mixed": (copied(0), zeros(1), literal(b"x"), zeros(4096)) * (LIMITS.max_frame_pieces // 4),
}


@pytest.mark.case("I03", "I11")
@pytest.mark.parametrize("pieces", HOSTILE.values(), ids=HOSTILE)
def test_many_pieces(server: Server, wire: Wire, pieces: tuple[Piece, ...]) -> None:
    """Frames of as many pieces as are taken cost time for what they stand for, and no memory."""
    basis = random_bytes(BLOCK)
    what = {"copy": basis, "literal": b"x"}
    content = b"".join(what.get(piece.WhichOneof("piece") or "", bytes(piece.zeros)) for piece in pieces) * 3
    push = wire.push(wire.open_session().session_id)
    push.send(begin(1, b"basis", BLOCK), data(1, basis), end(1, digest(basis)), commit()).receive()
    before, memory = hashed(server), peak_kib(server)
    push.send(based(2, b"made", len(content), digest(basis)), *[delta(2, *pieces)] * 3, end(2, digest(content)))
    committed = push.send(commit()).receive()
    same = content == (server.root / "made").read_bytes()
    for name in ("basis", "made"):
        (server.root / name).unlink()

    assert ([2], True) == (list(committed.files), same)
    assert len(content) == hashed(server) - before
    assert peak_kib(server) - memory < 48 * 1024
