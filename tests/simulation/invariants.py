"""What must hold in every world: the promises of the project, as far as one can see them from outside.

Nothing here asks the programs under test. What is on the disks is compared with what people left there.
"""

import hashlib
import math
from collections.abc import Container, Iterator
from typing import Final

from tests.simulation.machine.disk import Disk, Inode

STAGING: Final = b".dirsync-staging"
"""Part of the name of every staging directory."""
INNER_STAGING: Final = b".dirsync-staging"
"""Where it is if it cannot be beside the replica."""
WINDOW_SECONDS: Final = 60.0
GROWING_SECONDS: Final = 10.0
"""How long what was added to the source may be on its way: meanwhile the replica may be empty for a moment."""
MIN_DELETES: Final = 10
"""Fewer than this are no violation. The guard lets 9 go without a question, and does not count those on their way."""
MAX_SHARE: Final = 0.5

_EMPTY: Final = hashlib.blake2b(b"").digest()


class Violation(AssertionError):
    """A promise was broken."""


class Versions:
    """Every content that anybody ever left under any name, and every target of a link."""

    def __init__(self) -> None:
        self._known = {_EMPTY}
        self._contents: list[bytes] = []

    def record(self, content: bytes) -> None:
        """Somebody left this."""
        digest = hashlib.blake2b(content).digest()
        if digest not in self._known:
            self._known.add(digest)
            self._contents.append(content)

    def has(self, inode: Inode) -> bool:
        """Whether this is what somebody left, or what a file that grew had in its earlier length (ADR 16)."""
        if not inode.is_known:
            inode.is_known = self._knows(inode)
        return inode.is_known

    def _knows(self, inode: Inode) -> bool:
        content = bytes(inode.content)
        if hashlib.blake2b(b"-> " + content if inode.is_link else content).digest() in self._known:
            return True
        was_as_long = any(len(known) == len(content) for known in self._contents)
        return inode.is_file and was_as_long and any(known.startswith(content) for known in self._contents)


def below(directory: Inode, path: bytes = b"") -> Iterator[tuple[bytes, Inode]]:
    """Everything in a directory, parents first."""
    for name, inode in sorted(directory.entries.items()):
        if name.startswith(INNER_STAGING):
            continue
        at = path + b"/" + name if path else name
        yield at, inode
        if inode.is_directory:
            yield from below(inode, at)


def find(disk: Disk, path: bytes) -> Inode:
    """What is at an absolute path."""
    inode = disk.root
    for name in path.split(b"/"):
        if name:
            inode = inode.entries[name]
    return inode


class ReplicaInvariants:
    """What must hold of the replica's disk after every step."""

    def __init__(self, disk: Disk, root: bytes, versions: Versions) -> None:
        self.disk = disk
        self.hand_made: set[bytes] = set()
        """Paths that somebody changed there by hand."""
        self._root = root
        self._versions = versions
        self._checked = self._judged = -1
        """Versions of the disk that were looked at."""
        self._count = 0
        self._outside = self._seen_outside()
        self._sizes: list[tuple[float, int, list[float]]] = []
        """When the replica changed within the window, how many paths it had then, and when it had got the latest."""
        self._deletes: list[tuple[float, int]] = []
        self._born: dict[bytes, float] = {}
        """When the replica got each path that it has."""
        self._gone: list[tuple[float, float]] = []
        """Of each path that it lost within the window: when, and when it had got it."""
        self._allowed_until = 0.0
        self._source_entries = 0
        self._grown_at = 0.0
        """When something was last added to the source: until it arrives, the replica may have nothing."""
        self._exempt: set[bytes] = set()
        self._exempt_inodes: set[Inode] = set()

    @property
    def root(self) -> Inode:
        """The replica's directory."""
        return find(self.disk, self._root)

    def check(self, now: float, source_entries: int) -> None:
        """P1, P5 and P8, after something happened."""
        if source_entries > self._source_entries:
            self._grown_at = now
        self._source_entries = source_entries
        self.check_content()
        if self._judged != self.disk.version:
            self._judged = self.disk.version
            self._note_paths(now)
            self._check_deletes(now, self._count)

    def check_content(self) -> None:
        """P1 and P5, at any moment."""
        if self._checked == self.disk.version:
            return
        self._checked = self.disk.version
        count = 0
        for path, inode in below(self.root):
            count += 1
            if (inode.is_file or inode.is_link) and not self._versions.has(inode):
                msg = f"P1: {path!r} of the replica holds {len(inode.content)} bytes that nobody ever left anywhere"
                raise Violation(msg)
        if self._outside != self._seen_outside():
            msg = "P5: something outside of the replica was changed"
            raise Violation(msg)
        self._count = count

    def _seen_outside(self) -> list[tuple[bytes, bytes]]:
        """Everything that is not the replica's, nor staged for it."""
        return [
            (path, bytes(inode.content))
            for path, inode in below(self.disk.root)
            if not (b"/" + path + b"/").startswith(self._root + b"/") and STAGING not in path
        ]

    def _note_paths(self, now: float) -> None:
        present = {path for path, _ in below(self.root)}
        self._gone = [(when, born) for when, born in self._gone if now - when < WINDOW_SECONDS]
        self._gone += [(now, born) for path, born in self._born.items() if path not in present]
        self._born = {path: self._born.get(path, now) for path in present}

    def _check_deletes(self, now: float, count: int) -> None:
        if now < self._allowed_until:
            return
        self._sizes = [sample for sample in self._sizes if now - sample[0] < WINDOW_SECONDS]
        largest = max((size - self._replaced(came, when) for when, size, came in self._sizes), default=0)
        came = [born for born in self._born.values() if now - born < WINDOW_SECONDS]
        self._sizes.append((now, count, came))
        self._deletes = [(when, size) for when, size in self._deletes if now - when < WINDOW_SECONDS]
        lost = min(largest - count, sum(size for _, size in self._deletes) - self._replaced(came))
        growing = self._source_entries > 0 or now - self._grown_at < GROWING_SECONDS
        emptied = count == 0 and largest > 1 and not growing
        if emptied or (lost >= MIN_DELETES and lost > largest * MAX_SHARE):
            msg = f"P8: the replica went from {largest} entries to {count} and nobody approved that"
            raise Violation(msg)

    def _replaced(self, came: list[float], since: float = -math.inf) -> int:
        """How many of the paths that went since then have another in their place: each of ``came`` that is younger."""
        gone = sorted(born for when, born in self._gone if when > since)
        count = 0
        for born in sorted(came):
            if count < len(gone) and gone[count] < born:
                count += 1
        return count

    def deleted(self, now: float, count: int) -> None:
        """The server applied so many deletes."""
        self._deletes.append((now, count))

    def allow_deletes(self, until: float = 0.0) -> None:
        """Somebody approved, or deleted by hand: what was before does not count, nor what is deleted until then."""
        self._sizes.clear()
        self._deletes.clear()
        self._gone.clear()
        self._allowed_until = max(self._allowed_until, until)

    # Durability.

    def not_durable(self) -> dict[bytes, Inode | None]:
        """Paths of the replica that a power cut could take back now; with what is there if only its content could."""
        durable = self.disk.journal.durable
        found: dict[bytes, Inode | None] = {}
        stack = [(b"", self.root)]
        while stack:
            path, inode = stack.pop()
            names = durable.get(inode, {})
            for name in inode.entries.keys() | names.keys():
                if name.startswith(INNER_STAGING):
                    continue
                at = path + b"/" + name if path else name
                child = inode.entries.get(name)
                if child is None or names.get(name) is not child:
                    found[at] = None
                elif not _is_durable(child):
                    found[at] = child
                if child is not None and child.is_directory:
                    stack.append((at, child))
        return found

    def excuse(self) -> None:
        """What is not durable now need not be: it was never acknowledged, because the disk or the server failed."""
        found = self.not_durable()
        self._exempt |= found.keys()
        # A file stays what it is when it, or a directory above it, is moved.
        self._exempt_inodes |= {inode for inode in found.values() if inode is not None}

    def forget_excuses(self) -> None:
        """The power was cut: everything that is left is durable."""
        self._exempt.clear()
        self._exempt_inodes.clear()

    def check_acknowledged(self) -> None:
        """P2: a commit is about to be acknowledged, so everything is durable that is not somebody else's."""
        exempt = self._exempt | self.hand_made
        broken = {
            path
            for path, inode in self.not_durable().items()
            if path not in exempt and (inode is None or inode not in self._exempt_inodes)
        }
        if broken:
            msg = f"P2: a commit is acknowledged while a power cut could undo {sorted(broken)[:3]}"
            raise Violation(msg)


def _is_durable(inode: Inode) -> bool:
    if inode.mode != inode.durable_mode:
        return False
    if not inode.is_file:
        return True
    return inode.content == inode.durable_content and inode.modified_ns == inode.durable_modified_ns


def differences(source: Inode, replica: Inode) -> list[bytes]:
    """P4: paths where the two trees are not equal; what is never mirrored is left out."""
    ours, theirs = _shown(source), _shown(replica)
    different = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
    return sorted(different - _kept_for_others(replica, ours))


def _shown(root: Inode) -> dict[bytes, tuple[object, ...]]:
    shown: dict[bytes, tuple[object, ...]] = {}
    for path, inode in below(root):
        if inode.is_directory:
            shown[path] = ("directory", inode.mode & 0o777)
        elif inode.is_file:
            shown[path] = ("file", inode.mode & 0o777, inode.modified_ns, bytes(inode.content))
        elif inode.is_link:
            shown[path] = ("link", bytes(inode.content))
    return shown


def _kept_for_others(replica: Inode, wanted: Container[bytes]) -> set[bytes]:
    """Directories that nobody wants any more, and that stay because of what is in them and is not mirrored."""
    kept: set[bytes] = set()
    for path, inode in below(replica):
        if not (inode.is_directory or inode.is_file or inode.is_link):
            at = path.rpartition(b"/")[0]
            while at and at not in wanted:
                kept.add(at)
                at = at.rpartition(b"/")[0]
    return kept
