"""Finds out, beside the engine's own work, whether a large file is worth a delta, and what it can be made from.

What the replica's file consists of is known from a remembered signature, or asked of the server: first for a sample of
its blocks, and for the rest only if that is found in the file. The file is then handed on to the push stream; what was
sent of it is remembered for the next time.
"""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from dirsync.delta.blocks import block_size_for
from dirsync.errors import DirsyncError
from dirsync.fs.failure import PathFailure
from dirsync.fs.read.stable import StableFile
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath
from dirsync.tree.strategy import Strategy, choose
from dirsync_client.reconcile.ticket import Basis, Delta, Ticket
from dirsync_client.transfer.hasher import Hashed, Hasher
from dirsync_client.transfer.remote_signature import FetchBlocks, Fetched
from dirsync_client.transfer.signature_store import RememberedSignatures, builder_for

if TYPE_CHECKING:
    from dirsync.delta.signature.signature import Signature

_Job = Callable[[], None]


class Preparer:
    """One thread with a queue; files come out in the order in which they were given."""

    def __init__(
        self,
        root: Root,
        remembered: RememberedSignatures,
        fetch: FetchBlocks | None,
        send: Callable[[Ticket], None],
        hasher: Hasher,
        post: Callable[[Hashed], None],
        block_size: int,
    ) -> None:
        """Start.

        ``fetch`` asks the server for checksums, unless there is nobody to ask; ``send`` takes the files; ``hasher``
        reads what may be equal, ``post`` is told what is not; ``block_size`` is that of BLOCK_SIZE.
        """
        self._root = root.clone()
        self._remembered = remembered
        self._fetch = fetch
        self._send = send
        self._hasher = hasher
        self._post = post
        self._block_size = block_size
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._ready = False
        self._thread = threading.Thread(target=self._run, name="dirsync-prepare", daemon=True)
        self._thread.start()

    def add(self, ticket: Ticket, basis: Basis) -> None:
        """Send this file, as a delta from ``basis`` if that pays."""
        self._queue.put(lambda: self._prepare(ticket, basis))

    def compare(self, path: RelPath, planned: Record | None, basis: Basis) -> None:
        """Find out whether the file at ``path``, whose record is ``planned``, has the content of ``basis``."""
        self._queue.put(lambda: self._compare(path, planned, basis))

    def get_ready(self) -> None:
        """Load what the first delta would have to wait for."""
        if not self._ready:
            self._ready = True
            self._queue.put(_load)

    def remember(self, digest: bytes, signature: "Signature") -> None:
        """The replica has content with this digest and signature."""
        self._queue.put(lambda: self._remembered.save(digest, signature))

    def close(self) -> None:
        """Remember what is to be remembered, and stop; files that were not handed on are dropped."""
        self._stopped.set()
        self._queue.put(None)
        self._thread.join()
        self._root.close()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            job()

    def _prepare(self, ticket: Ticket, basis: Basis) -> None:
        if self._stopped.is_set():
            return
        self._root.forget_all()
        path = ticket.path
        similarity: float | None = None
        try:
            with StableFile(self._root, path) as file:
                similarity = self._find_delta(ticket, basis, file)
        except DirsyncError:
            # The file cannot be read, which the push stream will find as well; or the server cannot tell, and then the
            # whole file is right.
            ticket.delta = None
        ticket.choice = choose(ticket.size, similarity)
        if ticket.choice.strategy is not Strategy.DELTA:
            ticket.delta = None
        self._send(ticket)

    def _compare(self, path: RelPath, planned: Record | None, basis: Basis) -> None:
        """Most files that were written differ early: to see that costs less than to hash them."""
        signature = (
            None if self._stopped.is_set() else self._remembered.load(basis.digest, basis.size, self._block_size)
        )
        if signature is not None and LIMITS.frame_bytes % signature.block_size == 0:
            from dirsync.delta.compare import differs  # noqa: PLC0415

            self._root.forget_all()
            with suppress(PathFailure), StableFile(self._root, path) as file:
                if differs(signature, file.frames(LIMITS.frame_bytes)):
                    self._post(Hashed(path, planned, None))
                    return
        # It is equal as far as we can tell, or cannot be read: the digest decides, and says why not.
        self._hasher.add(path, planned)

    def _find_delta(self, ticket: Ticket, basis: Basis, file: StableFile) -> float:
        """Give the ticket its delta; the estimated part of the file that is in the basis."""
        wanted = self._block_size
        signature = self._remembered.load(basis.digest, basis.size, wanted)
        if signature is None and self._fetch is None:
            return 1.0  # a delta, as far as anybody can tell, of which nothing is known
        if signature is None:
            assert self._fetch is not None
            fetched = Fetched(basis, block_size_for(basis.size, wanted), self._fetch, self._stopped.is_set)
            found = fetched.similarity(file)
            if choose(file.size, found).strategy is Strategy.DELTA:
                builder = builder_for(file.size, wanted)
                ticket.delta = Delta(basis, fetched.block_size, fetched.differ(file, builder), builder)
            return found
        # Loaded here, because a sync that finds nothing to do should not pay for numpy.
        from dirsync.delta.match.matcher import Matcher  # noqa: PLC0415
        from dirsync.delta.sample import similarity  # noqa: PLC0415

        builder = builder_for(file.size, wanted, like=signature)
        ticket.delta = Delta(basis, signature.block_size, Matcher(signature, builder), builder)
        return similarity(signature, file.read_at, file.size)


def _load() -> None:
    import dirsync.delta.match.matcher  # noqa: F401, PLC0415
