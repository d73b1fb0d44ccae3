"""A delta in two passes: coarse checksums first, fine ones only where the first pass found nothing."""

import random
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.delta.match.coarse import Found, Gap, Outline, Span, wanted_blocks
from dirsync.delta.match.matcher import Matcher
from dirsync.delta.pieces import Piece
from dirsync.limits import Limits
from tests.property.delta import edited
from tests.support.inside.matching import fed, fetched, merged
from tests.support.inside.patch import patch


def outlined(basis: bytes, target: bytes, block_size: int, limits: Limits) -> list[Span]:
    """The first pass."""
    outline = Outline(block_size, len(basis), limits)
    outline.add(fed(Matcher(fetched(basis, block_size * limits.coarse_factor), limits=limits), target, [1000] * 9))
    return outline.spans()


def filled(basis: bytes, target: bytes, block_size: int, spans: list[Span], limits: Limits) -> list[Piece]:
    """The second pass: the pieces of the whole delta."""
    fine = Matcher(fetched(basis, block_size, wanted_blocks(spans, limits)), limits=limits)
    pieces: list[Piece] = []
    for span in spans:
        match span:
            case Found(piece=piece):
                pieces.append(piece)
            case Gap(offset, length, expected):
                fine.restart(expected)
                pieces += fed(fine, target[offset : offset + length], [500, 600])
    return merged(pieces)


@given(st.data(), edited.contents(), st.sampled_from((1, 16, 100)), st.sampled_from((1, 2, 1000)))
def test_both_passes_make_the_target(data: st.DataObject, basis: bytes, block_size: int, most: int) -> None:
    """Spans cover the target without a gap, what is asked for is in the basis, and the pieces make the target."""
    target = data.draw(edited.edited(basis))
    limits = Limits(min_block_size=1, coarse_factor=4, min_zero_run=8, max_signature_ranges=most)
    spans = outlined(basis, target, block_size, limits)
    wanted = wanted_blocks(spans, limits)

    assert [sum(span.length for span in spans[:at]) for at in range(len(spans))] == [span.offset for span in spans]
    assert len(target) == sum(span.length for span in spans)
    assert len(wanted) <= most
    assert all(a.first + a.count < b.first for a, b in pairwise(wanted))
    assert all(first + count <= block_count(len(basis), block_size) for first, count in wanted)
    assert target == patch(basis, filled(basis, target, block_size, spans, limits), block_size)


BASIS = random.Random(3).randbytes(16_000)


@given(st.integers(0, len(BASIS)), st.integers(1, 300), st.integers(0, 300))
@example(2, 193, 194)  # a weak checksum that fits by chance, in a gap with few offsets
def test_an_edit_costs_what_it_costs_with_fine_blocks_alone(at: int, removed: int, added: int) -> None:
    """Next to an edit a few fine blocks are asked for, and then found; nothing else is asked for."""
    limits = Limits(min_block_size=1, coarse_factor=4)
    target = BASIS[:at] + random.Random(4).randbytes(added) + BASIS[at + removed :]
    spans = outlined(BASIS, target, 16, limits)
    pieces = filled(BASIS, target, 16, spans, limits)
    asked = sum(count for _, count in wanted_blocks(spans, limits))

    assert sum(len(piece) for piece in pieces if isinstance(piece, bytes)) <= added + 2 * 16
    assert asked <= 2 * (removed + added) // 16 + 4 * 4


def test_equal_content_asks_for_nothing() -> None:
    """Where the coarse pass finds everything there is no second one."""
    spans = outlined(BASIS, BASIS, 16, Limits(min_block_size=1))

    assert ([BlockRange(0, 1000)], []) == (
        [span.piece for span in spans if isinstance(span, Found)],
        wanted_blocks(spans),
    )
