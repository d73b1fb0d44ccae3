"""The kernel's inotify interface: one instance, its watches, and its queue of events.

The standard library has no binding for inotify(7), so three functions of the C library are called through ctypes. This
module knows nothing of trees and paths below a root; see :mod:`dirsync.endpoint.watch.watches` for those.
"""

import contextlib
import ctypes
import io
import os
import select
import struct
import threading
from typing import NamedTuple

from dirsync.fs.mounts import MOUNTINFO

MODIFY = 0x0000_0002
ATTRIB = 0x0000_0004
CLOSE_WRITE = 0x0000_0008
MOVED_FROM = 0x0000_0040
MOVED_TO = 0x0000_0080
CREATE = 0x0000_0100
DELETE = 0x0000_0200
DELETE_SELF = 0x0000_0400
MOVE_SELF = 0x0000_0800
UNMOUNT = 0x0000_2000
OVERFLOW = 0x0000_4000
"""The queue was full and events were dropped; comes without a watch."""
IGNORED = 0x0000_8000
"""The watch is gone: removed by us, or because its directory was deleted or unmounted."""
ONLY_DIRECTORY = 0x0100_0000
EXCLUDE_UNLINKED = 0x0400_0000
ADD_TO_MASK = 0x2000_0000
"""If it is watched already, for the events of before as well."""
IS_DIRECTORY = 0x4000_0000
REMOUNTED = 0x8000_0000
"""Not of the kernel's queue: something was mounted or unmounted somewhere; comes without a watch."""

_HEAD = struct.Struct("iIII")
"""``struct inotify_event`` without its name: watch, mask, cookie, length of the name."""
_BUFFER_BYTES = 64 * 1024
"""Read at once; holds at least 240 events, as a name has at most 255 bytes."""

_libc = ctypes.CDLL(None, use_errno=True)
_libc.inotify_init1.argtypes = (ctypes.c_int,)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_libc.inotify_rm_watch.argtypes = (ctypes.c_int, ctypes.c_int)


class InotifyEvent(NamedTuple):
    """One event as the kernel reports it."""

    wd: int
    """The watch's descriptor; -1 for an overflow."""
    mask: int
    name: bytes
    """The entry of the watched directory; empty for the directory itself."""


class InotifyQueue:
    """One inotify instance. One thread reads; :meth:`wake` and :meth:`close` may be called by any."""

    def __init__(self) -> None:
        """Raises OSError if the kernel grants no instance, or this process no further descriptor."""
        self._lock = threading.Lock()
        self._closed = False
        self._inotify = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError:
            os.close(self._inotify)
            raise
        self._poll = select.poll()
        self._poll.register(self._inotify, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        self._mounts: io.FileIO | None = None
        with contextlib.suppress(OSError):
            self._mounts = io.FileIO(MOUNTINFO)
            self._poll.register(self._mounts, select.POLLPRI)

    def add(self, descriptor: int, mask: int) -> int:
        """Watch what ``descriptor`` is: a directory, a file, or a link that was opened as such.

        Returns:
            The watch's descriptor, the same one if that is watched already.

        Raises:
            OSError: the kernel refuses.
        """
        # By descriptor: no path is resolved, no symbolic link followed.
        return _checked(_libc.inotify_add_watch(self._inotify, b"/proc/self/fd/%d" % descriptor, mask))

    def remove(self, wd: int) -> None:
        """Remove a watch, if it is still there."""
        _libc.inotify_rm_watch(self._inotify, wd)

    def read(self) -> list[InotifyEvent]:
        """Wait for events.

        Returns:
            Those that are there, oldest first, after one about mounts; an empty list after :meth:`wake`.
        """
        ready = {descriptor for descriptor, _ in self._poll.poll()}
        if self._wake in ready:
            return []
        remounted = [InotifyEvent(-1, REMOUNTED, b"")] if ready - {self._inotify} else []
        events = parse_events(os.read(self._inotify, _BUFFER_BYTES)) if self._inotify in ready else []
        return remounted + events

    def wake(self) -> None:
        """End the waiting of :meth:`read`, now and from now on."""
        with self._lock:
            if not self._closed:
                os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Give the instance and all its watches back; may be called again."""
        with self._lock:
            if not self._closed:
                self._closed = True
                os.close(self._inotify)
                os.close(self._wake)
                if self._mounts is not None:
                    self._mounts.close()


def parse_events(data: bytes) -> list[InotifyEvent]:
    """Decode what one read of an inotify descriptor returned."""
    events = []
    at = 0
    while at < len(data):
        wd, mask, _cookie, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        events.append(InotifyEvent(wd, mask, data[at : at + length].rstrip(b"\0")))
        at += length
    return events


def _checked(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
