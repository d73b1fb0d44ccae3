"""Building a signature from content that comes in frames. Needs no numpy, so that a first sync need not load it."""

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dirsync.delta.signature.built import BuiltSignature
from dirsync.delta.signature.levels import group_for
from dirsync.delta.strong import XXH3, Strong
from dirsync.limits import LIMITS, Limits

if TYPE_CHECKING:
    from dirsync.delta.signature.signature import Signature


class SignatureBuilder:
    """Builds the signature of everything fed to it.

    Args:
        block_size: in bytes.
        strong: which strong checksum to use.
        stride: compute the weak checksum of every ``stride``-th block only.
        like: a signature of an earlier version. Groups that did not change cost one checksum, and the checksums of
            their blocks are copied. Ignored unless it is complete and has the same block size, strong checksum and
            stride.
    """

    def __init__(
        self,
        block_size: int,
        strong: Strong = XXH3,
        *,
        stride: int = 1,
        like: "Signature | None" = None,
        limits: Limits = LIMITS,
    ) -> None:
        self.block_size = block_size
        self.strong = strong
        self._stride = stride
        self._group = group_for(block_size, strong, limits)
        self._max_blocks = limits.max_blocks
        self._size = 0
        self._blocks = 0
        self._rest = bytearray()
        """Less than a block."""
        self._part = bytearray()
        """The blocks of the last group, if it is not whole."""
        self._strong_sums = bytearray()
        self._weak_sums = bytearray()
        self._group_sums = bytearray()
        self._same_from = 0
        """From this block on all blocks so far are those of ``like``."""
        if like and not (like.complete and (like.block_size, like.strong, like.stride) == (block_size, strong, stride)):
            like = None
        self._like = like
        self._known_groups = memoryview(b"")
        """The checksums of the whole groups of ``like``."""
        if like and self._group and like.group == self._group:
            self._known_groups = like.group_sums[: like.whole // self._group * strong.size]

    def feed(self, frame: bytes | bytearray | memoryview) -> None:
        """Take the next part of the content, of any length."""
        view = memoryview(frame).cast("B")
        self._size += len(view)
        if self._overfull:
            for sums in (self._strong_sums, self._weak_sums, self._group_sums):
                sums.clear()
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

    def is_like(self, signature: "Signature", first: int, count: int) -> bool:
        """Whether these blocks were fed, and are known to be those of ``signature``; False where that is unknown."""
        same = self._like is signature and self._same_from <= first
        return same and first + count <= self._blocks and not self._overfull

    def finish(self) -> BuiltSignature | None:
        """The signature; ``None`` if there was more content than a signature may cover."""
        if self._rest:
            self._add_blocks(memoryview(bytes(self._rest)), len(self._rest))
            self._part += self._rest if self._group else b""
            self._rest = bytearray()
        if self._overfull:
            return None
        if self._part:
            self._group_sums += self.strong.digest(bytes(self._part))
            self._part = bytearray()
        return BuiltSignature(
            self.block_size,
            self._size,
            self.strong,
            self._stride,
            self._group,
            self._weak_sums,
            self._strong_sums,
            self._group_sums,
        )

    @property
    def _overfull(self) -> bool:
        return self._size > self._max_blocks * self.block_size

    def _add(self, data: memoryview) -> None:
        """Add whole blocks."""
        group_bytes = self._group * self.block_size
        while data:
            if not group_bytes:
                part = data
                self._add_blocks(part, self.block_size)
            elif self._part or len(data) < group_bytes:
                part = data[: group_bytes - len(self._part)]
                self._add_blocks(part, self.block_size)
                self._part += part
                if len(self._part) == group_bytes:
                    self._group_sums += self.strong.digest(bytes(self._part))
                    self._part = bytearray()
            else:
                part = data[: len(data) - len(data) % group_bytes]
                self._add_groups(part, group_bytes)
            data = data[len(part) :]

    def _add_groups(self, data: memoryview, group_bytes: int) -> None:
        """Add whole groups."""
        sums = self.strong.of_blocks(data, group_bytes)
        self._group_sums += sums
        count = len(data) // group_bytes
        for same, start, end in self._runs(sums, count):
            if same:
                self._take_over((end - start) * self._group)
            else:
                self._add_blocks(data[start * group_bytes : end * group_bytes], self.block_size)

    def _runs(self, sums: bytes, count: int) -> Iterator[tuple[bool, int, int]]:
        """The next groups, which have these checksums, in runs that are those of ``like``, or are not."""
        at = self._blocks // self._group * self.strong.size
        known = self._known_groups[at : at + len(sums)]
        if known == sums or not known:
            yield bool(known), 0, count
            return
        start = 0
        while start < count:
            same, end = self._is_same(sums, known, start), start + 1
            while end < count and self._is_same(sums, known, end) is same:
                end += 1
            yield same, start, end
            start = end

    def _is_same(self, sums: bytes, known: memoryview, group: int) -> bool:
        at = slice(group * self.strong.size, (group + 1) * self.strong.size)
        return known[at] == sums[at]

    def _take_over(self, count: int) -> None:
        """The next blocks are those of ``like``."""
        assert self._like is not None
        first, last = self._blocks, self._blocks + count
        self._strong_sums += self._like.strong_sums[first:last].tobytes()
        self._weak_sums += _weak_of(self._like, -(-first // self._stride), -(-last // self._stride))
        self._blocks = last

    def _add_blocks(self, data: memoryview, size: int) -> None:
        """Add blocks of ``size`` bytes: whole ones, or the last short one."""
        sums = self.strong.of_blocks(data, size)
        self._strong_sums += sums
        first, count = self._blocks, len(data) // size
        self._blocks = self._same_from = first + count
        wanted = range(-first % self._stride, count, self._stride)
        self._weak_sums += self._weak(data, size, first, sums, wanted)

    def _weak(self, data: memoryview, size: int, first: int, sums: bytes, wanted: range) -> bytes:
        like = self._like
        same = like.equal(first, sums) if like else None
        if like and same is not None and same.all():
            place = -(-first // self._stride)
            return _weak_of(like, place, place + len(wanted))
        return b"".join([zlib.adler32(data[at * size : (at + 1) * size]).to_bytes(4, "little") for at in wanted])


def _weak_of(signature: "Signature", first: int, end: int) -> bytes:
    """Some weak checksums of a signature."""
    return signature.weak_sums[first:end].astype("<u4", copy=False).tobytes()
