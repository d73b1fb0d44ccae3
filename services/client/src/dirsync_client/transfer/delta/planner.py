"""Finds out whether a large file is worth a delta, and prepares that delta.

What the basis consists of is known from a remembered signature, or asked of the server: first for a sample of its
blocks, and for the rest only if that sample is found in the file. What was sent of a file is remembered for the next
time.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from dirsync.delta.blocks import block_size_for
from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath
from dirsync.tree.strategy import Strategy, choose
from dirsync_client.reconcile.commands import Basis, CompareFile, EstimateSimilarity
from dirsync_client.reconcile.events import FileHashed, SimilarityEstimated
from dirsync_client.transfer.delta.encoder import Delta
from dirsync_client.transfer.delta.remote_signature import FetchBlocks, RemoteSignature
from dirsync_client.transfer.delta.signature_store import RememberedSignatures, builder_for

if TYPE_CHECKING:
    from dirsync.delta.signature.built import BuiltSignature


class DeltaPlanner:
    """Waits for the disk, and for the server. One thread, but for :meth:`take`."""

    def __init__(
        self,
        root: Root,
        remembered: RememberedSignatures,
        fetch: FetchBlocks | None,
        block_size: int,
        cancelled: Callable[[], bool],
    ) -> None:
        """Files are read from a clone of ``root``.

        ``fetch`` asks the server for checksums, unless there is no server to ask; ``block_size`` is that of BLOCK_SIZE;
        ``cancelled`` is asked between two answers of the server.
        """
        self._root = root.clone()
        self._remembered = remembered
        self._fetch = fetch
        self._block_size = block_size
        self._cancelled = cancelled
        self._prepared: dict[RelPath, Delta] = {}
        """Written here before the estimate is answered, taken after that."""

    def estimate(self, command: EstimateSimilarity) -> SimilarityEstimated:
        """Estimate which part of a file is in its basis, and prepare the delta."""
        similarity: float | None = None
        try:
            with StableFile(self._root, command.path) as file:
                similarity = self._prepare(command.path, command.basis, file)
        except DirsyncError:
            # The file cannot be read, which the sender will find as well; or the server cannot tell, and then the
            # whole file is right.
            self._prepared.pop(command.path, None)
        finally:
            # What is kept open may be another directory by the next file, and keeps a mount busy.
            self._root.forget_all()
        return SimilarityEstimated(command.path, similarity)

    def compare(self, command: CompareFile) -> FileHashed | None:
        """Find out whether a file differs from a basis; ``None``: its digest has to tell, or why it cannot be read.

        Most files that were written differ early: to see that costs less than to hash them.
        """
        path, planned, basis = command
        signature = self._remembered.load(basis.digest, basis.size, self._block_size)
        if signature is None or LIMITS.frame_bytes % signature.block_size != 0:
            return None
        from dirsync.delta.compare import differs  # noqa: PLC0415  # numpy is for those who need it

        try:
            with suppress(PathFailure), StableFile(self._root, path) as file:
                if differs(signature, file.frames(LIMITS.frame_bytes)):
                    return FileHashed(path, planned, None)
        finally:
            self._root.forget_all()
        return None

    def take(self, path: RelPath) -> Delta | None:
        """The delta that was prepared for the file at ``path``; it is returned once."""
        return self._prepared.pop(path, None)

    def remember(self, digest: bytes, signature: "BuiltSignature") -> None:
        """The replica has content with this digest and signature."""
        self._remembered.save(digest, signature)

    def close(self) -> None:
        """Close the files."""
        self._root.close()

    def _prepare(self, path: RelPath, basis: Basis, file: StableFile) -> float:
        """Prepare the delta, and return the estimated part of the file that is in the basis."""
        wanted = self._block_size
        signature = self._remembered.load(basis.digest, basis.size, wanted)
        if signature is None and self._fetch is None:
            return 1.0  # a delta, as far as can be told without the server
        if signature is None:
            assert self._fetch is not None
            remote = RemoteSignature(basis, block_size_for(basis.size, wanted), self._fetch, self._cancelled)
            found = remote.similarity(file)
            if choose(file.size, found).strategy is Strategy.DELTA:
                builder = builder_for(file.size, wanted)
                self._prepared[path] = Delta(basis, remote.block_size, remote.encoder(file, builder), builder)
            return found
        # Loaded here, because a sync that finds nothing to do should not pay for numpy.
        from dirsync.delta.match.matcher import Matcher  # noqa: PLC0415
        from dirsync.delta.sample import similarity  # noqa: PLC0415

        builder = builder_for(file.size, wanted, like=signature)
        self._prepared[path] = Delta(basis, signature.block_size, Matcher(signature, builder), builder)
        return similarity(signature, file.read_at, file.size)
