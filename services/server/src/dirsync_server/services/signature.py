"""Signatures: the checksums of blocks of content that the replica has, read when they are asked for.

Nothing is kept: a client remembers what it pushed, and asks for the rest once. No lock is held while a file is read.
"""

from collections.abc import Iterator

from dirsync.endpoint.finder import ContentFinder
from dirsync.endpoint.replica import Replica
from dirsync.errors import DirsyncError, NotFound
from dirsync.fs.failure import Changing
from dirsync.fs.read.checksums import block_checksums
from dirsync.fs.read.hashing import Cancelled
from dirsync.wire.push.results import CONTENT_NOT_FOUND
from dirsync.wire.signature import SignatureRequest, encode_signature_pages, ranges_within


class ContentChanged(DirsyncError):
    """The file changed while its checksums were read."""

    status = "ABORTED"
    default_reason = "CONTENT_CHANGED"


def signature_pages(replica: Replica, request: SignatureRequest, cancelled: Cancelled) -> Iterator[bytes]:
    """The pages that answer a request.

    Raises:
        NotFound: the replica does not have the content (any more).
        InvalidMessage: the content has no such blocks.
        ContentChanged: what was sent so far is worth nothing.
        Unavailable: cancelled.
    """
    with ContentFinder(replica) as finder:
        file = finder.open(request.digest)
        if file is None:
            msg = "the replica has no content of this digest; send the file whole"
            raise NotFound(msg, reason=CONTENT_NOT_FOUND)
        finder.report_hit()
        with file:
            ranges = ranges_within(request, file.size)
            hashed = replica.observer.bytes_hashed
            checksums = block_checksums(file, request.block_size, ranges, hashed=hashed, cancelled=cancelled)
            try:
                yield from encode_signature_pages(checksums)
            except Changing as error:
                finder.report_stale(file.path, request.digest)
                raise ContentChanged(str(error)) from error
