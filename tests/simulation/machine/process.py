"""One program's view of a disk: its descriptors, how it finds a name, and the moment at which it dies."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.simulation.machine.disk import Disk, Inode

MAX_LINKS: Final = 40
MAX_NAME: Final = 255

Hook = Callable[[str], None]
"""Told the name of each call before it is carried out; may raise, or change the disk."""


class Crashed(BaseException):
    """The program died in the middle of a call. Nothing that it does after that has an effect."""


def failure(number: int) -> OSError:
    """The error that the kernel gives for a number."""
    return OSError(number, os.strerror(number))


@dataclass(slots=True)
class OpenFile:
    """What a descriptor stands for."""

    inode: Inode
    flags: int
    position: int = 0
    shared_by: int = 1

    @property
    def is_reference(self) -> bool:
        """Whether it only names the inode (``O_PATH``)."""
        return bool(self.flags & os.O_PATH)

    @property
    def is_partly_read(self) -> bool:
        """Whether it is a file of which some was read, and some was not."""
        return self.inode.is_file and 0 < self.position < len(self.inode.content)


class Process:
    """One program. Its calls are :mod:`tests.simulation.machine.calls`."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.descriptors: dict[int, OpenFile] = {}
        self.hook: Hook | None = None
        self.calls = 0
        self.is_dead = False

    def enter(self, call: str) -> None:
        """A call begins."""
        if self.is_dead:
            raise Crashed
        self.calls += 1
        hook = self.hook
        if hook is not None:
            hook(call)
            if self.is_dead:
                raise Crashed

    def kill(self) -> None:
        """End it: its descriptors are closed, its locks are free; the disk stays as it is."""
        self.is_dead = True
        for number in list(self.descriptors):
            self.drop(number)

    def get(self, descriptor: int) -> OpenFile:
        """What the descriptor stands for."""
        file = self.descriptors.get(descriptor)
        if file is None:
            raise failure(errno.EBADF)
        return file

    def add(self, file: OpenFile) -> int:
        """The lowest free descriptor now stands for ``file``."""
        number = 3
        while number in self.descriptors:
            number += 1
        self.descriptors[number] = file
        return number

    def open_inode(self, inode: Inode, flags: int) -> int:
        """A new descriptor."""
        inode.opened += 1
        return self.add(OpenFile(inode, flags))

    def drop(self, descriptor: int) -> None:
        """Close."""
        file = self.get(descriptor)
        del self.descriptors[descriptor]
        file.shared_by -= 1
        if file.shared_by == 0:
            if file.inode.locked_by is file:
                file.inode.locked_by = None
            file.inode.opened -= 1
            self.disk.release(file.inode)

    # Names.

    def start(self, path: bytes, dir_fd: int | None) -> Inode:
        """Where the way along ``path`` begins."""
        if path.startswith(b"/") or dir_fd is None:
            return self.disk.root
        inode = self.get(dir_fd).inode
        if not inode.is_directory:
            raise failure(errno.ENOTDIR)
        return inode

    def find(self, path: bytes, dir_fd: int | None, *, follow: bool) -> Inode:
        """What is at ``path``."""
        directory, name, inode = self.locate(path, dir_fd, follow=follow)
        if inode is None:
            raise failure(errno.ENOENT)
        del directory, name
        return inode

    def locate(self, path: bytes, dir_fd: int | None, *, follow: bool) -> tuple[Inode, bytes, Inode | None]:
        """The directory that holds the last name of ``path``, that name, and what has it."""
        if not path:
            raise failure(errno.ENOENT)
        return self._walk(self.start(path, dir_fd), path, follow=follow, links=0)

    def _walk(self, at: Inode, path: bytes, *, follow: bool, links: int) -> tuple[Inode, bytes, Inode | None]:
        names = [name for name in path.split(b"/") if name]
        if not names:
            return at, b".", at
        for name in names[:-1]:
            _, _, inode = self._step(at, name, follow=True, links=links)
            if inode is None:
                raise failure(errno.ENOENT)
            if not inode.is_directory:
                raise failure(errno.ENOTDIR)
            at = inode
        return self._step(at, names[-1], follow=follow or path.endswith(b"/"), links=links)

    def _step(self, at: Inode, name: bytes, *, follow: bool, links: int) -> tuple[Inode, bytes, Inode | None]:
        if not at.is_directory:
            raise failure(errno.ENOTDIR)
        if len(name) > MAX_NAME:
            raise failure(errno.ENAMETOOLONG)
        if name == b".":
            return at, name, at
        if name == b"..":
            return at, name, at.parent
        inode = at.entries.get(name)
        if inode is None or not inode.is_link or not follow:
            return at, name, inode
        if links >= MAX_LINKS:
            raise failure(errno.ELOOP)
        target = bytes(inode.content)
        start = self.disk.root if target.startswith(b"/") else at
        return self._walk(start, target, follow=True, links=links + 1)
