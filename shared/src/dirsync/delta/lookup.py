"""Finding blocks by weak checksum: a table as a first filter, then sorted checksums.

The table has one byte for each slot, not one bit: picking bits out of bytes costs four more passes over a window than
the memory is worth. It is at most 4 MiB, so that it stays in a processor's cache.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_SPREAD: Final = np.uint32(0x9E3779B1)
"""2^32 over the golden ratio (Knuth, volume 3, 6.4): spreads over slots what sums of alike bytes cluster."""
_MIN_BITS: Final = 16
_MAX_BITS: Final = 22
_SLOTS_A_SUM: Final = 64
"""Slots for each checksum, where the largest table allows: one offset in so many passes the filter by chance."""


class Scratch(NamedTuple):
    """Memory for one window, allocated once."""

    slots: NDArray[np.uint32]
    places: NDArray[np.intp]
    passed: NDArray[np.bool_]


class Candidates(NamedTuple):
    """Offsets of a window whose weak checksum some block has, ascending; and where that checksum stands, sorted."""

    offsets: NDArray[np.intp]
    places: NDArray[np.intp]


class Lookup:
    """Weak checksums, sorted, and whose they are.

    Args:
        weak: checksums.
        rows: the row of each.
    """

    def __init__(self, weak: NDArray[np.uint32], rows: NDArray[np.uint32]) -> None:
        both = np.left_shift(weak, np.uint64(32), dtype=np.uint64)
        np.bitwise_or(both, rows, out=both)
        both.sort()
        self._rows = both.astype(np.uint32)
        np.right_shift(both, np.uint64(32), out=both)
        self._weak = both.astype(np.uint32)
        bits = min(max((len(weak) * _SLOTS_A_SUM).bit_length(), _MIN_BITS), _MAX_BITS)
        self._shift = np.uint32(32 - bits)
        self._table = np.zeros(1 << bits, np.bool_)
        self._table[(self._weak * _SPREAD) >> self._shift] = True

    def __len__(self) -> int:
        """How many checksums there are."""
        return len(self._weak)

    @staticmethod
    def scratch(offsets: int) -> Scratch:
        """What :meth:`candidates` needs for windows of up to so many offsets."""
        return Scratch(np.empty(offsets, np.uint32), np.empty(offsets, np.intp), np.empty(offsets, np.bool_))

    def candidates(self, sums: NDArray[np.uint32], scratch: Scratch) -> Candidates:
        """Those of the checksums that some block has."""
        slots, places, passed = (memory[: len(sums)] for memory in scratch)
        np.multiply(sums, _SPREAD, out=slots)
        np.right_shift(slots, self._shift, out=slots)
        places[:] = slots
        np.take(self._table, places, out=passed, mode="clip")
        offsets = np.flatnonzero(passed)
        wanted = sums[offsets]
        found = np.searchsorted(self._weak, wanted)
        np.minimum(found, len(self._weak) - 1, out=found)
        right = self._weak[found] == wanted
        return Candidates(offsets[right], found[right])

    def rows(self, place: int, near: int, most: int) -> NDArray[np.uint32]:
        """Rows that share the checksum at ``place``, the first of those with it.

        Of more than ``most`` those that start at row ``near``: where content is repeated, the copy that goes on where
        the last one ended is most likely to go on.
        """
        end = int(np.searchsorted(self._weak, self._weak[place], side="right"))
        rows = self._rows[place:end]
        start = int(np.searchsorted(rows, min(near, 0xFFFFFFFF)))
        return np.concatenate((rows[start : start + most], rows[: min(start, max(0, most - len(rows) + start))]))
