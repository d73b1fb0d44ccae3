"""Whether a file still is what a signature was made of."""

import random
from collections.abc import Iterator

import pytest

from dirsync.delta.compare import differs
from tests.support.inside.matching import signed

B = 64
BASIS = random.Random(1).randbytes(20 * B + 10)
CHANGED = BASIS[: 7 * B] + bytes([BASIS[7 * B] ^ 1]) + BASIS[7 * B + 1 :]


def frames(content: bytes) -> Iterator[bytes]:
    """The content in frames of four blocks."""
    for at in range(0, len(content), 4 * B):
        yield content[at : at + 4 * B]


@pytest.mark.parametrize("basis", [b"", BASIS[:B], BASIS[: B - 1], BASIS], ids=len)
def test_the_same(basis: bytes) -> None:
    """The content of the basis does not differ from it, whatever its size."""
    assert not differs(signed(basis, B), frames(basis))


@pytest.mark.parametrize(
    "content",
    [b"", BASIS[:-1], BASIS[: 4 * B], BASIS + b"x", BASIS + bytes(9 * B), CHANGED],
    ids=["empty", "shorter", "cut at a frame", "longer", "much longer", "changed"],
)
def test_another(content: bytes) -> None:
    """Content that is shorter, longer or changed differs."""
    assert differs(signed(BASIS, B), frames(content))


def test_reads_no_further() -> None:
    """Nothing is read behind the frame with the first difference."""
    left = frames(CHANGED)

    assert differs(signed(BASIS, B), left)
    assert CHANGED[8 * B : 12 * B] == next(left)
