"""Comparing target and basis at one shift, each block of the target hashed once.

While target and basis go on in step, all blocks that are compared lie a whole number of blocks apart: they are a lane.
What was hashed ahead and found different is compared again further on, so it is kept until the lane is left.
"""

import numpy as np
from numpy.typing import NDArray

from dirsync.delta.match.target_buffer import Tape
from dirsync.delta.rolling import weak_sum
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.signature import Signature


class Lane:
    """Compares what is on a tape with the blocks of a signature.

    Args:
        tape: the target.
        signature: of the basis.
        builder: makes the target's own signature. The blocks that it hashes are those at multiples of the block size;
            where it takes the same checksum nothing is hashed twice.
    """

    def __init__(self, tape: Tape, signature: Signature, builder: SignatureBuilder | None) -> None:
        self._tape = tape
        self._signature = signature
        self._size = signature.block_size
        self._strong = signature.strong
        # Where the weak checksum costs less and is known of all.
        self._weak_first = signature.strong.slow and signature.stride == 1
        shared = builder is not None and (builder.block_size, builder.strong) == (self._size, self._strong)
        self._builder = builder if shared else None
        self._at = 0
        self._sums = b""
        self.hashed_bytes = 0
        """What was hashed here, in bytes."""

    def run(self, offset: int, block: int, count: int) -> int:
        """How many blocks from ``offset`` on, at most ``count``, are those of the basis from ``block`` on."""
        same = self._signature.equal(block, self._strong_sums(offset, count))
        return count if same.all() else int(same.argmin())

    def first(self, offset: int, block: int, count: int, *, likely: bool) -> int | None:
        """Which of ``count`` blocks from ``offset`` on is the first that is its like of those from ``block`` on.

        If there probably is one, what is hashed will be needed again; else the cheapest checksum is asked first.
        """
        if count < 1 or not self._signature.knows_any(block, count):
            return None
        if self._weak_first and not likely:
            same = self._signature.equal_weak(block, self._weak_sums(offset, count))
            fits: list[int] = np.flatnonzero(same).tolist()
            return next((at for at in fits if self.is_block(offset + at * self._size, block + at)), None)
        same = self._signature.equal(block, self._strong_sums(offset, count))
        at = int(same.argmax())
        return at if same[at] else None

    def is_block(self, offset: int, block: int) -> bool:
        """Whether a block of the basis is at ``offset``."""
        wanted = self._signature.strong_sum(block)
        return wanted is not None and wanted == self._strong_sums(offset, 1)

    def _strong_sums(self, offset: int, count: int) -> bytes:
        """The strong checksums, one after the other, of blocks that are all on the tape."""
        size, width = self._size, self._strong.size
        if self._builder and offset % size == 0:
            sums = self._builder.sums(offset // size, count)
            # A builder that was fed more than it may remember has forgotten everything.
            if len(sums) == count * width:
                return sums
        distance = offset - self._at
        if distance < 0 or distance % size or distance > len(self._sums) // width * size:
            self._at, self._sums = offset, b""
        elif distance:
            self._at, self._sums = offset, self._sums[distance // size * width :]
        known = len(self._sums) // width
        if known < count:
            data = self._tape.view(offset + known * size, offset + count * size)
            self._sums += self._strong.of_blocks(data, size)
            self.hashed_bytes += len(data)
        return self._sums[: count * width]

    def _weak_sums(self, offset: int, count: int) -> NDArray[np.uint32]:
        """The weak checksums of such blocks."""
        size = self._size
        data = self._tape.view(offset, offset + count * size)
        self.hashed_bytes += len(data)
        return np.array([weak_sum(data[at : at + size]) for at in range(0, len(data), size)], np.uint32)
