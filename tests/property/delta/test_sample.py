"""What a sample says of how much a delta would find."""

import random

from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.sample import sample_blocks, similarity
from dirsync.delta.signature.signature import Signature
from tests.property.delta import edited
from tests.support.inside.matching import signed

BASIS = random.Random(5).randbytes(300_000)
SIGNATURES = (signed(BASIS, 512), signed(BASIS, 512, stride=4))


def estimated(signature: Signature, target: bytes) -> float:
    """The similarity of a target in memory."""
    return similarity(signature, lambda offset, length: target[offset : offset + length], len(target))


@given(st.integers(0, 10_000), st.integers(1, 50))
def test_sampled_blocks_are_spread(blocks: int, wanted: int) -> None:
    """As many as wanted and there, one in each stretch of equal length, the same every time."""
    picked = sample_blocks(blocks, wanted)

    assert min(blocks, wanted) == len(picked)
    assert picked == sample_blocks(blocks, wanted)
    if blocks > wanted:
        assert list(range(wanted)) == [next(s for s in range(wanted) if b < (s + 1) * blocks // wanted) for b in picked]
    else:
        assert list(range(blocks)) == picked


@given(st.data(), edited.contents(), edited.block_sizes)
def test_any_sample_is_a_part(data: st.DataObject, basis: bytes, block_size: int) -> None:
    """Whatever the contents and the signature, the answer is between nothing and everything."""
    target = data.draw(edited.edited(basis))

    assert 0 <= estimated(data.draw(edited.signatures(basis, block_size)), target) <= 1


@given(st.sampled_from(SIGNATURES), st.integers(0, len(BASIS)), st.binary(min_size=1, max_size=2000), st.booleans())
def test_one_edit_leaves_nearly_everything(signature: Signature, at: int, fresh: bytes, insert: bool) -> None:
    """Content put in or overwritten anywhere hides nothing: behind it everything is as far from the end as before."""
    target = BASIS[:at] + fresh + BASIS[at + (0 if insert else len(fresh)) :]

    assert estimated(signature, target) >= 0.9


@given(st.sampled_from(SIGNATURES), st.integers(100, 2**32))
def test_other_content_shares_nothing(signature: Signature, seed: int) -> None:
    """Random content of the same size has nothing in common."""
    assert estimated(signature, random.Random(seed).randbytes(len(BASIS))) == 0


@given(st.sampled_from(SIGNATURES), st.integers(1, 9))
def test_parts_are_estimated(signature: Signature, tenths: int) -> None:
    """Where part of the content was replaced, about that part is missing."""
    border = len(BASIS) * tenths // 10
    target = BASIS[:border] + random.Random(6).randbytes(len(BASIS) - border)

    assert abs(tenths / 10 - estimated(signature, target)) <= 0.1
