"""Where the upload of a file goes on after an interruption. Pure.

The server says how many bytes it has kept of an upload, and usually their SHA-256. The client goes on there if its
file begins with the same bytes. It knows that of a file that did not change since it read those bytes itself, or else
by reading them again.
"""

import enum
import hashlib
from collections.abc import Mapping
from typing import Final

from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath
from dirsync.wire.session import KeptUpload

_DOMAIN: Final = b"dirsync upload\0"


class Continuation(enum.Enum):
    """How an upload begins."""

    START = "start"
    """From the beginning."""
    READ = "read"
    """Where the server stopped, if the file up to there has the digest that the server has: it has to be read."""
    GO_ON = "go_on"
    """Where the server stopped: the digest up to there is known, and is the server's."""


def upload_id(path: RelPath) -> bytes:
    """The id of the upload of the file at a path.

    What is kept under it counts only with the digest of the content, so a file that was changed or replaced may have
    the id of the one before. A file that only grew goes on where that one stopped.
    """
    return hashlib.sha256(_DOMAIN + path).digest()[: LIMITS.upload_id_bytes]


def continuation(kept: KeptUpload | None, size: int, known: Mapping[int, bytes]) -> Continuation:
    """How to begin.

    Args:
        kept: what the server has of this upload, if anything.
        size: of the file now, in bytes.
        known: SHA-256 of the content before these offsets, as the file is now.
    """
    if kept is None or not 0 < kept.size <= size:
        return Continuation.START
    digest = known.get(kept.size)
    if digest is None:
        return Continuation.READ
    return Continuation.GO_ON if kept.digest in (b"", digest) else Continuation.START
