"""What a directory hands down to what is made in it: its group, and its default ACL.

The kernel does that for what is made there. What is staged is made elsewhere and moved in, so it is given here what it
would have got. The permission bits are those that were chosen before: they limit what an ACL grants, as chmod(2) does,
and nothing that is handed down ever exceeds them.

A group that this process is no member of cannot be given to a file (only the kernel could): then it keeps ours.
"""

import contextlib
import os
import stat
import struct
from typing import Final, NamedTuple

_DEFAULT_ACL: Final = "system.posix_acl_default"
_ACCESS_ACL: Final = "system.posix_acl_access"
_HEAD: Final = struct.Struct("<I")
_ENTRY: Final = struct.Struct("<HHI")
"""Tag, permissions, id: as in ``linux/posix_acl_xattr.h``."""
_USER, _GROUP, _MASK, _OTHER = 0x01, 0x04, 0x10, 0x20
"""Tags: the owner, the owning group, what limits all groups and named users, everybody else."""


class Heritage(NamedTuple):
    """What a directory hands down."""

    group: int | None
    """The group; ``None``: it hands none down."""
    acl: bytes
    """The default ACL; empty: it has none."""

    def __bool__(self) -> bool:
        return self.group is not None or bool(self.acl)


def heritage_of(directory: int) -> Heritage:
    """What an open directory hands down."""
    status = os.fstat(directory)
    return Heritage(status.st_gid if status.st_mode & stat.S_ISGID else None, _default_acl(directory))


def hand_down(heritage: Heritage, staging: int, name: bytes) -> None:
    """Give what is staged under ``name`` what the directory hands down that it goes to.

    Raises:
        OSError: the file system refuses the ACL.
    """
    if not heritage:
        return
    group, acl = heritage
    status = os.stat(name, dir_fd=staging, follow_symlinks=False)
    if group is not None and status.st_gid != group:
        with contextlib.suppress(PermissionError):
            os.chown(name, -1, group, dir_fd=staging, follow_symlinks=False)
    if stat.S_ISLNK(status.st_mode):
        return
    place = f"/proc/self/fd/{staging}/{os.fsdecode(name)}"
    if acl:
        os.setxattr(place, _ACCESS_ACL, limited(acl, status.st_mode), follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        if acl:
            os.setxattr(place, _DEFAULT_ACL, acl, follow_symlinks=False)
        if group is not None:
            os.chmod(name, stat.S_IMODE(status.st_mode) | stat.S_ISGID, dir_fd=staging)


def limited(acl: bytes, mode: int) -> bytes:
    """An ACL that grants no more than these permission bits: those of the group limit all but owner and others."""
    entries = list(_ENTRY.iter_unpack(acl[_HEAD.size :]))
    limits_groups = _MASK if any(tag == _MASK for tag, _, _ in entries) else _GROUP
    bits = {_USER: mode >> 6 & 7, limits_groups: mode >> 3 & 7, _OTHER: mode & 7}
    return acl[: _HEAD.size] + b"".join(_ENTRY.pack(tag, bits.get(tag, given), who) for tag, given, who in entries)


def _default_acl(directory: int) -> bytes:
    """The ACL that a directory hands down; empty if it has none, or the file system knows none."""
    if not hasattr(os, "getxattr"):
        return b""
    try:
        return os.getxattr(directory, _DEFAULT_ACL)
    except OSError:
        return b""
