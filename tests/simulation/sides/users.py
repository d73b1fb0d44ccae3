"""People and their programs: they change a directory, one call at a time, and pay no heed to who else looks at it.

The same people edit the replica by hand: there they are called hands.
"""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Final

from tests.simulation.machine.disk import Disk, Inode
from tests.simulation.machine.fakeos import FakeOs

NAMES: Final = tuple(f"{letter}".encode() for letter in "abcdefgh")
SIZES: Final = (0, 1, 10, 100, 4096, 5000, 65_535, 65_536, 65_537, 150_000, 400_000)
MAX_DEPTH: Final = 4

Deed = Iterator[float]
"""What somebody does; yields for how many seconds they pause."""


class Person:
    """Somebody with a directory. All content that they leave under a name is told to ``record``."""

    def __init__(
        self,
        disk: Disk,
        base: bytes,
        record: Callable[[bytes], None],
        changed: Callable[[bytes], None],
        *,
        syncs: bool = False,
    ) -> None:
        """``changed`` is told each path that was changed; ``syncs``: everything is made durable at once."""
        self.os = FakeOs(disk, Random(0))
        self.base = base
        self._disk = disk
        self._record = record
        self._changed = changed
        self._syncs = syncs
        self._count = 0
        self.touched: set[bytes] = set()
        """Paths that they changed, and those above them."""

    def do(self, name: str, random: Random) -> Deed:
        """Do something of this name; what cannot be done is left."""
        deed: Callable[[Random], Deed] = getattr(self, name)
        with suppress(OSError):
            yield from deed(random)
        if self._syncs:
            self._disk.sync_all()

    # Deeds.

    def create(self, random: Random) -> Deed:
        """Write a new file, in pieces."""
        yield from self._write(self._new_path(random), random, os.O_CREAT | os.O_EXCL)

    def rewrite(self, random: Random) -> Deed:
        """Truncate a file and write it anew."""
        yield from self._write(self._file(random), random, os.O_TRUNC)

    def append(self, random: Random) -> Deed:
        """Add to the end of a file."""
        yield from self._write(self._file(random), random, os.O_APPEND)

    def edit(self, random: Random) -> Deed:
        """Overwrite some of a file in place, which keeps its size."""
        path = self._file(random)
        file = self.os.open(path, os.O_RDWR)
        size = self.os.fstat(file).st_size
        for _ in range(random.randint(1, 3)):
            if size:
                self.os.pwrite(file, self._content(random, min(size, 50)), random.randrange(size))
                self._left(file)
                yield random.choice((0.0, 0.0, 0.002, 0.05))
        self.os.close(file)
        self._tell(path)

    def edit_open(self, other: FakeOs, random: Random) -> None:
        """Overwrite some of a file that another program has read in part: what it has read, then what it has not."""
        held = {file.inode for file in other.descriptors.values() if file.is_partly_read}
        paths = [path for path, inode in self._all() if inode in held]
        if paths:
            path = random.choice(paths)
            file = self.os.open(path, os.O_RDWR)
            size = self.os.fstat(file).st_size
            for at in (0, size - 1 - random.randrange(min(size, 50))):
                self.os.pwrite(file, self._content(random, min(size, 50)), at)
                self._left(file)
            self.os.close(file)
            self._tell(path)

    def truncate(self, random: Random) -> Deed:
        """Cut a file short."""
        path = self._file(random)
        file = self.os.open(path, os.O_RDWR)
        self.os.ftruncate(file, random.randint(0, self.os.fstat(file).st_size))
        self._left(file)
        self.os.close(file)
        self._tell(path)
        yield 0.0

    def save(self, random: Random) -> Deed:
        """Save as an editor does: a new file beside the old one, renamed over it."""
        path = self._file(random)
        beside = path + b"~"
        yield from self._write(beside, random, os.O_CREAT | os.O_TRUNC)
        self.os.rename(beside, path)
        self._tell(beside, path)

    def make_directory(self, random: Random) -> Deed:
        """Make a directory with a few files."""
        path = self._new_path(random)
        self.os.mkdir(path, random.choice((0o755, 0o700)))
        self._tell(path)
        for _ in range(random.randint(0, 3)):
            yield from self._write(path + b"/" + random.choice(NAMES), random, os.O_CREAT)

    def make_link(self, random: Random) -> Deed:
        """Make a symbolic link."""
        path = self._new_path(random)
        target = random.choice((b"a", b"../b", b"/etc/passwd", b"nowhere/at/all", b"."))
        self.os.symlink(target, path)
        self._record(b"-> " + target)
        self._tell(path)
        yield 0.0

    def make_fifo(self, random: Random) -> Deed:
        """Make what is never mirrored."""
        path = self._new_path(random)
        self.os.mkfifo(path)
        self._tell(path)
        yield 0.0

    def link(self, random: Random) -> Deed:
        """Give a file a second name."""
        path, other = self._file(random), self._new_path(random)
        self.os.link(path, other)
        self._tell(path, other)
        yield 0.0

    def rename(self, random: Random) -> Deed:
        """Move a file or directory to a name that is free."""
        old, new = self._any(random), self._new_path(random)
        self.os.rename(old, new)
        self._tell(old, new)
        yield 0.0

    def rename_over(self, random: Random) -> Deed:
        """Move a file over another one."""
        old, new = self._file(random), self._file(random)
        self.os.rename(old, new)
        self._tell(old, new)
        yield 0.0

    def swap(self, random: Random) -> Deed:
        """Let two things change places, by way of a third name."""
        one, other = self._any(random), self._any(random)
        aside = self._new_path(random)
        self.os.rename(one, aside)
        self._tell(one, aside)
        yield random.choice((0.0, 0.01, 0.5))
        self.os.rename(other, one)
        self._tell(one, other)
        yield random.choice((0.0, 0.01))
        self.os.rename(aside, other)
        self._tell(aside, other)

    def exchange(self, random: Random) -> Deed:
        """Let two things change places at once."""
        one, other = self._any(random), self._any(random)
        root = self.os.open(b"/", os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.os.exchange(root, one[1:], root, other[1:])
        finally:
            self.os.close(root)
        self._tell(one, other)
        yield 0.0

    def delete(self, random: Random) -> Deed:
        """Remove a file, or a directory with all that is in it."""
        yield from self._remove(self._any(random), random)

    def delete_all(self, random: Random) -> Deed:
        """Remove everything."""
        for name in sorted(self._inode(self.base).entries):
            yield from self._remove(self.base + b"/" + name, random)

    def retype(self, random: Random) -> Deed:
        """Put something of another kind in the place of what is there."""
        path = self._any(random)
        yield from self._remove(path, random)
        match random.choice(("file", "directory", "link")):
            case "file":
                yield from self._write(path, random, os.O_CREAT)
            case "directory":
                self.os.mkdir(path, 0o755)
                self._tell(path)
                yield from self._write(path + b"/" + random.choice(NAMES), random, os.O_CREAT)
            case _:
                self.os.symlink(b"a", path)
                self._record(b"-> a")
                self._tell(path)

    def chmod(self, random: Random) -> Deed:
        """Change permission bits."""
        path = self._any(random)
        if not self._inode(path).is_link:
            self.os.chmod(path, random.choice((0o644, 0o600, 0o755, 0o4755)) | 0o600)
            self._tell(path)
        yield 0.0

    def touch(self, random: Random) -> Deed:
        """Set a time."""
        path = self._file(random)
        times = (0, random.choice((0, 10**18, 1_600_000_000_123_456_789)))
        self.os.utime(path, ns=times)
        self._tell(path)
        yield 0.0

    def _write(self, path: bytes, random: Random, flags: int) -> Deed:
        file = self.os.open(path, os.O_WRONLY | flags, 0o644)
        self._left(file)
        self._tell(path)
        left = random.choice(SIZES)
        while left:
            piece = min(left, random.choice((left, 1000, 70_000)))
            self.os.write(file, self._content(random, piece))
            self._left(file)
            left -= piece
            yield random.choice((0.0, 0.0, 0.001, 0.03, 0.3))
        self.os.close(file)
        self._tell(path)

    def _remove(self, path: bytes, random: Random) -> Deed:
        inode = self._inode(path)
        if inode.is_directory:
            for name in sorted(inode.entries):
                yield from self._remove(path + b"/" + name, random)
            self.os.rmdir(path)
        else:
            self.os.unlink(path)
        self._tell(path)
        yield random.choice((0.0, 0.0, 0.0, 0.01))

    def _content(self, random: Random, size: int) -> bytes:
        """Content that nothing else has, or that half of everything has."""
        self._count += 1
        kind = random.choice(("unique", "unique", "unique", "zeros", "common"))
        if kind == "zeros":
            return bytes(size)
        word = b"common " if kind == "common" else b"%s %d %d " % (self.base, self._count, random.getrandbits(30))
        return (word * (size // len(word) + 1))[:size]

    def _left(self, file: int) -> None:
        self._record(bytes(self.os.get(file).inode.content))

    def _tell(self, *paths: bytes) -> None:
        for path in paths:
            below = path[len(self.base) + 1 :]
            self.touched.add(below)
            while b"/" in below:
                below = below.rpartition(b"/")[0]
                self.touched.add(below)
            self._changed(path[len(self.base) + 1 :])

    def _inode(self, path: bytes) -> Inode:
        return self.os.find(path, None, follow=False)

    def _all(self) -> list[tuple[bytes, Inode]]:
        found: list[tuple[bytes, Inode]] = []
        stack = [(self.base, self._inode(self.base))]
        while stack:
            path, inode = stack.pop()
            found.append((path, inode))
            stack += [(path + b"/" + name, child) for name, child in sorted(inode.entries.items())]
        return found

    def _pick(self, random: Random, kinds: Callable[[Inode], bool]) -> bytes:
        paths = [path for path, inode in self._all() if path != self.base and kinds(inode) and b".dirsync" not in path]
        if not paths:
            raise FileNotFoundError
        return random.choice(paths)

    def _file(self, random: Random) -> bytes:
        return self._pick(random, lambda inode: inode.is_file)

    def _any(self, random: Random) -> bytes:
        return self._pick(random, lambda inode: not stat.S_ISFIFO(inode.mode))

    def _new_path(self, random: Random) -> bytes:
        directories = [
            path for path, inode in self._all() if inode.is_directory and path[len(self.base) :].count(b"/") < MAX_DEPTH
        ]
        return random.choice(directories) + b"/" + random.choice(NAMES)
