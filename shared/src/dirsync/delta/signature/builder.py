"""Building a Signature from content that comes in frames."""

from dirsync.delta.arrays import NDArray, np
from dirsync.delta.rolling import weak_sum
from dirsync.delta.signature.signature import Signature, sums_dtype
from dirsync.delta.strong import XXH3, Strong
from dirsync.limits import LIMITS, Limits


class SignatureBuilder:
    """Builds the Signature of everything fed to it.

    Args:
        block_size: in bytes.
        strong: which strong checksum to use.
        stride: compute the weak checksum of every ``stride``-th block only.
        like: a signature of an earlier version. The weak checksums of unchanged blocks are copied from it, so the
            signature of a file that hardly changed costs a quarter. Ignored unless it is complete and has the same
            block size, strong checksum and stride.
    """

    def __init__(
        self,
        block_size: int,
        strong: Strong = XXH3,
        *,
        stride: int = 1,
        like: Signature | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self.block_size = block_size
        self.strong = strong
        self._stride = stride
        self._max_blocks = limits.max_blocks
        self._size = 0
        self._blocks = 0
        self._rest = bytearray()
        self._strong_sums = bytearray()
        self._weak_sums = bytearray()
        if like and not (like.complete and (like.block_size, like.strong, like.stride) == (block_size, strong, stride)):
            like = None
        self._like = like

    def feed(self, frame: bytes | bytearray | memoryview) -> None:
        """Take the next part of the content, of any length."""
        view = memoryview(frame).cast("B")
        self._size += len(view)
        if self._overfull:
            self._strong_sums.clear()
            self._weak_sums.clear()
            return
        if self._rest:
            taken = view[: self.block_size - len(self._rest)]
            self._rest += taken
            view = view[len(taken) :]
            if len(self._rest) < self.block_size:
                return
            self._add(memoryview(bytes(self._rest)))
        whole = len(view) - len(view) % self.block_size
        self._add(view[:whole])
        self._rest = bytearray(view[whole:])

    def sums(self, first: int, count: int) -> bytes:
        """The strong checksums of ``count`` blocks from block ``first`` on, all of full length and fed already.

        Empty if there was more content than a signature may cover.
        """
        size = self.strong.size
        return bytes(self._strong_sums[first * size : (first + count) * size])

    def finish(self) -> Signature | None:
        """The signature; ``None`` if there was more content than a signature may cover."""
        if self._rest:
            self._add(memoryview(bytes(self._rest)), last=True)
            self._rest = bytearray()
        if self._overfull:
            return None
        strong_sums = np.frombuffer(self._strong_sums, sums_dtype(self.strong))
        weak_sums = np.frombuffer(self._weak_sums, np.uint32)
        return Signature(self.block_size, self._size, self.strong, strong_sums, weak_sums, stride=self._stride)

    @property
    def _overfull(self) -> bool:
        return self._size > self._max_blocks * self.block_size

    def _add(self, data: memoryview, *, last: bool = False) -> None:
        """Add whole blocks, or the last short one."""
        size = len(data) if last else self.block_size
        if not data:
            return
        sums = self.strong.of_blocks(data, size)
        self._strong_sums += sums
        first, count = self._blocks, len(data) // size
        self._blocks += count
        wanted = range(-first % self._stride, count, self._stride)
        self._weak_sums += self._weak(data, size, first, sums, wanted).tobytes()

    def _weak(self, data: memoryview, size: int, first: int, sums: bytes, wanted: range) -> NDArray[np.uint32]:
        like = self._like
        same = like.equal(first, sums) if like else None
        if like and same is not None and same.all():
            place = -(-first // self._stride)
            return like.weak_sums[place : place + len(wanted)]
        return np.array([weak_sum(data[at * size : (at + 1) * size]) for at in wanted], np.uint32)
