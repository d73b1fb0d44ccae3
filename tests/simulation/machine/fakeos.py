# ruff: noqa: D102  the methods are the calls of the os module
"""A stand-in for the ``os`` module, over a disk in memory: the calls that take a name.

What is not a call of the kernel (constants, encodings) is the real module's. Whatever else is asked for fails: a
program in the simulation must not reach the machine that the simulation runs on.
"""

import errno
import os
import re
import stat
import struct
from random import Random
from typing import Any, Final

from tests.simulation.machine.calls import DescriptorCalls, Status
from tests.simulation.machine.disk import Disk, Inode
from tests.simulation.machine.process import failure

_CONSTANTS: Final = re.compile(r"(O|SEEK|ST)_[A-Z]+|[RWX]_OK")
_PURE: Final = frozenset({"PathLike", "fsdecode", "fsencode", "path", "stat_result", "strerror", "uname", "DirEntry"})
_DESCRIPTOR: Final = re.compile(rb"/proc/self/fd/(\d+)")
_UMASK: Final = 0o022
_STATX: Final = struct.Struct("<I28xQ40xqI")
"""Of ``struct statx``: the mask, the inode, and the time of birth."""
_BIRTH: Final = 0x800

Name = str | bytes


class FakeOs(DescriptorCalls):
    """One program's ``os``; ``random`` is where :meth:`urandom` comes from."""

    def __init__(self, disk: Disk, random: Random) -> None:
        super().__init__(disk)
        self._random = random

    def __getattr__(self, name: str) -> Any:
        if _CONSTANTS.fullmatch(name) or name in _PURE:
            return getattr(os, name)
        msg = f"the simulation has no os.{name}"
        raise AttributeError(msg)

    def getcwdb(self) -> bytes:
        return b"/"

    def geteuid(self) -> int:
        return 0

    def urandom(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def open(self, path: Name, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        self.enter("create" if flags & os.O_CREAT else "open")
        path = os.fsencode(path)
        follow = not flags & os.O_NOFOLLOW and not (flags & os.O_CREAT and flags & os.O_EXCL)
        directory, name, inode = self.locate(path, dir_fd, follow=follow)
        if inode is None:
            if not flags & os.O_CREAT:
                raise failure(errno.ENOENT)
            inode = self.disk.create(directory, name, stat.S_IFREG | (mode & ~_UMASK))
        elif flags & os.O_CREAT and flags & os.O_EXCL:
            raise failure(errno.EEXIST)
        self._check_open(inode, flags)
        if flags & os.O_TRUNC and inode.is_file:
            self.disk.truncate(inode, 0)
        return self.open_inode(inode, flags)

    @staticmethod
    def _check_open(inode: Inode, flags: int) -> None:
        if flags & os.O_DIRECTORY and not inode.is_directory:
            raise failure(errno.ENOTDIR)
        if flags & os.O_PATH:
            return
        if inode.is_link:
            raise failure(errno.ELOOP)
        if inode.is_directory and (flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_CREAT):
            raise failure(errno.EISDIR)

    def stat(self, path: Name | int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> Status:
        if isinstance(path, int):
            return self.fstat(path)
        self.enter("stat")
        return self.status(self.find(os.fsencode(path), dir_fd, follow=follow_symlinks))

    def access(self, path: Name, _mode: int, *, dir_fd: int | None = None, effective_ids: bool = False) -> bool:
        """The programs run as root, who may do anything."""
        self.stat(path, dir_fd=dir_fd)
        return True

    def lstat(self, path: Name, *, dir_fd: int | None = None) -> Status:
        return self.stat(path, dir_fd=dir_fd, follow_symlinks=False)

    def statx(self, directory: int, name: bytes, _flags: int, _mask: int, answer: Any) -> None:
        self.enter("stat")
        inode = self.find(name, directory, follow=False)
        seconds, nanoseconds = divmod(inode.born_ns, 1_000_000_000)
        _STATX.pack_into(answer, 0, _BIRTH, inode.number, seconds, nanoseconds)

    def readlink(self, path: bytes, *, dir_fd: int | None = None) -> bytes:
        self.enter("readlink")
        inode = self.find(path, dir_fd, follow=False)
        if not inode.is_link:
            raise failure(errno.EINVAL)
        return bytes(inode.content)

    def chmod(self, path: Name, mode: int, *, dir_fd: int | None = None) -> None:
        self.enter("chmod")
        path = os.fsencode(path)
        own = _DESCRIPTOR.fullmatch(path)
        self._chmod(self.get(int(own[1])).inode if own else self.find(path, dir_fd, follow=True), mode)

    def utime(
        self,
        path: Name | int,
        *,
        ns: tuple[int, int],
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        self.enter("utime")
        if isinstance(path, int):
            inode = self.get(path).inode
        else:
            inode = self.find(os.fsencode(path), dir_fd, follow=follow_symlinks)
        inode.modified_ns = ns[1]
        inode.changed_ns = self.disk.now(inode)

    def mkdir(self, path: bytes, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self.enter("mkdir")
        directory, name = self._free(path, dir_fd)
        self.disk.create(directory, name, stat.S_IFDIR | (mode & ~_UMASK))

    def mkfifo(self, path: bytes, *, dir_fd: int | None = None) -> None:
        self.enter("mkfifo")
        directory, name = self._free(path, dir_fd)
        self.disk.create(directory, name, stat.S_IFIFO | 0o644)

    def symlink(self, target: bytes, path: bytes, *, dir_fd: int | None = None) -> None:
        self.enter("symlink")
        if not target:
            raise failure(errno.ENOENT)
        directory, name = self._free(path, dir_fd)
        self.disk.create(directory, name, stat.S_IFLNK | 0o777).content = bytearray(target)

    def link(self, path: bytes, other: bytes, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        self.enter("link")
        inode = self.find(path, src_dir_fd, follow=True)
        directory, name = self._free(other, dst_dir_fd)
        if inode.is_directory:
            raise failure(errno.EPERM)
        self.disk.change([(directory, name, inode)])

    def unlink(self, path: bytes, *, dir_fd: int | None = None) -> None:
        self.enter("unlink")
        directory, name, inode = self.locate(path, dir_fd, follow=False)
        if inode is None:
            raise failure(errno.ENOENT)
        if inode.is_directory:
            raise failure(errno.EISDIR)
        self.disk.change([(directory, name, None)])

    def rmdir(self, path: bytes, *, dir_fd: int | None = None) -> None:
        self.enter("rmdir")
        directory, name, inode = self.locate(path, dir_fd, follow=False)
        if inode is None:
            raise failure(errno.ENOENT)
        if not inode.is_directory:
            raise failure(errno.ENOTDIR)
        if inode.entries:
            raise failure(errno.ENOTEMPTY)
        self.disk.change([(directory, name, None)])

    def rename(self, src: bytes, dst: bytes, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        self.enter("rename")
        directory, name, moved = self.locate(src, src_dir_fd, follow=False)
        there, new, replaced = self.locate(dst, dst_dir_fd, follow=False)
        if moved is None:
            raise failure(errno.ENOENT)
        if there.links == 0:
            raise failure(errno.ENOENT)
        if moved is replaced:
            return
        if moved.is_directory and there.is_within(moved):
            raise failure(errno.EINVAL)
        if replaced is not None:
            self._check_replaced(directory, moved, replaced)
        self.disk.change([(directory, name, None), (there, new, moved)])

    @staticmethod
    def _check_replaced(directory: Inode, moved: Inode, replaced: Inode) -> None:
        if replaced.is_directory:
            if directory.is_within(replaced):
                raise failure(errno.ENOTEMPTY)
            if not moved.is_directory:
                raise failure(errno.EISDIR)
            if replaced.entries:
                raise failure(errno.ENOTEMPTY)
        elif moved.is_directory:
            raise failure(errno.ENOTDIR)

    def exchange(self, src_dir_fd: int, src: bytes, dst_dir_fd: int, dst: bytes) -> None:
        """What ``RENAME_EXCHANGE`` does."""
        self.enter("exchange")
        directory, name, one = self.locate(src, src_dir_fd, follow=False)
        there, new, other = self.locate(dst, dst_dir_fd, follow=False)
        if one is None or other is None:
            raise failure(errno.ENOENT)
        if one is other:
            return
        if (one.is_directory and there.is_within(one)) or (other.is_directory and directory.is_within(other)):
            raise failure(errno.EINVAL)
        self.disk.change([(directory, name, other), (there, new, one)])

    def _free(self, path: bytes, dir_fd: int | None) -> tuple[Inode, bytes]:
        directory, name, inode = self.locate(path, dir_fd, follow=False)
        if inode is not None:
            raise failure(errno.EEXIST)
        if directory.links == 0:
            raise failure(errno.ENOENT)
        return directory, name
