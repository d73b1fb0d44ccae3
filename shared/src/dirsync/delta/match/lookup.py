"""Finding blocks by weak checksum: two tables as filters, then a search in sorted checksums.

The search costs a hundred times what an offset may cost, so only offsets that pass both tables are searched for. A
table has one byte for each slot, not one bit: extracting bits costs four more passes over a window, which is more than
the memory is worth. A table has at most 4 MiB, so that it stays in a processor's cache. The second is asked only about
what passed the first.
"""

from typing import Final, NamedTuple

from dirsync.delta.arrays import NDArray, np

_SPREADS: Final = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
"""Odd factors (2^32 over the golden ratio, Knuth, volume 3, 6.4; and one of xxHash's primes), one for each table. The
upper bits of the products are evenly distributed where the checksums of similar bytes are close together."""
_MIN_BITS: Final = 16
_MAX_BITS: Final = 22
_SLOTS_A_SUM: Final = 16
"""Slots for each checksum, up to the largest table: one offset in this many passes a table by chance."""


class Scratch(NamedTuple):
    """Memory for one window, allocated once."""

    slots: NDArray[np.uint32]
    places: NDArray[np.intp]
    passed: NDArray[np.bool_]


class Candidates(NamedTuple):
    """Ascending offsets of a window whose weak checksum some block has, and its place among the sorted checksums."""

    offsets: NDArray[np.intp]
    places: NDArray[np.intp]


class Lookup:
    """Sorted weak checksums and the rows that have them.

    Args:
        weak: checksums.
        rows: the row of each.
    """

    def __init__(self, weak: NDArray[np.uint32], rows: NDArray[np.uint32]) -> None:
        self._weak, self._rows = _sorted(weak, rows)
        bits = min(max((len(weak) * _SLOTS_A_SUM - 1).bit_length(), _MIN_BITS), _MAX_BITS)
        self._shift = np.uint32(32 - bits)
        self._first, self._second = (np.zeros(1 << bits, np.bool_) for _ in _SPREADS)
        for table, spread in zip((self._first, self._second), _SPREADS, strict=True):
            table[(self._weak * spread) >> self._shift] = True

    def __len__(self) -> int:
        """The number of checksums."""
        return len(self._weak)

    @staticmethod
    def scratch(offsets: int) -> Scratch:
        """The memory that :meth:`candidates` needs for windows of up to this many offsets."""
        return Scratch(np.empty(offsets, np.uint32), np.empty(offsets, np.intp), np.empty(offsets, np.bool_))

    def candidates(self, sums: NDArray[np.uint32], scratch: Scratch) -> Candidates:
        """The checksums that some block has."""
        slots, places, passed = (memory[: len(sums)] for memory in scratch)
        np.multiply(sums, _SPREADS[0], out=slots)
        np.right_shift(slots, self._shift, out=slots)
        places[:] = slots
        np.take(self._first, places, out=passed, mode="clip")
        offsets = np.flatnonzero(passed)
        offsets = offsets[self._second[(sums[offsets] * _SPREADS[1]) >> self._shift]]
        wanted = sums[offsets]
        found = np.searchsorted(self._weak, wanted)
        np.minimum(found, len(self._weak) - 1, out=found)
        right = self._weak[found] == wanted
        return Candidates(offsets[right], found[right])

    def rows(self, place: int, near: int, most: int) -> NDArray[np.uint32]:
        """The rows that have the checksum at ``place``, which is the first place with that checksum.

        If there are more than ``most``, those from row ``near`` on are preferred: where content is repeated, the copy
        that continues where the last one ended is most likely to continue.
        """
        weak = self._weak
        if place + 1 == len(weak) or weak[place + 1] != weak[place]:
            return self._rows[place : place + 1]
        rows = self._rows[place : int(np.searchsorted(weak, weak[place], side="right"))]
        start = int(np.searchsorted(rows, min(near, 0xFFFFFFFF)))
        return np.concatenate((rows[start : start + most], rows[: min(start, max(0, most - len(rows) + start))]))


def _sorted(weak: NDArray[np.uint32], rows: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Sort by checksum, then row. Sorting both in one word is several times as fast as argsort."""
    both = np.left_shift(weak, np.uint64(32), dtype=np.uint64)
    np.bitwise_or(both, rows, out=both)
    both.sort()
    ordered = both.astype(np.uint32)
    np.right_shift(both, np.uint64(32), out=both)
    return both.astype(np.uint32), ordered
