"""Comparing target and basis at one shift, hashing each block of the target once.

While target and basis are in step, all blocks that are compared are a whole number of blocks apart. Blocks that were
hashed ahead and differed are compared again later, so their checksums are kept until the shift changes.
"""

from dirsync.delta.arrays import NDArray, np
from dirsync.delta.match.target_buffer import TargetBuffer
from dirsync.delta.rolling import weak_sum
from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.signature import Signature


class AlignedMatcher:
    """Compares the target in a buffer with the blocks of a signature.

    Args:
        buffer: the target.
        signature: of the basis.
        builder: makes the target's own signature. It hashes the blocks at multiples of the block size; where it uses
            the same checksum, nothing is hashed twice.
    """

    def __init__(self, buffer: TargetBuffer, signature: Signature, builder: SignatureBuilder | None) -> None:
        self._buffer = buffer
        self._signature = signature
        self._size = signature.block_size
        self._strong = signature.strong
        # Where the weak checksum costs less and is known for all blocks.
        self._weak_first = signature.strong.slow and signature.stride == 1
        shared = builder is not None and (builder.block_size, builder.strong) == (self._size, self._strong)
        self._builder = builder if shared else None
        self._at = 0
        self._sums = b""
        self.hashed_bytes = 0
        """Bytes hashed here."""

    def run(self, offset: int, block: int, count: int) -> int:
        """How many blocks from ``offset`` on, at most ``count``, match those of the basis from ``block`` on."""
        size, group = self._size, self._signature.group
        if self._builder and offset % size == 0:
            if offset == block * size and self._builder.is_like(self._signature, block, count):
                return count
            return self._run(offset, block, count)
        if not group:
            return self._run(offset, block, count)
        before = min(-block % group, count)
        done = self._run(offset, block, before) if before else 0
        if done < before or done == count:
            return done
        groups = (count - done) // group
        if groups:
            done += group * self._groups(offset + done * size, block + done, groups)
        # A group that differs, or what is left of blocks after the last whole group.
        rest = min(group, count - done)
        return done + (self._run(offset + done * size, block + done, rest) if rest else 0)

    def _groups(self, offset: int, block: int, count: int) -> int:
        """How many groups from ``offset`` on match those of the basis from ``block`` on, which begins one."""
        group = self._signature.group
        size = group * self._size
        data = self._buffer.view(offset, offset + count * size)
        for number in range(count):
            part = data[number * size : (number + 1) * size]
            self.hashed_bytes += size
            if not self._signature.equal_groups(block + number * group, self._strong.digest(part)):
                return number
        return count

    def _run(self, offset: int, block: int, count: int) -> int:
        """The same as :meth:`run`, block by block."""
        same = self._signature.equal(block, self._strong_sums(offset, count))
        return count if same.all() else int(same.argmin())

    def first(self, offset: int, block: int, count: int, *, likely: bool) -> int | None:
        """The index of the first of ``count`` blocks from ``offset`` on that matches its block from ``block`` on.

        If a match is ``likely``, the hashes will be needed again; otherwise the cheapest checksum is compared first.
        """
        if count < 1 or not self._signature.knows_any(block, count):
            return None
        if self._weak_first and not likely:
            same = self._signature.equal_weak(block, self._weak_sums(offset, count))
            matches: list[int] = np.flatnonzero(same).tolist()
            return next((at for at in matches if self.is_block(offset + at * self._size, block + at)), None)
        same = self._signature.equal(block, self._strong_sums(offset, count))
        at = int(same.argmax())
        return at if same[at] else None

    def is_block(self, offset: int, block: int) -> bool:
        """Whether a block of the basis is at ``offset``."""
        wanted = self._signature.strong_sum(block)
        return wanted is not None and wanted == self._strong_sums(offset, 1)

    def _strong_sums(self, offset: int, count: int) -> bytes:
        """The strong checksums, one after the other, of blocks that are all in the buffer."""
        size, width = self._size, self._strong.size
        if self._builder and offset % size == 0:
            sums = self._builder.sums(offset // size, count)
            # A builder that was fed more than it may remember returns nothing.
            if len(sums) == count * width:
                return sums
        distance = offset - self._at
        if distance < 0 or distance % size or distance > len(self._sums) // width * size:
            self._at, self._sums = offset, b""
        elif distance:
            self._at, self._sums = offset, self._sums[distance // size * width :]
        known = len(self._sums) // width
        if known < count:
            data = self._buffer.view(offset + known * size, offset + count * size)
            self._sums += self._strong.of_blocks(data, size)
            self.hashed_bytes += len(data)
        return self._sums[: count * width]

    def _weak_sums(self, offset: int, count: int) -> NDArray[np.uint32]:
        """The weak checksums of blocks that are all in the buffer."""
        size = self._size
        data = self._buffer.view(offset, offset + count * size)
        self.hashed_bytes += len(data)
        return np.array([weak_sum(data[at : at + size]) for at in range(0, len(data), size)], np.uint32)
