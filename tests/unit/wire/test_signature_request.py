"""What a client may ask of ``GetSignature``, to the last value on each side of every bound."""

import pytest

from dirsync.errors import RemoteError
from dirsync.limits import LIMITS, MIB
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.signature import decode_signature_request

SESSION, DIGEST = b"s" * 16, b"d" * 32


def reason(session: bytes = SESSION, digest: bytes = DIGEST, block_size: int = 4096, ranges: int = 0) -> str:
    """Why a request is refused; empty if it is taken. ``ranges`` is their number."""
    asked = [pb.BlockRange(first=2 * number, count=1) for number in range(ranges)]
    message = pb.GetSignatureRequest(session_id=session, digest=digest, block_size=block_size, ranges=asked)
    try:
        decode_signature_request(message.SerializeToString())
    except RemoteError as error:
        return error.reason
    return ""


@pytest.mark.case("I07")
@pytest.mark.parametrize("block_size", [0, 1, 511, 16 * MIB + 1, (1 << 32) - 1])
def test_block_size(block_size: int) -> None:
    """Blocks of a size that no delta may have are not asked for."""
    assert "INVALID_BLOCK_SIZE" == reason(block_size=block_size)


@pytest.mark.case("I08")
@pytest.mark.parametrize(
    "digest",
    [b"", b"d", b"d" * 31, b"d" * 33, b"d" * 65_536, bytes(32)],
    ids=["0", "1", "31", "33", "64k", "unknown"],
)
def test_digest(digest: bytes) -> None:
    """Content is named by 32 bytes, and never by those that mean an unknown digest."""
    assert "INVALID_DIGEST" == reason(digest=digest)


@pytest.mark.case("I03")
@pytest.mark.parametrize(
    "ranges, expected",
    [(0, ""), (LIMITS.max_signature_ranges, ""), (LIMITS.max_signature_ranges + 1, "MAX_SIGNATURE_RANGES")],
    ids=["none", "most", "too_many"],
)
def test_number_of_ranges(ranges: int, expected: str) -> None:
    """As many ranges as the limit says may be named, and one more is refused by the limit's name."""
    assert expected == reason(ranges=ranges)


def test_session() -> None:
    """The session is named by an id that can be one."""
    assert "INVALID_SESSION_ID" == reason(session=b"short")
