"""Compressed batches and frames: whatever a server offered arrives as it was, and a bomb costs what honesty costs."""

import zlib
from pathlib import Path

import pytest
import zstandard

from dirsync.limits import MIB
from dirsync.v1 import entry_pb2
from tests.support.peers.operations import Request, batch, begin, commit, digest, end, put
from tests.support.peers.serving import Bench
from tests.support.peers.wire import Wire
from tests.support.running.programs import Server

GZIP, ZSTD = entry_pb2.COMPRESSION_GZIP, entry_pb2.COMPRESSION_ZSTD
CONTENT = b"the same words again and again, " * 1000
FORMATS = {"gzip": GZIP, "zstd": ZSTD}
each_kind = pytest.mark.parametrize("kind", FORMATS.values(), ids=FORMATS)


def packed(kind: "entry_pb2.Compression.ValueType", payload: bytes) -> bytes:
    """The payload, compressed by the libraries themselves."""
    if kind == GZIP:
        compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
        return compressor.compress(payload) + compressor.flush()
    return zstandard.ZstdCompressor(level=19).compress(payload)


def compressed_batch(
    kind: "entry_pb2.Compression.ValueType", payload: bytes, size: int | None = None, raw: bytes | None = None
) -> Request:
    """A batch that claims to have ``size`` bytes."""
    raw = packed(kind, payload) if raw is None else raw
    size = len(payload) if size is None else size
    return Request(compressed_batch=Request.CompressedBatch(compression=kind, size=size, payload=raw))


def compressed_data(
    number: int, kind: "entry_pb2.Compression.ValueType", payload: bytes, size: int | None = None
) -> Request:
    """A frame that claims to have ``size`` bytes."""
    size = len(payload) if size is None else size
    literal = Request.Compressed(compression=kind, size=size, payload=packed(kind, payload))
    return Request(data=Request.FileData(number=number, compressed=literal))


@each_kind
def test_arrives(bench: Bench, kind: "entry_pb2.Compression.ValueType") -> None:
    """Compressed batches and frames, mixed with plain ones, give what was sent."""
    small = batch(put(2, bench.at("small"), CONTENT)).batch.SerializeToString()
    large = CONTENT * 50
    frames = [large[at : at + 500_000] for at in range(0, len(large), 500_000)]
    committed = bench.settle(
        compressed_batch(kind, small),
        begin(3, bench.at("large"), len(large)),
        *(compressed_data(3, kind, frame) for frame in frames[:-1]),
        Request(data=Request.FileData(number=3, literal=frames[-1])),
        end(3, digest(large)),
        compressed_batch(kind, b""),
    )

    assert ([], [3]) == (list(committed.failures), list(committed.files))
    assert (CONTENT, large) == tuple((bench.place / name).read_bytes() for name in ("small", "large"))


LIES = {
    "smaller": (len(CONTENT) - 1, "INVALID_COMPRESSION"),
    "larger": (len(CONTENT) + 1, "INVALID_COMPRESSION"),
    "nothing": (0, "INVALID_COMPRESSION"),
    "over": (MIB + 1, "MAX_MESSAGE_BYTES"),
    "most": ((1 << 32) - 1, "MAX_MESSAGE_BYTES"),
}


@each_kind
@pytest.mark.parametrize("size, reason", LIES.values(), ids=LIES)
@pytest.mark.parametrize("framed", [False, True], ids=["batch", "frame"])
def test_lies(wire: Wire, framed: bool, size: int, reason: str, kind: "entry_pb2.Compression.ValueType") -> None:
    """A payload of another size than it claims ends the stream by that reason."""
    lie = compressed_data(1, kind, CONTENT, size) if framed else compressed_batch(kind, CONTENT, size)
    status = wire.push(wire.open_session().session_id).send(begin(1, b"x", len(CONTENT)), lie, commit()).finish()[1]

    assert reason == status.reason
    assert ("RESOURCE_EXHAUSTED" if reason == "MAX_MESSAGE_BYTES" else "INVALID_ARGUMENT") == status.code


DAMAGED = {
    "noise": b"\x99" * 200,
    "nothing": b"",
    "gzip cut": packed(GZIP, CONTENT)[:30],
    "zstd cut": packed(ZSTD, CONTENT)[:-5],
    "gzip magic": b"\x1f\x8b\x08",
    "zstd magic": b"\x28\xb5\x2f\xfd",
}


@each_kind
@pytest.mark.parametrize("raw", DAMAGED.values(), ids=DAMAGED)
def test_damaged(wire: Wire, raw: bytes, kind: "entry_pb2.Compression.ValueType") -> None:
    """Bytes that no compressor made are INVALID_ARGUMENT."""
    broken = compressed_batch(kind, CONTENT, raw=raw)
    status = wire.push(wire.open_session().session_id).send(broken, commit()).finish()[1]

    assert ("INVALID_ARGUMENT", "INVALID_COMPRESSION") == status[:2]


@pytest.mark.parametrize("compression", [0, 1, 4, 99, -1])
def test_unknown(wire: Wire, compression: int) -> None:
    """A compression that was not offered is refused; none at all is said by a plain batch."""
    message = Request.CompressedBatch(compression=compression, size=1, payload=b"x")  # type: ignore[arg-type]
    status = wire.push(wire.open_session().session_id).send(Request(compressed_batch=message)).finish()[1]

    assert ("INVALID_ARGUMENT", "UNKNOWN_COMPRESSION") == status[:2]


def peak_kib(server: Server) -> int:
    """The most memory that the server has had, in KiB."""
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.case("I02")
@each_kind
def test_bomb(server: Server, wire: Wire, kind: "entry_pb2.Compression.ValueType") -> None:
    """Half a gigabyte of zeros in a message under the limit is refused, and costs the server next to no memory."""
    if kind == GZIP:
        bomb = packed(GZIP, bytes(512 * MIB))
    else:
        compressor = zstandard.ZstdCompressor(level=1, write_content_size=False)
        bomb = compressor.compress(bytes(512 * MIB))
    wire.push(wire.open_session().session_id).send(compressed_batch(kind, b"", MIB, b"x")).finish()
    before = peak_kib(server)
    statuses = [
        wire.push(wire.open_session().session_id).send(compressed_batch(kind, b"", size, bomb)).finish()[1]
        for size in (0, 1, MIB, 512 * MIB)
    ]

    assert len(bomb) < MIB
    assert {"INVALID_COMPRESSION", "MAX_MESSAGE_BYTES"} == {status.reason for status in statuses}
    assert peak_kib(server) - before < 32 * 1024
