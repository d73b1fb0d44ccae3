"""A signature as it is built and stored: bytes, for which numpy need not be loaded."""

from typing import TYPE_CHECKING, NamedTuple

from dirsync.delta.strong import Strong

if TYPE_CHECKING:
    from dirsync.delta.signature.signature import Signature


class BuiltSignature(NamedTuple):
    """The checksums of all blocks of some content, one after the other."""

    block_size: int
    """In bytes."""
    size: int
    """Of the content, in bytes."""
    strong: Strong
    stride: int
    """Every so manieth block has a weak checksum."""
    group: int
    """Blocks of a group; 0 if there are no groups."""
    weak_sums: bytes | bytearray
    """Adler-32, 4 bytes each, little-endian."""
    strong_sums: bytes | bytearray
    group_sums: bytes | bytearray
    """The strong checksum of each group; the last group may be short."""

    def signature(self) -> "Signature":
        """The same for searching; nothing is copied."""
        from dirsync.delta.arrays import np  # noqa: PLC0415  who builds a signature may never search
        from dirsync.delta.signature.signature import Signature, sums_dtype  # noqa: PLC0415

        weak_sums = np.frombuffer(self.weak_sums, "<u4").astype(np.uint32, copy=False)
        strong_sums = np.frombuffer(self.strong_sums, sums_dtype(self.strong))
        signature = Signature(self.block_size, self.size, self.strong, strong_sums, weak_sums, stride=self.stride)
        return signature.with_groups(self.group, memoryview(self.group_sums))
