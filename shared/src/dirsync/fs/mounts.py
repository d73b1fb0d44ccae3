"""The mounts that this process sees, from ``/proc/self/mountinfo`` (proc_pid_mountinfo(5)).

That something is mounted over a directory shows nowhere else for certain: a bind mount of the same file system has the
``st_dev`` of the directory above it, and no directory gets an event. The table is read again only after it changed,
which poll(2) tells, so asking for it costs one system call. Where there is no such file (macOS), there is no table.
"""

import atexit
import io
import os
import re
import select
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from dirsync.tree.path import RelPath

MOUNTINFO: Final = "/proc/self/mountinfo"
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line of mountinfo."""

    id: int
    point: bytes
    """Absolute path of the mount point as this process sees it."""
    type: bytes
    source: bytes = b""
    """What is mounted: a device, a place in the network, or any word."""
    parent: int = 0
    """The mount that the mount point is on."""


def parse_mounts(mountinfo: bytes) -> list[Mount]:
    """The mounts, in the order of the file; lines of another form are left out."""
    mounts = []
    for line in mountinfo.splitlines():
        fields = line.split(b" ")
        end = fields.index(b"-") if b"-" in fields else len(fields)
        if len(fields) > end + 1 and end >= 6 and fields[0].isdigit() and fields[1].isdigit():
            source = _unescape(fields[end + 2]) if len(fields) > end + 2 else b""
            mounts.append(Mount(int(fields[0]), _unescape(fields[4]), fields[end + 1], source, int(fields[1])))
    return mounts


def parse_mount_id(fdinfo: bytes) -> int:
    """The mount that a descriptor is on, from the text of its ``/proc/self/fdinfo/N``; -1 if it does not say."""
    found = re.search(rb"^mnt_id:\s*(\d+)$", fdinfo, re.MULTILINE)
    return int(found[1]) if found else -1


def visible_below(mounts: Iterable[Mount], mount_id: int, root: bytes) -> dict[RelPath, int]:
    """The mount points that can be reached below a directory, and the ids of what is mounted there.

    Several file systems may be mounted at one point, each over the last one, and a mount point may lie in a directory
    that another one hides. Pure.

    Args:
        mounts: all mounts.
        mount_id: the mount that the directory itself is on.
        root: the directory's absolute path without links.
    """
    children: dict[int, list[Mount]] = defaultdict(list)
    for mount in mounts:
        if mount.id != mount.parent:
            children[mount.parent].append(mount)
    prefix = root.rstrip(b"/") + b"/"
    found: dict[RelPath, int] = {}
    open_mounts = [mount_id]
    while open_mounts:
        on = [mount for mount in children.get(open_mounts.pop(), []) if mount.point.startswith(prefix)]
        points = {mount.point for mount in on}
        for mount in on:
            if any(mount.point.startswith(point + b"/") for point in points):
                continue  # a later one of the same mount hides the directory that it is in
            top = mount
            while above := [other for other in children.get(top.id, []) if other.point == top.point]:
                top = above[-1]
            found[RelPath(mount.point[len(prefix) :])] = top.id
            open_mounts.append(top.id)
    return found


class MountTable:
    """The mounts of this process. From any thread."""

    def __init__(self, path: str = MOUNTINFO) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: io.FileIO | None = None
        self._poll = select.poll()
        self._mounts: Sequence[Mount] = ()
        self.version = 0
        """Grows when the table changes; 0 as long as there is none."""

    def refresh(self) -> int:
        """Read the table again if it changed; returns :attr:`version`."""
        with self._lock:
            if self._file is None:
                self._open()
            elif self._poll.poll(0):
                self._read(self._file)
            return self.version

    @property
    def mounts(self) -> Sequence[Mount]:
        """As of the last :meth:`refresh`."""
        return self._mounts

    def close(self) -> None:
        """Close the file; a later :meth:`refresh` opens it again."""
        with self._lock:
            if self._file is not None:
                self._poll.unregister(self._file)
                self._file.close()
                self._file = None

    def _open(self) -> None:
        try:
            file = self._file = io.FileIO(self._path)
        except OSError:
            return
        self._poll.register(file, select.POLLPRI)
        self._poll.poll(0)  # what changed until now is read now
        self._read(file)

    def _read(self, file: io.FileIO) -> None:
        try:
            file.seek(0)
            text = file.readall()
        except OSError:
            return
        self._mounts = parse_mounts(text or b"")
        self.version += 1


TABLE: Final = MountTable()
"""That of this process."""

atexit.register(TABLE.close)

NO_MOUNTS: Final[Mapping[RelPath, int]] = {}


def mount_of(descriptor: int) -> Mount | None:
    """The mount that an open file is on; ``None`` if that is unknown."""
    TABLE.refresh()
    mount_id = _mount_id(descriptor)
    return next((mount for mount in TABLE.mounts if mount.id == mount_id), None)


def is_mount_root(descriptor: int) -> bool | None:
    """Whether an open directory is what is mounted somewhere, as a whole; ``None`` if that is unknown."""
    mount = mount_of(descriptor)
    try:
        return None if mount is None else mount.point == os.readlink(b"/proc/self/fd/%d" % descriptor)
    except OSError:
        return None


def mounts_below(descriptor: int) -> dict[RelPath, int] | None:
    """The mount points below an open directory, as of the last refresh of the table; ``None`` if there is no table."""
    if not TABLE.version:
        return None
    try:
        root = os.readlink(b"/proc/self/fd/%d" % descriptor)
    except OSError:
        return None
    return visible_below(TABLE.mounts, _mount_id(descriptor), root)


def _mount_id(descriptor: int) -> int:
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", "rb") as fdinfo:
            return parse_mount_id(fdinfo.read())
    except OSError:
        return -1


def _unescape(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
