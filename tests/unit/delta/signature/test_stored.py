"""Signatures that are built, and kept."""

import random
import zlib

import numpy as np
import pytest

from dirsync.delta.blocks import BlockRange
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.levels import group_for, stride_for
from dirsync.delta.signature.packed import CHECKSUMS_SIZE, pack_checksums
from dirsync.delta.signature.signature import Signature
from dirsync.delta.signature.stored import dump_signature, load_signature
from dirsync.delta.strong import SHA256, XXH3, Strong
from dirsync.limits import LIMITS, Limits
from tests.support.inside.matching import built, fetched, signed

BASIS = random.Random(1).randbytes(50_000)


def test_more_blocks_than_allowed_are_no_signature() -> None:
    """A file that grows while it is read may not make a signature of any size."""
    builder = SignatureBuilder(100, limits=Limits(max_blocks=10))
    sizes = []
    for _ in range(100):
        builder.feed(BASIS[:100])
        sizes.append(len(builder._strong_sums))

    assert builder.finish() is None
    assert max(sizes) <= 10 * 16


def test_exactly_as_many_blocks_as_allowed_are_one() -> None:
    """The bound itself is allowed."""
    builder = SignatureBuilder(100, limits=Limits(max_blocks=10))
    builder.feed(BASIS[:1000])

    assert builder.finish() is not None


@pytest.mark.parametrize(
    "like",
    [
        signed(BASIS, 512, stride=4),
        signed(BASIS, 512, stride=2),
        signed(BASIS, 256, stride=4),
        fetched(BASIS, 512),
        fetched(BASIS, 512, [BlockRange(0, 5)]),
        signed(BASIS[:7000], 512, stride=4),
        signed(b"x" + BASIS, 512, stride=4),
    ],
)
def test_what_it_is_like_changes_nothing(like: object) -> None:
    """An earlier signature saves work where it fits, and never changes the result."""
    builder = SignatureBuilder(512, stride=4, like=like)  # type: ignore[arg-type]
    builder.feed(BASIS[:20_000] + b"?" + BASIS[20_001:])
    made, alone = builder.finish(), built(BASIS[:20_000] + b"?" + BASIS[20_001:], 512, stride=4)

    assert made is not None
    assert dump_signature(alone) == dump_signature(made)


def test_weak_checksums_are_taken_over() -> None:
    """Those of parts of frames that have stayed are not computed again; here one can tell, because they are wrong."""
    former = signed(BASIS, 500, stride=4)
    wrong = Signature(500, len(BASIS), XXH3, former.strong_sums, former.weak_sums ^ np.uint32(1), stride=4)
    builder = SignatureBuilder(500, stride=4, like=wrong)
    builder.feed(BASIS[:20_000])
    builder.feed(b"?" + BASIS[20_001:])
    made, right = builder.finish(), signed(b"%b?%b" % (BASIS[:20_000], BASIS[20_001:]), 500, stride=4).weak_sums

    assert made is not None
    expected = [*wrong.weak_sums[:10], *right[10:12], *wrong.weak_sums[12:]]
    assert expected == made.signature().weak_sums.tolist()


def test_checksums_of_equal_groups_are_taken_over() -> None:
    """No block of a group that stayed is hashed again; here one can tell, because its checksums are wrong."""
    former = signed(BASIS, 500)
    nothing = np.frombuffer(bytes(16 * former.count), "V16")
    wrong = Signature(500, len(BASIS), XXH3, nothing, former.weak_sums ^ np.uint32(1))
    target = b"%b?%b" % (BASIS[:20_000], BASIS[20_001:])
    builder = SignatureBuilder(500, like=wrong.with_groups(former.group, former.group_sums))
    for at in range(0, len(target), 16_000):
        builder.feed(target[at : at + 16_000])
    made, right = builder.finish(), signed(target, 500)

    assert made is not None
    assert right.group_sums.tobytes() == made.group_sums
    stayed = {*range(32), *range(48, 96)}
    found = made.signature()
    assert [bytes(16) if block in stayed else right.strong_sum(block) for block in range(100)] == [
        found.strong_sum(block) for block in range(100)
    ]
    weak_sums = right.weak_sums.tolist()
    assert [weak ^ (block in stayed) for block, weak in enumerate(weak_sums)] == found.weak_sums.tolist()


@pytest.mark.parametrize("group, sums", [(8, 13), (16, 3), (16, 0)])
def test_groups_that_do_not_fit_save_nothing(group: int, sums: int) -> None:
    """Of another program's making, or fewer than there are: the result is the same."""
    former = signed(BASIS, 500)
    like = former.with_groups(group, former.group_sums[: 16 * sums])
    builder = SignatureBuilder(500, like=like)
    builder.feed(BASIS)
    made = builder.finish()

    assert made is not None
    assert built(BASIS, 500) == made


@pytest.mark.parametrize(
    "block_size, strong, group", [(512, XXH3, 16), (61_440, XXH3, 16), (61_441, XXH3, 0), (512, SHA256, 0)]
)
def test_which_signatures_have_groups(block_size: int, strong: Strong, group: int) -> None:
    """Those whose groups fit into a frame, and whose checksums are fast."""
    assert group == group_for(block_size, strong)


def test_large_files_have_sparse_signatures() -> None:
    """Beyond 64 MiB only every sixteenth block has a weak checksum."""
    assert (1, 16) == (stride_for(LIMITS.sparse_weak_bytes), stride_for(LIMITS.sparse_weak_bytes + 1))


def test_packed_checksums_are_those_of_the_protocol() -> None:
    """Adler-32 little-endian, then SHA-256; the last block may be short."""
    packed = pack_checksums(b"abc" * 100 + b"d", 300)

    assert 2 * CHECKSUMS_SIZE == len(packed)
    assert zlib.adler32(b"d").to_bytes(4, "little") == packed[36:40]
    assert "18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4" == packed[40:].hex()


def test_a_stored_signature_of_too_many_blocks_is_none() -> None:
    """Bounds hold for what is read back, too."""
    stored = dump_signature(built(BASIS, 512))

    assert load_signature(stored, Limits(max_blocks=97)) is None
    assert load_signature(stored, Limits(max_blocks=98)) is not None


@pytest.mark.parametrize("at", [*range(23), *range(24, 31)])
def test_every_field_of_the_header_counts(at: int) -> None:
    """A header that says something else is refused even where its checksum is right.

    All but the lowest byte of the size: with as many blocks, another size is as sound.
    """
    stored = bytearray(dump_signature(built(BASIS, 512, stride=4)))
    stored[at] ^= 0x80
    stored[-4:] = zlib.crc32(stored[:-4]).to_bytes(4, "little")

    assert load_signature(bytes(stored)) is None
