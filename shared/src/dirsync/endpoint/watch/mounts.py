"""Whether the kernel hears of every change below a directory, as far as its mounts tell.

inotify reports what went through this kernel. What another host or the other side of a virtual machine writes into a
network or shared file system causes no event; such a file system has to be polled. Pure: the text of
``/proc/self/mountinfo`` (proc_pid_mountinfo(5)) comes in, as bytes, because mount points are paths.
"""

import re
from typing import NamedTuple

_SILENT = frozenset(
    {
        b"9p",
        b"afs",
        b"ceph",
        b"cifs",
        b"drvfs",
        b"fakeowner",
        b"fuse",
        b"gfs2",
        b"lustre",
        b"ncpfs",
        b"nfs",
        b"nfs4",
        b"ocfs2",
        b"osxfs",
        b"prl_fs",
        b"smb3",
        b"smbfs",
        b"vboxsf",
        b"virtiofs",
        b"vmhgfs",
    }
)
"""File systems that others besides this kernel write to; ``fuse`` stands for each of its subtypes."""

_LOCAL = frozenset({b"fuse.fuse-overlayfs"})
"""Subtypes of a silent file system that only this host writes to: the root of a rootless container."""

_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """One line of mountinfo."""

    id: int
    point: bytes
    """Absolute path of the mount point as this process sees it."""
    type: bytes


def parse_mounts(mountinfo: bytes) -> list[Mount]:
    """The mounts, in the order of the file; lines of another form are left out."""
    mounts = []
    for line in mountinfo.splitlines():
        fields = line.split(b" ")
        end = fields.index(b"-") if b"-" in fields else len(fields)
        if len(fields) > end + 1 and end >= 6 and fields[0].isdigit():
            mounts.append(Mount(int(fields[0]), _unescape(fields[4]), fields[end + 1]))
    return mounts


def parse_mount_id(fdinfo: bytes) -> int:
    """The mount that a descriptor is on, from the text of its ``/proc/self/fdinfo/N``; -1 if it does not say."""
    found = re.search(rb"^mnt_id:\s*(\d+)$", fdinfo, re.MULTILINE)
    return int(found[1]) if found else -1


def silent_mount(mounts: list[Mount], mount_id: int, root: bytes) -> Mount | None:
    """The first mount that holds a part of ``root`` and delivers no events of what others write; None if all do.

    ``mount_id`` is the mount that the root itself is on, ``root`` its absolute path without links.
    """
    below = root.rstrip(b"/") + b"/"
    for mount in mounts:
        if (mount.id == mount_id or mount.point.startswith(below)) and _is_silent(mount.type):
            return mount
    return None


def _is_silent(filesystem: bytes) -> bool:
    return filesystem not in _LOCAL and filesystem.partition(b".")[0] in _SILENT


def _unescape(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
