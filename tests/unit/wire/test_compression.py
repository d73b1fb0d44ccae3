"""Compression of single messages, and payloads that are not what they say."""

import pytest

from dirsync.errors import RemoteError
from dirsync.limits import LIMITS
from dirsync.wire.compression import Compression, compress, decompress, shares, shrinks

TEXT = b"the same again " * 100
PACKING = pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])


@PACKING
def test_there_and_back(compression: Compression) -> None:
    """What was compressed comes out as it was, and was smaller."""
    packed = compress(compression, TEXT)

    assert len(packed) < len(TEXT)
    assert TEXT == decompress(compression, packed, len(TEXT))


def test_none() -> None:
    """Without compression the payload is what it was."""
    assert TEXT == compress(Compression.NONE, TEXT)


@PACKING
@pytest.mark.parametrize("size", [0, len(TEXT) - 1, len(TEXT) + 1])
def test_another_size(compression: Compression, size: int) -> None:
    """A payload of another size than announced is refused."""
    with pytest.raises(RemoteError) as refused:
        decompress(compression, compress(compression, TEXT), size)

    assert "INVALID_COMPRESSION" == refused.value.reason


@PACKING
def test_damaged(compression: Compression) -> None:
    """A payload that is not compressed at all is refused."""
    with pytest.raises(RemoteError) as refused:
        decompress(compression, TEXT, len(TEXT))

    assert "INVALID_COMPRESSION" == refused.value.reason


@pytest.mark.parametrize(
    "compression, size, reason",
    [(Compression.GZIP, LIMITS.max_message_bytes + 1, "MAX_MESSAGE_BYTES"), (99, 10, "UNKNOWN_COMPRESSION")],
)
def test_never_tried(compression: int, size: int, reason: str) -> None:
    """A size above the limit and an unknown compression are refused before anything is unpacked."""
    with pytest.raises(RemoteError) as refused:
        decompress(compression, TEXT, size)

    assert reason == refused.value.reason


@pytest.mark.parametrize(
    "saved, sizes, expected",
    [(10, [50, 50], [5, 5]), (10, [], []), (5, [0, 0], [0, 0]), (300, [100, 100], [100, 100]), (7, [1, 2], [1, 2])],
)
def test_shares(saved: int, sizes: list[int], expected: list[int]) -> None:
    """What is saved is spread by size, and none saves more than it has."""
    assert expected == shares(saved, sizes)


@pytest.mark.parametrize("sample, expected", [(TEXT, True), (bytes(range(256)), False)], ids=["text", "no text"])
def test_shrinks(sample: bytes, expected: bool) -> None:
    """Only what shrinks by a tenth is worth it."""
    assert expected == shrinks(sample)
