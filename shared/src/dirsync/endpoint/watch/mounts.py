"""Whether the kernel hears of every change below a directory, as far as its mounts tell.

inotify reports what went through this kernel. What another host or the other side of a virtual machine writes into a
network or shared file system causes no event; such a file system has to be polled. Pure: the mounts come in.
"""

from dirsync.fs.mounts import Mount

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
