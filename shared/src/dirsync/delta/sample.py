"""Estimating how much of a target a delta would find, before computing it.

A few blocks are compared where they would be if nothing had moved, and where they would be if content had been inserted
or removed before them; some are searched for in windows at all offsets. This takes some milliseconds for a file of any
size.
"""

from collections.abc import Callable

from dirsync.delta.match.search import Search
from dirsync.delta.match.target_buffer import TargetBuffer
from dirsync.delta.signature.signature import Signature
from dirsync.limits import LIMITS, Limits

Read = Callable[[int, int], bytes]
"""Reads the target: from offset and length, in bytes, to the content; shorter at the end."""


def sample_blocks(block_count: int, wanted: int = LIMITS.sample_blocks) -> list[int]:
    """Choose at most ``wanted`` of so many blocks, ascending, one from each of ``wanted`` equal ranges.

    The place within the range differs from one range to the next, so that periodic content is not sampled in step with
    its period. The choice is the same every time.
    """
    if block_count <= wanted:
        return list(range(block_count))
    picked = []
    for part in range(wanted):
        start, end = part * block_count // wanted, (part + 1) * block_count // wanted
        # Multiples of the golden ratio, modulo 1, are distributed most evenly (Knuth, volume 3, 6.4).
        picked.append(start + ((part * 0x9E3779B1) % (1 << 32)) * (end - start) // (1 << 32))
    return picked


def similarity(signature: Signature, read: Read, size: int, limits: Limits = LIMITS) -> float:
    """The estimated part, 0 to 1, of a target of ``size`` bytes that is in the basis of a signature.

    Args:
        signature: a complete one; or a partial one in which :func:`sample_blocks` are known, which tells less about
            content that moved far.
        read: reads the target.
        size: of the target, in bytes.
        limits: the bounds in force.
    """
    sample = _Sample(signature, read, size, limits)
    return sample.of_target() if signature.complete else sample.of_basis()


class _Sample:
    """One estimate for one target and one signature."""

    def __init__(self, signature: Signature, read: Read, size: int, limits: Limits) -> None:
        self._signature = signature
        self._read = read
        self._size = size
        self._limits = limits
        self._block = signature.block_size
        self._blocks = max(1, min(limits.sample_blocks, limits.sample_bytes // (2 * self._block)))
        self._shift = signature.size - size
        """How much further content is from the start of the basis if its distance to the end is the same."""

    def of_target(self) -> float:
        """Estimate by looking for blocks of the target in the basis."""
        picked = sample_blocks(self._size // self._block, self._blocks)
        missed = [block for block in picked if not self._in_place(block) and not self._from_end(block)]
        # This many offsets of a part that moved contain one block with a weak checksum; other parts hardly any.
        return self._estimate(len(picked), missed, self._signature.stride * self._block)

    def of_basis(self) -> float:
        """Estimate by looking for the known blocks of the basis in the target."""
        signature = self._signature
        rows = sum(known.count for known in signature.ranges)
        picked = [signature.block(row) for row in sample_blocks(rows, self._blocks)]
        picked = [block for block in picked if block < signature.whole]
        missed = [
            block
            for block in picked
            if not self._is(block, block * self._block) and not self._is(block, block * self._block - self._shift)
        ]
        found = self._estimate(len(picked), missed, self._limits.sample_window_bytes)
        return min(1.0, found * signature.size / self._size) if self._size else 0.0

    def _estimate(self, picked: int, missed: list[int], reach: int) -> float:
        """The part found in place, and elsewhere as often as windows of ``reach`` offsets at missed blocks have one."""
        if not picked:
            return 0.0
        tried = min(self._limits.sample_windows, self._limits.sample_search_bytes // reach)
        windows = [self._window(missed[at] * self._block, reach) for at in sample_blocks(len(missed), tried)]
        elsewhere = len(missed) * self._search(windows) / len(windows) if windows else 0
        return (picked - len(missed) + elsewhere) / picked

    def _in_place(self, block: int) -> bool:
        """Whether a block of the target is where it was."""
        return self._is(block, block * self._block)

    def _from_end(self, block: int) -> bool:
        """Whether a block of the target is as far from the end as it was."""
        wanted = -(-(block * self._block + self._shift) // self._block)
        return self._is(wanted, wanted * self._block - self._shift)

    def _is(self, block: int, offset: int) -> bool:
        """Whether a block of the basis is at an offset of the target."""
        if not 0 <= block < self._signature.whole or not 0 <= offset <= self._size - self._block:
            return False
        wanted = self._signature.strong_sum(block)
        return wanted is not None and wanted == self._signature.strong.digest(self._read(offset, self._block))

    def _window(self, middle: int, reach: int) -> tuple[int, int]:
        """The offsets around ``middle`` to search: first and end."""
        last = max(0, self._size - self._block + 1)
        start = min(max(0, middle - reach // 2), max(0, last - reach))
        return start, min(start + reach, last)

    def _search(self, windows: list[tuple[int, int]]) -> int:
        """How many windows contain some block of the basis."""
        if not windows or not len(self._signature.lookup):
            return 0
        buffer = TargetBuffer()
        search = Search(self._signature, buffer, self._limits)
        hits = 0
        for start, end in windows:
            at = buffer.end
            buffer.release(at)
            buffer.keep()
            buffer.append(memoryview(self._read(start, end - start + self._block - 1)))
            offsets = buffer.end - at - self._block + 1
            hits += offsets > 0 and search.find(at, at + offsets, 0, offsets) is not None
        return hits
