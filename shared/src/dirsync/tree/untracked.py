"""What is neither mirrored nor a problem, and why: it is left alone, counted and named."""

from enum import StrEnum
from typing import NamedTuple

from dirsync.tree.path import RelPath


class UntrackedKind(StrEnum):
    """Why a path is untracked; the values are those of the wire and of JSON."""

    FIFO = "fifo"
    SOCKET = "socket"
    DEVICE = "device"
    OTHER = "other"
    REMOVED_ON_NFS = "removed_on_nfs"
    """A file that was removed while it was open, under the name that the NFS client gives it."""
    LOST_AND_FOUND = "lost_and_found"
    """The directory in which ``fsck`` puts what it finds."""
    OWN_LOG = "own_log"
    """The file that our own stdout or stderr is: each line of the log would be a change."""

    @property
    def sentence(self) -> str:
        """For people."""
        return _SENTENCES[self]


_SENTENCES = {
    UntrackedKind.FIFO: "a FIFO",
    UntrackedKind.SOCKET: "a socket",
    UntrackedKind.DEVICE: "a device",
    UntrackedKind.OTHER: "neither a file nor a directory nor a link",
    UntrackedKind.REMOVED_ON_NFS: "a file that was removed while it was open; the NFS client keeps it",
    UntrackedKind.LOST_AND_FOUND: "the file system's own directory for what fsck finds",
    UntrackedKind.OWN_LOG: "the log of this program; write it to a place outside to have it mirrored",
}


class Untracked(NamedTuple):
    """One path that is left alone."""

    path: RelPath
    kind: UntrackedKind
