"""Strong checksums of the target's blocks at one shift, each computed once.

While target and basis go on in step, all blocks that are compared lie a whole number of blocks apart: they are a lane.
What was hashed ahead and found different is compared again further on, so it is kept until the lane is left.
"""

from dirsync.delta.builder import SignatureBuilder
from dirsync.delta.strong import Strong
from dirsync.delta.tape import Tape


class Lane:
    """Strong checksums of consecutive blocks of what is on a tape.

    Args:
        tape: the target.
        block_size: in bytes.
        strong: which checksum.
        builder: makes the target's own signature. The blocks that it hashes are those at multiples of the block size;
            where it takes the same checksum nothing is hashed twice.
    """

    def __init__(self, tape: Tape, block_size: int, strong: Strong, builder: SignatureBuilder | None) -> None:
        self._tape = tape
        self._block_size = block_size
        self._strong = strong
        shared = builder is not None and (builder.block_size, builder.strong) == (block_size, strong)
        self._builder = builder if shared else None
        self._at = 0
        self._sums = b""
        self.hashed_bytes = 0
        """What was hashed here, in bytes."""

    def sums(self, offset: int, count: int) -> bytes:
        """The checksums, one after the other, of ``count`` blocks from ``offset`` on; all of them are on the tape."""
        size, width = self._block_size, self._strong.size
        if self._builder and offset % size == 0:
            return self._builder.sums(offset // size, count)
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
