"""T3: the vectorised weak checksum, the rolling one and zlib's are one and the same."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from dirsync.delta.rolling import MODULUS, Rolling, totals, weak_sums

windows = st.binary(max_size=300) | st.integers(0, 300).map(lambda length: b"\xff" * length)


@given(windows, st.integers(1, 80))
def test_every_offset_has_its_adler32(window: bytes, block_size: int) -> None:
    """At each offset of a window with a whole block stands what zlib computes of that block."""
    expected = [zlib.adler32(window[at : at + block_size]) for at in range(len(window) - block_size + 1)]

    assert expected == weak_sums(window, block_size).tolist()


def roll(weak: int, block_size: int, leaving: int, entering: int) -> int:
    """The weak checksum one byte further on: one byte leaves at the front, one enters at the end."""
    a = ((weak & 0xFFFF) - leaving + entering) % MODULUS
    b = ((weak >> 16) - block_size * leaving + a - 1) % MODULUS
    return b << 16 | a


@given(windows, st.integers(1, 80))
def test_rolling_is_adler32(window: bytes, block_size: int) -> None:
    """Rolled on a byte at a time, a checksum is that of the block one byte further."""
    weak = zlib.adler32(window[:block_size])
    for at in range(len(window) - block_size):
        weak = roll(weak, block_size, window[at], window[at + block_size])

        assert zlib.adler32(window[at + 1 : at + 1 + block_size]) == weak


@given(st.sampled_from((5802, 5803, 5804, 9000, 70_000)), st.sampled_from((b"\x00", b"\xff", b"\x01\xfe\x80")))
def test_no_sum_overflows(block_size: int, pattern: bytes) -> None:
    """Blocks about the size where 32 bits cease to do have the right checksums, whatever their bytes."""
    window = (pattern * 2 * block_size)[: block_size + 20]
    expected = [zlib.adler32(window[at : at + block_size]) for at in range(21)]

    assert expected == weak_sums(window, block_size).tolist()


@given(st.binary(min_size=30, max_size=300), st.integers(1, 20), st.data())
def test_windows_continue_each_other(content: bytes, block_size: int, data: st.DataObject) -> None:
    """A window that begins at the last offset of the one before it may begin with that one's totals."""
    border = data.draw(st.integers(block_size, len(content) - 1))
    rolling = Rolling(block_size, len(content))
    former = rolling.sums(memoryview(content)[:border]).tolist()
    latter = rolling.sums(memoryview(content)[border - block_size :], rolling.last).tolist()

    assert weak_sums(content, block_size).tolist() == former + latter[1:]


@given(st.binary(max_size=9000))
def test_totals_are_what_the_sums_are_made_of(block: bytes) -> None:
    """With the 1, the length and the modulus, both totals make the checksum."""
    first, second = totals(memoryview(block))

    assert zlib.adler32(block) == (second + len(block)) % 65521 << 16 | (first + 1) % 65521
