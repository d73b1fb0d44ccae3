"""The fine pass over a target, after the coarse one."""

import random

import pytest

from dirsync.delta.blocks import BlockRange
from dirsync.delta.match.coarse import Outline, Span, wanted_blocks
from dirsync.delta.match.matcher import Matcher
from dirsync.delta.match.refine import Refiner
from dirsync.delta.pieces import Piece, Zeros
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.strong import XXH3
from tests.support.inside.matching import fed, fetched, framed, merged
from tests.support.inside.patch import patch

B = 16
COARSE = 16 * B
DICE = random.Random(7).randbytes(64 * COARSE)
BASIS = DICE[: 40 * COARSE] + bytes(4 * COARSE) + DICE[40 * COARSE :] + b"tail"
TARGETS = {
    "equal": BASIS,
    "empty": b"",
    "edited": BASIS[: 9 * COARSE + 3] + b"new" + BASIS[9 * COARSE + 40 :],
    "grown": BASIS + b"more than there was",
    "new": random.Random(8).randbytes(5 * COARSE),
    "zeros": bytes(20 * COARSE) + BASIS,
    "swapped": BASIS[30 * COARSE :] + BASIS[: 30 * COARSE],
}


def outlined(target: bytes) -> list[Span]:
    """What the coarse pass finds."""
    outline = Outline(B, len(BASIS))
    outline.add(fed(Matcher(fetched(BASIS, COARSE)), target))
    return outline.spans()


def refined(refiner: Refiner, target: bytes, length: int) -> list[Piece]:
    """The pieces of a target that comes in frames of that length."""
    pieces: list[Piece] = []
    for frame in framed(target, [length] * (len(target) // length)):
        pieces += [bytes(piece) if isinstance(piece, memoryview) else piece for piece in refiner.feed(frame)]
    return merged([*pieces, *refiner.finish()])


@pytest.mark.parametrize("length", [B - 1, COARSE, 100 * COARSE], ids=["tiny", "block", "large"])
@pytest.mark.parametrize("name", TARGETS)
def test_makes_the_target(name: str, length: int) -> None:
    """The pieces make the target, and the builder hears all of it."""
    target = TARGETS[name]
    spans = outlined(target)
    builder = SignatureBuilder(B, XXH3)
    refiner = Refiner(spans, fetched(BASIS, B, wanted_blocks(spans)), B, builder)
    pieces = refined(refiner, target, length)
    heard = builder.finish()
    literal = sum(len(piece) for piece in pieces if not isinstance(piece, BlockRange | Zeros))

    assert target == patch(BASIS, pieces, B)
    assert heard is not None
    assert len(target) == heard.size
    assert literal == len(target) or literal < 3 * B


def test_without_fine_checksums() -> None:
    """Where nothing was fetched, a gap travels as it is."""
    target = TARGETS["edited"]
    spans = outlined(target)
    pieces = refined(Refiner(spans, None, B), target, COARSE)

    assert target == patch(BASIS, pieces, B)
    assert any(isinstance(piece, bytes) for piece in pieces)


def test_copies_come_with_their_frame() -> None:
    """A long copy comes out a part with each frame, not as a whole at its end."""
    refiner = Refiner(outlined(BASIS), None, B)
    pieces = [refiner.feed(BASIS[at : at + COARSE]) for at in range(0, 8 * COARSE, COARSE)]

    assert [[BlockRange(at, COARSE // B)] for at in range(0, 8 * COARSE // B, COARSE // B)] == pieces


def test_a_target_that_grew() -> None:
    """What comes behind the last span of the first pass is passed on."""
    refiner = Refiner(outlined(BASIS), None, B)
    refiner.feed(BASIS)

    assert [b"grown"] == [bytes(piece) for piece in refiner.feed(b"grown") if isinstance(piece, memoryview)]
    assert [] == refiner.finish()


def test_a_target_that_shrank() -> None:
    """A target that ends within a copy still gets all of it: its digest shows the change."""
    refiner = Refiner(outlined(BASIS), None, B)
    fed_pieces = refiner.feed(BASIS[:COARSE])
    rest = refiner.finish()

    assert [BlockRange(0, COARSE // B)] == fed_pieces
    assert [BlockRange] == [type(piece) for piece in rest]
