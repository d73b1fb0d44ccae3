"""Computing the weak checksum, exact Adler-32 (RFC 1950, section 8.2), for every offset of a window at once.

With x for the bytes and L for the block size, Adler-32 of the block at offset k is ``B_k << 16 | A_k``, where

    A_k = 1 + (x_k + ... + x_{k+L-1})                mod 65521
    B_k = L + (L x_k + (L-1) x_{k+1} + ... + x_{k+L-1})  mod 65521

Without the 1, the L and the modulus, both are running sums: A grows by ``x_{k+L} - x_k``, then B by ``A - L x_k``. They
are accumulated in machine words that wrap. The result is exact, because every true value fits into the word: below 2^32
for blocks of up to 5,803 bytes (the bound behind zlib's NMAX), and below 2^56 for blocks of 16 MiB.
"""

import zlib
from typing import Final

from dirsync.delta.arrays import NDArray, np

MODULUS: Final = 65521
"""The largest prime below 2^16."""

_CHUNK: Final = 4096
"""Totals of a block are computed this many bytes at a time: the terms need eight times that much memory."""

Totals = tuple[int, int]
"""Both sums of one block, without the 1, the block size and the modulus."""

_Words = NDArray[np.uint32 | np.uint64]


def weak_sum(block: bytes | memoryview) -> int:
    """The weak checksum of one block."""
    return zlib.adler32(block)


def totals(block: memoryview) -> Totals:
    """Both sums of a block, exact."""
    first = second = 0
    ramp = np.arange(_CHUNK, 0, -1, dtype=np.uint64)
    for at in range(0, len(block), _CHUNK):
        data = np.frombuffer(block[at : at + _CHUNK], np.uint8).astype(np.uint64)
        total = int(data.sum())
        first += total
        second += int(data @ ramp[-len(data) :]) + (len(block) - at - len(data)) * total
    return first, second


class Rolling:
    """Computes the weak checksums of all offsets of windows, in memory that is allocated once.

    Fresh arrays for each window cost four times as much as the arithmetic (the kernel clears their pages), and
    ``np.remainder`` is not vectorised while ``np.floor_divide`` and a multiplication are.

    Args:
        block_size: in bytes, at most 16 MiB.
        offsets: the most offsets that one window has.
    """

    def __init__(self, block_size: int, offsets: int) -> None:
        self._block_size = block_size
        small = 255 * block_size * (block_size + 1) // 2 + block_size < 1 << 32
        words: type[np.uint32 | np.uint64] = np.uint32 if small else np.uint64
        self._steps: _Words = np.empty(offsets, words)
        self._first: _Words = np.empty(offsets, words)
        self._second: _Words = np.empty(offsets, words)
        self._sums = np.empty(offsets, np.uint32)
        self.last: Totals = (0, 0)
        """The totals of the last offset of the last window; a window that starts there does not compute them again."""

    def sums(self, window: memoryview, start: Totals | None = None) -> NDArray[np.uint32]:
        """The weak checksum of the block at each offset of ``window`` that has a whole block.

        Args:
            window: at least one block long.
            start: the totals of the first block, if known.

        Returns:
            One checksum for each offset, in memory that the next call overwrites.
        """
        size = self._block_size
        data = np.frombuffer(window, np.uint8)
        count = len(data) - size + 1
        leaving, entering = data[: count - 1], data[size:]
        steps, first, second, sums = self._steps[:count], self._first[:count], self._second[:count], self._sums[:count]
        start = start or totals(window[:size])

        np.subtract(entering, leaving, out=steps[1:], dtype=steps.dtype)
        steps[0] = start[0]
        np.add.accumulate(steps, out=first)

        np.multiply(leaving, size, out=steps[1:], dtype=steps.dtype)
        np.subtract(first[1:], steps[1:], out=steps[1:])
        steps[0] = start[1]
        np.add.accumulate(steps, out=second)
        self.last = int(first[-1]), int(second[-1])

        np.add(first, 1, out=first)
        _reduce(first, steps)
        np.add(second, size, out=second)
        _reduce(second, steps)
        np.left_shift(second, 16, out=second)
        np.bitwise_or(second, first, out=sums, casting="unsafe")
        return sums


def _reduce(values: _Words, spare: _Words) -> None:
    """Each value modulo 65521, in place."""
    np.floor_divide(values, MODULUS, out=spare)
    np.multiply(spare, MODULUS, out=spare)
    np.subtract(values, spare, out=values)


def weak_sums(window: bytes | memoryview, block_size: int) -> NDArray[np.uint32]:
    """The weak checksum of the block at each offset of a window, in a new array; empty if no block fits."""
    if len(window) < block_size:
        return np.empty(0, np.uint32)
    return Rolling(block_size, len(window) - block_size + 1).sums(memoryview(window))
