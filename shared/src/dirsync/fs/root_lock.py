"""The lock on a root directory (flock on its own descriptor), which ends with the descriptor or the process."""

import fcntl

from dirsync.errors import UsageError
from dirsync.tree.path import escape


def lock_alone(descriptor: int, path: bytes) -> None:
    """Lock a root for this process alone.

    Raises:
        UsageError: another process has the lock, or the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy(path) from error
    except OSError as error:
        msg = f"{escape(path)} cannot be locked ({error.strerror}): choose a file system that has flock"
        raise UsageError(msg) from error


def lock_with_others(descriptor: int, path: bytes) -> None:
    """Lock out those who lock a root for themselves, as far as the file system can.

    Raises:
        UsageError: another process has it for itself.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy(path) from error
    except OSError:
        return  # NFS locks no directories; what several share is guarded by other locks


def _busy(path: bytes) -> UsageError:
    msg = f"{escape(path)} is in use by another process: stop it, or choose another directory"
    return UsageError(msg, reason="ROOT_BUSY")
