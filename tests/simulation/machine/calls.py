# ruff: noqa: D102  the methods are the calls of the os module
"""The calls of the ``os`` module that take a descriptor: content, status, durability."""

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from tests.simulation.machine.disk import BLOCK, Inode
from tests.simulation.machine.process import OpenFile, Process, failure

MOST_READ: Final = 20_000
"""Bytes that one call reads at most."""


class Status(NamedTuple):
    """What ``os.stat_result`` has, as far as anybody asks."""

    st_mode: int
    st_ino: int
    st_dev: int
    st_nlink: int
    st_uid: int
    st_gid: int
    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int
    st_blocks: int


class FileSystemStatus(NamedTuple):
    """What ``os.statvfs_result`` has, as far as anybody asks."""

    f_blocks: int
    f_bavail: int
    f_frsize: int
    f_fsid: int = 0x5EED_F11E
    f_flag: int = 0


class Entry(NamedTuple):
    """What ``os.scandir`` yields."""

    name: str
    inode_found: Inode
    status_of: Callable[[], Status]

    def stat(self, *, follow_symlinks: bool = True) -> Status:
        """As of now."""
        assert not follow_symlinks
        return self.status_of()

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """As of the listing."""
        assert not follow_symlinks
        return self.inode_found.is_directory

    def is_symlink(self) -> bool:
        """As of the listing."""
        return self.inode_found.is_link

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """As of the listing."""
        assert not follow_symlinks
        return self.inode_found.is_file


class Listing(list[Entry]):
    """An iterator that is also a context manager."""

    def __enter__(self) -> Iterator[Entry]:
        return iter(self)

    def __exit__(self, *_: object) -> None:
        pass

    def __next__(self) -> Entry:
        if not self:
            raise StopIteration
        return self.pop(0)


class DescriptorCalls(Process):
    """Calls that take a descriptor."""

    def status(self, inode: Inode) -> Status:
        """The status of an inode."""
        inode.is_seen = True
        links = inode.links
        if inode.is_directory and links:
            links = 2 + sum(child.is_directory for child in inode.entries.values())
        size = len(inode.content)
        return Status(
            inode.mode,
            inode.number,
            self.disk.device,
            links,
            0,
            0,
            size,
            inode.modified_ns,
            inode.changed_ns,
            -(-size // BLOCK),
        )

    def close(self, fd: int) -> None:
        self.enter("close")
        self.drop(fd)

    def dup(self, fd: int) -> int:
        self.enter("dup")
        file = self.get(fd)
        file.shared_by += 1
        return self.add(file)

    def fstat(self, fd: int) -> Status:
        self.enter("fstat")
        return self.status(self.get(fd).inode)

    def fstatvfs(self, fd: int) -> FileSystemStatus:
        self.enter("fstatvfs")
        self.get(fd)
        return FileSystemStatus(self.disk.capacity, max(0, self.disk.capacity - self.disk.used), 1)

    def read(self, fd: int, size: int) -> bytes:
        self.enter("read")
        file = self._for(fd, reading=True)
        # As the kernel may: so a file of some size is read in several calls, and something can happen between them.
        data = bytes(file.inode.content[file.position : file.position + min(size, MOST_READ)])
        file.position += len(data)
        return data

    def readv(self, fd: int, buffers: list[memoryview]) -> int:
        (buffer,) = buffers
        data = self.read(fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self.enter("pread")
        if offset < 0:
            raise failure(errno.EINVAL)
        return bytes(self._for(fd, reading=True).inode.content[offset : offset + size])

    def preadv(self, fd: int, buffers: list[memoryview], offset: int) -> int:
        (buffer,) = buffers
        data = self.pread(fd, len(buffer), offset)
        buffer[: len(data)] = data
        return len(data)

    def write(self, fd: int, data: bytes | memoryview) -> int:
        self.enter("write")
        file = self._for(fd, reading=False)
        if file.flags & os.O_APPEND and data:
            file.position = len(file.inode.content)
        self.disk.write(file.inode, file.position, bytes(data))
        file.position += len(data)
        return len(data)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self.enter("pwrite")
        file = self._for(fd, reading=False)
        self.disk.write(file.inode, len(file.inode.content) if file.flags & os.O_APPEND else offset, data)
        return len(data)

    def ftruncate(self, fd: int, size: int) -> None:
        self.enter("ftruncate")
        file = self.get(fd)
        if file.is_reference:
            raise failure(errno.EBADF)
        if file.flags & os.O_ACCMODE == os.O_RDONLY:
            raise failure(errno.EINVAL)
        self.disk.truncate(file.inode, size)

    def lseek(self, fd: int, offset: int, how: int) -> int:
        self.enter("lseek")
        file = self.get(fd)
        size = len(file.inode.content)
        if file.is_reference:
            raise failure(errno.EBADF)
        if how == os.SEEK_DATA:
            if not 0 <= offset < size:
                raise failure(errno.ENXIO)
            position = offset
        else:
            position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: file.position, os.SEEK_END: size}[how]
        if position < 0:
            raise failure(errno.EINVAL)
        file.position = position
        return position

    def copy_file_range(self, src: int, dst: int, count: int, offset_src: int) -> int:
        self.enter("copy_file_range")
        source, target = self._for(src, reading=True), self._for(dst, reading=False)
        if target.flags & os.O_APPEND:
            raise failure(errno.EBADF)
        count = max(0, min(count, len(source.inode.content) - offset_src))
        if source.inode is target.inode and abs(offset_src - target.position) < count:
            raise failure(errno.EINVAL)
        data = bytes(source.inode.content[offset_src : offset_src + count])
        self.disk.write(target.inode, target.position, data)
        target.position += len(data)
        return len(data)

    def fsync(self, fd: int) -> None:
        file = self.get(fd)
        try:
            self.enter("fsync")
        except OSError:
            file.inode.is_lost = True
            raise
        if file.is_reference:
            raise failure(errno.EBADF)
        self.disk.sync(file.inode)

    def syncfs(self, fd: int) -> None:
        self.enter("syncfs")
        self.get(fd)
        self.disk.sync_all()

    def fchmod(self, fd: int, mode: int) -> None:
        self.enter("fchmod")
        file = self.get(fd)
        if file.is_reference:
            raise failure(errno.EBADF)
        self._chmod(file.inode, mode)

    def flock(self, fd: int, how: int) -> None:
        self.enter("flock")
        file = self.get(fd)
        if how & fcntl.LOCK_UN:
            file.inode.locked_by = None
        elif file.inode.locked_by not in (None, file):
            raise BlockingIOError(errno.EWOULDBLOCK, os.strerror(errno.EWOULDBLOCK))
        else:
            file.inode.locked_by = file

    def scandir(self, fd: int) -> Listing:
        """Names in the order of nobody's choice."""
        self.enter("scandir")
        directory = self._directory(fd)
        found = sorted(directory.entries.items(), key=lambda item: hash((item[1].number, len(item[0]))))
        return Listing(Entry(os.fsdecode(name), inode, self._looker(directory, name)) for name, inode in found)

    def listdir(self, fd: int) -> list[str]:
        self.enter("listdir")
        return [os.fsdecode(name) for name in self._directory(fd).entries]

    def _looker(self, directory: Inode, name: bytes) -> Callable[[], Status]:
        def look() -> Status:
            self.enter("stat")
            inode = directory.entries.get(name)
            if inode is None:
                raise failure(errno.ENOENT)
            return self.status(inode)

        return look

    def _directory(self, fd: int) -> Inode:
        file = self.get(fd)
        if not file.inode.is_directory:
            raise failure(errno.ENOTDIR)
        if file.is_reference:
            raise failure(errno.EBADF)
        return file.inode

    def _chmod(self, inode: Inode, mode: int) -> None:
        inode.mode = stat.S_IFMT(inode.mode) | stat.S_IMODE(mode)
        inode.changed_ns = self.disk.now(inode)

    def _for(self, fd: int, *, reading: bool) -> OpenFile:
        file = self.get(fd)
        access = file.flags & os.O_ACCMODE
        if file.is_reference or access == (os.O_WRONLY if reading else os.O_RDONLY):
            raise failure(errno.EBADF)
        if file.inode.is_directory:
            raise failure(errno.EISDIR)
        return file
