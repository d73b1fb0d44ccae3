"""Which interrupted uploads are kept."""

from dataclasses import replace

import pytest

from dirsync.endpoint.uploads.bounds import Kept, surplus
from dirsync.limits import LIMITS

FEW = replace(LIMITS, max_kept_uploads=2, kept_upload_share=0.5, kept_upload_seconds=10.0)
NOW = 100 * 10**9
A, B, C = b"a", b"b", b"c"


def kept(upload_id: bytes, size: int = 0, age: float = 0.0) -> Kept:
    """An upload of so many bytes, and so many seconds old."""
    return Kept(upload_id, size, NOW - int(age * 1e9))


@pytest.mark.parametrize(
    "uploads, free_bytes, dropped",
    [
        ([], 0, []),
        ([kept(A, age=10), kept(B, age=10.1)], 0, [B]),
        ([kept(A, age=-1000)], 0, []),
        ([kept(A, age=2), kept(B, age=1), kept(C, age=3)], 0, [C]),
        ([kept(A, 10, 1), kept(B, 10, 2)], 20, []),
        ([kept(A, 10, 1), kept(B, 10, 2)], 19, [B]),
        ([kept(A, 30, 1), kept(B, 10, 2)], 0, [A]),
    ],
)
def test_surplus(uploads: list[Kept], free_bytes: int, dropped: list[bytes]) -> None:
    """What is too old, too many or too large; of two the older one."""
    assert dropped == surplus(uploads, NOW, free_bytes, FEW)
