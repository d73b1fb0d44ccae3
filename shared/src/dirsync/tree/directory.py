"""One directory of a tree: its children, its Merkle digest, and everything below it.

A directory's digest is SHA-256 over the number of its children and the sum, modulo 2^256, of its children's record
hashes (AdHash: Bellare and Micciancio, "A New Paradigm for Collision-free Hashing", 1997). A sum can be corrected for
one child without reading its siblings, so a change costs the depth of the path and not the width of the directories on
it. The construction protects against accidents; a peer that forges a collision deceives only itself.

    record hash = SHA-256(kind u8 | mode u16 | size u64 | mtime_ns i64 | digest 32 bytes | name), little-endian
    directory digest = SHA-256(child count u64 | sum of record hashes mod 2^256 as 32 bytes), little-endian

Attributes that do not count are hashed as zero. A file that was not read adds its record with what stands in for its
digest; where that is :data:`~dirsync.tree.entry.UNKNOWN`, it adds only to the number of children. Digests are computed
when they are asked for, so a bulk load pays for each directory once.

The digest of a directory that could not be listed is made from the one that it would have, and is the digest of no
content (:func:`~dirsync.tree.entry.unread_digest`).
"""

import hashlib
from collections.abc import Iterable, Iterator

from dirsync.tree.entry import (
    DIGEST_SIZE,
    UNKNOWN,
    UNLISTED,
    Kind,
    Record,
    covered,
    digest_of,
    pack,
    unpack,
    unread_digest,
    with_digest,
)
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, RelPath, join, split

_MODULUS_MASK = (1 << 256) - 1
_FILE = int(Kind.FILE)
_DIRECTORY = int(Kind.DIRECTORY)


class Directory:
    """One directory. Only the tree that holds it changes it."""

    __slots__ = ("cached", "children", "contribution", "counted", "record", "stale", "total")

    def __init__(self, record: Record) -> None:
        self.record = record
        self.children: dict[bytes, Record | Directory] = {}
        self.counted = 0
        """Entries below this directory, at any depth, or -1 where they have to be counted. Invariant: where they have
        to be counted, the same holds for the directories above, so a change stops at the first of these."""
        self.total = 0
        self.contribution = 0
        """The record hash of this directory that its parent's total includes at present."""
        self.stale: set[bytes] | None = None
        """Subdirectories whose contribution is out of date. Invariant: a directory whose digest is out of date is named
        here in its parent, and so on up to the root."""
        self.cached: bytes | None = None

    @property
    def entries(self) -> int:
        """Entries below this directory, at any depth. Counts them where something came or went since."""
        stack = [self]
        while stack:
            current = stack[-1]
            if current.counted >= 0:
                stack.pop()
                continue
            below = [child for child in current.children.values() if isinstance(child, Directory)]
            pending = [child for child in below if child.counted < 0]
            if pending:
                stack.extend(pending)
            else:
                current.counted = len(current.children) + sum(child.counted for child in below)
        return self.counted

    def mark_stale(self, name: bytes) -> None:
        """Note that the digest of the subdirectory ``name``, and so that of this directory, is out of date."""
        if self.stale is None:
            self.stale = set()
        self.stale.add(name)
        self.cached = None


Node = Record | Directory
"""What a directory has under a name: a directory, or the record of a file or link."""


def node_entries(node: Node | None) -> int:
    """How many entries a node is, itself included."""
    if node is None:
        return 0
    return 1 + node.entries if isinstance(node, Directory) else 1


def record_hash(name: bytes, record: Record, attributes: Attributes | None) -> int:
    """The hash of a child's record; ``attributes``: which metadata count, ``None`` if all do."""
    if record[0] == _FILE and digest_of(record) == UNKNOWN:
        # Only a source has such files, and no replica's tree equals it, so its digest need not say more: first scans
        # save the hashing.
        return 0
    if attributes is not None:
        record = pack(attributes.normalize(unpack(record)))
    return int.from_bytes(hashlib.sha256(covered(record) + name).digest(), "little")


def merkle_digest(directory: Directory, attributes: Attributes | None) -> bytes:
    """The digest of a directory; computes those below it that are out of date first."""
    stack = [directory]
    while stack:
        current = stack[-1]
        if current.cached is not None and not current.stale:
            stack.pop()
            continue
        below = [current.children[name] for name in current.stale or ()]
        pending = [child for child in below if isinstance(child, Directory) and child.cached is None]
        if pending:
            stack.extend(pending)
            continue
        for name in current.stale or ():
            child = current.children[name]
            assert isinstance(child, Directory)
            assert child.cached is not None
            contribution = record_hash(name, with_digest(child.record, child.cached), attributes)
            current.total += contribution - child.contribution
            child.contribution = contribution
        current.stale = None
        current.total &= _MODULUS_MASK
        count = len(current.children).to_bytes(8, "little")
        digest = hashlib.sha256(count + current.total.to_bytes(DIGEST_SIZE, "little")).digest()
        current.cached = unread_digest(digest) if digest_of(current.record) == UNLISTED else digest
    assert directory.cached is not None
    return directory.cached


def hashes_of(below: Iterable[tuple[RelPath, Record]], attributes: Attributes) -> list[int]:
    """The record hashes of files, in a tree that counts these attributes; 0 for directories."""
    counted = None if attributes == Attributes() else attributes
    return [0 if child[0] == _DIRECTORY else record_hash(split(at)[1], child, counted) for at, child in below]


def directory_of(
    path: RelPath, record: Record, below: Iterable[tuple[RelPath, Record]], hashes: Iterable[int]
) -> Directory:
    """The directory at ``path``, made of everything below it, parents before children.

    ``hashes``: :func:`hashes_of` the same.

    Raises:
        KeyError: something comes before the directory that holds it.
    """
    top = Directory(record)
    found = {path: top}
    for (at, child), hashed in zip(below, hashes, strict=True):
        parent, name = split(at)
        holder = found[parent]
        if child[0] == _DIRECTORY:
            found[at] = holder.children[name] = Directory(child)
            holder.mark_stale(name)
        else:
            holder.children[name] = child
            holder.total += hashed
    for directory in found.values():
        directory.counted = -1
    return top


def copy_directory(source: Directory, target: Directory) -> None:
    """Give an empty directory everything that is below another, with the digests."""
    for original, copied in _twins(source, target):
        copied.total, copied.contribution = original.total, original.contribution
        copied.stale = set(original.stale) if original.stale else None
        copied.cached = original.cached


def rehash_directory(source: Directory, target: Directory, attributes: Attributes | None) -> None:
    """Give an empty directory everything that is below another, hashed under other attributes."""
    for _, copied in _twins(source, target):
        for name, child in copied.children.items():
            if isinstance(child, Directory):
                copied.mark_stale(name)
            else:
                copied.total += record_hash(name, child, attributes)


def _twins(source: Directory, target: Directory) -> Iterator[tuple[Directory, Directory]]:
    """Copy the entries of a directory and of those below it; yields each with its copy."""
    stack = [(source, target)]
    while stack:
        original, copied = stack.pop()
        copied.counted = original.counted
        for name, child in original.children.items():
            if isinstance(child, Directory):
                copied.children[name] = twin = Directory(child.record)
                stack.append((child, twin))
            else:
                copied.children[name] = child
        yield original, copied


def directories(directory: Directory, path: RelPath = ROOT) -> Iterator[tuple[RelPath, Directory]]:
    """A directory that is at ``path`` and every directory below it, parents before children."""
    stack = [(path, directory)]
    while stack:
        at, current = stack.pop()
        yield at, current
        stack.extend(
            (join(at, name), child) for name, child in current.children.items() if isinstance(child, Directory)
        )


def records(directory: Directory, path: RelPath = ROOT) -> Iterator[tuple[RelPath, Record]]:
    """Everything below a directory that is at ``path``, with its record, parents before children."""
    for at, current in directories(directory, path):
        for name, child in current.children.items():
            yield join(at, name), child.record if isinstance(child, Directory) else child


def files(directory: Directory, path: RelPath = ROOT) -> Iterator[tuple[RelPath, Record]]:
    """Every file below a directory that is at ``path``, with its record, in no order."""
    for at, current in directories(directory, path):
        for name, child in current.children.items():
            if not isinstance(child, Directory) and child[0] == _FILE:
                yield join(at, name), child


def differing(theirs: Directory, ours: Directory, path: RelPath = ROOT) -> Iterator[tuple[RelPath, Node | None]]:
    """What is in one directory, which is at ``path``, and is not the same in another one, with what is there instead.

    ``None``: nothing is. Of files and links the content counts; what only ``ours`` has does not come. Directories whose
    digests are known and equal are not entered.
    """
    stack = [(path, theirs, ours)]
    while stack:
        at, one, other = stack.pop()
        if one.cached is not None and not one.stale and one.cached == other.cached and not other.stale:
            continue
        for name, child in one.children.items():
            found = other.children.get(name)
            if isinstance(child, Directory) and isinstance(found, Directory):
                stack.append((join(at, name), child, found))
            elif isinstance(child, Directory) or isinstance(found, Directory) or not _same_content(child, found):
                yield join(at, name), found


def _same_content(one: Record, other: Record | None) -> bool:
    return other is not None and one[0] == other[0] and digest_of(one) == digest_of(other) != UNKNOWN
