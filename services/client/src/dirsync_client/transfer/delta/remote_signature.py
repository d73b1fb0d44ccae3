"""The signature of a basis that is not remembered, requested from the server only as far as it helps."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dirsync.delta.blocks import BlockRange, block_count
from dirsync.errors import Unavailable
from dirsync.fs.read.stable import StableFile
from dirsync.limits import LIMITS
from dirsync_client.reconcile.commands import Basis
from dirsync_client.transfer.delta.encoder import DeltaEncoder

if TYPE_CHECKING:
    from dirsync.delta.signature.builder import SignatureBuilder
    from dirsync.delta.signature.signature import Signature

FetchBlocks = Callable[[bytes, int, Sequence[BlockRange]], Iterable[bytes]]
"""Asks the server for checksums of ranges of blocks, by digest of the content and block size. Gives them packed."""


class RemoteSignature:
    """What the server says of one basis."""

    def __init__(self, basis: Basis, block_size: int, fetch: FetchBlocks, cancelled: Callable[[], bool]) -> None:
        """``cancelled`` is asked between two answers of the server; true ends the work with ``Unavailable``."""
        self.block_size = block_size
        self._basis = basis
        self._fetch = fetch
        self._cancelled = cancelled
        self._count = block_count(basis.size, block_size)

    def similarity(self, file: StableFile) -> float:
        """The estimated part of the file that is in the basis; asks for a sample of its blocks."""
        from dirsync.delta.sample import sample_blocks, similarity  # noqa: PLC0415  numpy is for those who need it

        sample = [BlockRange(block, 1) for block in sample_blocks(self._count)]
        return similarity(self._ask(self.block_size, sample), file.read_at, file.size)

    def encoder(self, file: StableFile, builder: "SignatureBuilder | None") -> DeltaEncoder:
        """What makes the delta of the file, for one reading of it."""
        from dirsync.delta.match.matcher import Matcher  # noqa: PLC0415

        if self._count <= LIMITS.fine_blocks:
            return Matcher(self._ask(self.block_size, [BlockRange(0, self._count)]), builder)
        return self._refiner(file, builder)

    def _refiner(self, file: StableFile, builder: "SignatureBuilder | None") -> DeltaEncoder:
        """Go over the file with coarse blocks, and ask for fine ones only where those found nothing."""
        from dirsync.delta.match.coarse import Outline, wanted_blocks  # noqa: PLC0415
        from dirsync.delta.match.matcher import Matcher  # noqa: PLC0415
        from dirsync.delta.match.refine import Refiner  # noqa: PLC0415

        coarse = self.block_size * LIMITS.coarse_factor
        matcher = Matcher(self._ask(coarse, [BlockRange(0, block_count(self._basis.size, coarse))]))
        outline = Outline(self.block_size, self._basis.size)
        for offset in range(0, file.size, LIMITS.frame_bytes):
            self._require_going_on()
            outline.add(matcher.feed(file.read_at(offset, LIMITS.frame_bytes)))
        outline.add(matcher.finish())
        spans = outline.spans()
        wanted = wanted_blocks(spans)
        fine = self._ask(self.block_size, wanted) if wanted else None
        return Refiner(spans, fine, self.block_size, builder)

    def _require_going_on(self) -> None:
        if self._cancelled():
            raise Unavailable("the session ended")

    def _ask(self, block_size: int, ranges: Sequence[BlockRange]) -> "Signature":
        from dirsync.delta.signature.from_wire import signature_from_wire  # noqa: PLC0415

        packed = bytearray()
        for checksums in self._fetch(self._basis.digest, block_size, ranges):
            packed += checksums
            self._require_going_on()
        return signature_from_wire(block_size, self._basis.size, packed, ranges)
