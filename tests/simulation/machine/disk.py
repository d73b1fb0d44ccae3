"""A disk in memory: inodes, what of them would survive a power cut, and the clock that stamps them.

Two states are kept. The volatile one is what a program sees. The durable one is what a power cut leaves: content counts
from fsync of the file on, names from fsync of a directory that changed. What was never synced may have reached the disk
all the same, and the one who cuts the power chooses what did (:mod:`tests.simulation.machine.journal`).

Times advance in ticks, as the kernel's do; only what somebody has looked at gets a finer time with its next change, as
since Linux 6.13. A number of an inode is given again as soon as it is free. Fingerprints have to cope with both.
"""

import errno
import heapq
import os
import stat
from collections.abc import Callable
from random import Random
from typing import Final

from tests.simulation.machine.journal import Journal, Operation

TICK_NS: Final = 4_000_000
"""How coarse the times of inodes are: one jiffy of a kernel with 250 of them a second."""
BLOCK: Final = 512
ROOT_NUMBER: Final = 2

Clock = Callable[[], int]


class Inode:
    """A file, directory, link or FIFO. ``content`` and ``durable_content`` are of a file; a link's is its target."""

    __slots__ = (
        "born_ns",
        "changed_ns",
        "content",
        "durable_content",
        "durable_mode",
        "durable_modified_ns",
        "entries",
        "is_free",
        "is_known",
        "is_lost",
        "is_seen",
        "links",
        "locked_by",
        "mode",
        "modified_ns",
        "number",
        "opened",
        "parent",
        "told",
    )

    def __init__(self, number: int, mode: int, now_ns: int) -> None:
        self.number = number
        self.mode = mode
        self.born_ns = self.modified_ns = self.changed_ns = now_ns
        self.links = 0
        self.opened = 0
        """How many descriptors keep it alive."""
        self.content = bytearray()
        self.entries: dict[bytes, Inode] = {}
        self.parent: Inode = self
        self.locked_by: object = None
        self.durable_content = b""
        self.durable_mode = mode
        self.durable_modified_ns = now_ns
        self.is_known = False
        """Its content was compared with what people left."""
        self.told: tuple[int, int] | None = None
        """What tells its content from others, once somebody has asked (:mod:`tests.simulation.two_way.survival`)."""
        self.is_seen = False
        """Somebody looked at its times since they changed."""
        self.is_free = False
        self.is_lost = False
        """An fsync failed: the kernel calls the pages clean, so that a later one proves nothing."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    def is_within(self, other: "Inode") -> bool:
        """Whether this directory is ``other`` or lies in it."""
        at = self
        while at is not other:
            if at.parent is at:
                return False
            at = at.parent
        return True


class Disk:
    """One file system. ``random`` decides the order of listings, and what a power cut leaves."""

    def __init__(self, device: int, clock: Clock, random: Random, capacity: int = 1 << 40) -> None:
        self.device = device
        self.random = random
        self.capacity = capacity
        """Bytes of content that fit; a write beyond fails with ``ENOSPC``."""
        self.used = 0
        self.version = 0
        """Counts the changes of names and content."""
        self._clock = clock
        self._floor = 0
        """The latest time that any inode got: none gets an earlier one after that."""
        self._free: list[int] = []
        self._next = ROOT_NUMBER
        self.root = self._new(stat.S_IFDIR | 0o755)
        self.root.links = 1
        self.journal = Journal({self.root: {}})

    def now(self, inode: Inode | None = None) -> int:
        """The time that an inode gets: that of the last tick, or a finer one."""
        now = self._clock()
        if inode is not None and inode.is_seen:
            inode.is_seen = False
            self._floor = now
            return now
        return max(self._floor, now - now % TICK_NS)

    def _new(self, mode: int) -> Inode:
        number = heapq.heappop(self._free) if self._free else self._next
        self._next = max(self._next, number + 1)
        return Inode(number, mode, self.now())

    def create(self, directory: Inode, name: bytes, mode: int) -> Inode:
        """A new inode under a name that is free."""
        self.require_room(0)
        if directory.links == 0:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
        inode = self._new(mode)
        self.change([(directory, name, inode)])
        return inode

    def change(self, assignments: list[tuple[Inode, bytes, Inode | None]]) -> None:
        """Give names to inodes, or take them away, all at once."""
        self.version += 1
        touched: set[object] = set()
        dropped: list[Inode] = []
        for directory, name, inode in assignments:
            before = directory.entries.pop(name, None)
            touched.add(directory)
            if before is not None:
                before.links -= 1
                dropped.append(before)
            if inode is not None:
                directory.entries[name] = inode
                inode.links += 1
                if inode.is_directory:
                    inode.parent = directory
            for one in (before, inode):
                if one is not None:
                    one.changed_ns = self.now(one)
                    touched |= {one, one.number}
            directory.modified_ns = directory.changed_ns = self.now(directory)
        self.journal.append(Operation(tuple(assignments), frozenset(touched)))
        for inode in dropped:
            self.release(inode)

    def release(self, inode: Inode) -> None:
        """Free the number of an inode that nothing holds any more. It keeps its content: its name may come back."""
        if inode.links == 0 and inode.opened == 0 and not inode.is_free:
            inode.is_free = True
            self.used -= len(inode.content)
            heapq.heappush(self._free, inode.number)

    def write(self, inode: Inode, offset: int, data: bytes) -> None:
        """Change content; what lies between the old end and ``offset`` is zeros."""
        if not data:
            return
        end = offset + len(data)
        self.require_room(max(0, end - len(inode.content)))
        if end > len(inode.content):
            self.used += end - len(inode.content)
            inode.content.extend(bytes(end - len(inode.content)))
        inode.content[offset:end] = data
        inode.is_known, inode.told = False, None
        self.version += 1
        inode.modified_ns = inode.changed_ns = self.now(inode)

    def truncate(self, inode: Inode, size: int) -> None:
        """Cut, or extend with zeros."""
        self.require_room(max(0, size - len(inode.content)))
        self.version += 1
        self.used += size - len(inode.content)
        inode.is_known, inode.told = False, None
        if size < len(inode.content):
            del inode.content[size:]
        else:
            inode.content.extend(bytes(size - len(inode.content)))
        inode.modified_ns = inode.changed_ns = self.now(inode)

    def require_room(self, more: int) -> None:
        """Fail as a full disk does."""
        if self.used + more > self.capacity:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # Durability.

    def sync_content(self, inode: Inode) -> None:
        """Make a file's content and metadata durable."""
        if not inode.is_lost:
            inode.durable_content = bytes(inode.content)
            inode.durable_modified_ns = inode.modified_ns
            inode.durable_mode = inode.mode

    def sync(self, inode: Inode) -> None:
        """What fsync does."""
        self.sync_content(inode)
        if inode.is_directory:
            self.journal.sync(inode)

    def sync_all(self) -> None:
        """What syncfs does."""
        self.journal.sync_all()
        stack = [self.root]
        while stack:
            inode = stack.pop()
            self.sync_content(inode)
            stack.extend(inode.entries.values())

    def cut_power(self) -> None:
        """Go back to a state that the disk may have: the durable one, and a part of what was not synced."""
        self.version += 1
        self.journal.crash(self.random)
        alive = self._restore()
        self.used = sum(len(inode.content) for inode in alive.values())
        self._next = max(alive) + 1
        self._free = [number for number in range(ROOT_NUMBER, self._next) if number not in alive]
        self.journal = Journal({inode: dict(inode.entries) for inode in alive.values()})

    def _restore(self) -> dict[int, Inode]:
        """Take over the durable names; gives what they lead to, by number."""
        alive: dict[int, Inode] = {}
        stack = [(self.root, self.root)]
        while stack:
            inode, parent = stack.pop()
            assert alive.get(inode.number) in (None, inode), "one number, two inodes"
            if inode.number not in alive:
                alive[inode.number] = inode
                inode.links, inode.opened = 0, 0
                inode.locked_by, inode.is_lost, inode.is_free = None, False, False
                inode.parent = parent
                inode.entries = dict(self.journal.durable.get(inode, {}))
                self._restore_content(inode)
                stack += [(child, inode) for child in inode.entries.values()]
            inode.links += 1
        return alive

    def _restore_content(self, inode: Inode) -> None:
        """Content that was not synced is old, new, or the beginning of the new; metadata are new only with it."""
        if inode.is_directory:
            inode.mode = inode.durable_mode = self.random.choice((inode.mode, inode.durable_mode))
        if not inode.is_file:
            return
        durable = inode.mode == inode.durable_mode and inode.modified_ns == inode.durable_modified_ns
        if durable and inode.content == inode.durable_content:
            return
        same = inode.content == inode.durable_content
        match self.random.choice(("old", "new") if same else ("old", "new", "torn")):
            case "old":
                inode.content = bytearray(inode.durable_content)
                inode.modified_ns = inode.durable_modified_ns
                inode.mode = inode.durable_mode
                inode.changed_ns = self.now(inode)
            case "torn":
                kept = self.random.randint(0, len(inode.content))
                inode.content = bytearray(inode.content[:kept])
                inode.changed_ns = self.now(inode)
            case _:
                pass
        inode.is_known, inode.told = False, None
        inode.durable_content = bytes(inode.content)
        inode.durable_mode, inode.durable_modified_ns = inode.mode, inode.modified_ns
