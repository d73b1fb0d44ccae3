"""A tree of entries whose root digest proves equality, kept up to date change by change.

How a directory's digest is computed is :mod:`dirsync.tree.directory`. The root's own mode is part of no digest: it
belongs to the user who mounted it.
"""

from collections.abc import Iterable, Iterator

from dirsync.tree.directory import (
    Directory,
    Node,
    copy_directory,
    merkle_digest,
    node_entries,
    record_hash,
    rehash_directory,
)
from dirsync.tree.entry import Entry, Kind, Record, digest_of, directory_entry, pack, unpack
from dirsync.tree.lookup.chain import Chain
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, RelPath, escape, join, require_apart, split

_DIRECTORY_BYTE = bytes([Kind.DIRECTORY])
_ROOT_RECORD = pack(directory_entry(0))


class Tree:
    """A root directory and everything in it.

    Paths are :data:`RelPath`. A path whose parent is not a directory of the tree is a programming error and raises
    ``KeyError``.
    """

    def __init__(self, attributes: Attributes | None = None) -> None:
        self.attributes = attributes or Attributes()
        self._counted = None if self.attributes == Attributes() else self.attributes
        self.root = Directory(_ROOT_RECORD)
        self._count = 0
        self._last = Chain(self.root)

    def __len__(self) -> int:
        """Entries below the root."""
        return self._count

    def __contains__(self, path: RelPath) -> bool:
        return self._find(path) is not None

    def get(self, path: RelPath) -> Entry | None:
        """The entry at ``path``, a directory's with its digest, or ``None``."""
        found = self._find(path)
        if found is None:
            return None
        if isinstance(found, Directory):
            return unpack(found.record)._replace(digest=self.digest_of(found))
        return unpack(found)

    def record(self, path: RelPath) -> Record | None:
        """The record at ``path`` (a directory's without its digest), or ``None``."""
        found = self._find(path)
        return found.record if isinstance(found, Directory) else found

    def directory(self, path: RelPath) -> Directory | None:
        """The directory at ``path``, or ``None`` if there is something else or nothing."""
        found = self._find(path)
        return found if isinstance(found, Directory) else None

    def digest(self, path: RelPath = ROOT) -> bytes:
        """The Merkle digest of the directory at ``path``.

        Raises:
            KeyError: there is no directory.
        """
        found = self.directory(path)
        if found is None:
            raise KeyError(escape(path))
        return self.digest_of(found)

    def digest_of(self, directory: Directory) -> bytes:
        """The Merkle digest of a directory of this tree."""
        return merkle_digest(directory, self._counted)

    def children(self, path: RelPath = ROOT) -> Iterator[tuple[bytes, Entry]]:
        """Names and entries in the directory at ``path``, in byte order of the names."""
        directory = self.directory(path)
        if directory is None:
            raise KeyError(escape(path))
        for name in sorted(directory.children):
            child = directory.children[name]
            if isinstance(child, Directory):
                yield name, unpack(child.record)._replace(digest=self.digest_of(child))
            else:
                yield name, unpack(child)

    def walk(self, path: RelPath = ROOT) -> Iterator[tuple[RelPath, Record]]:
        """Every path below ``path`` with its record, parents before children, siblings in byte order."""
        start = self.directory(path)
        if start is None:
            raise KeyError(escape(path))
        stack = [(path, start, iter(sorted(start.children)))]
        while stack:
            parent, directory, names = stack[-1]
            name = next(names, None)
            if name is None:
                stack.pop()
                continue
            child = directory.children[name]
            child_path = join(parent, name)
            if isinstance(child, Directory):
                yield child_path, child.record
                stack.append((child_path, child, iter(sorted(child.children))))
            else:
                yield child_path, child

    def files(self) -> Iterator[tuple[RelPath, Record]]:
        """Every file with its record, in the order of :meth:`walk`."""
        return ((path, record) for path, record in self.walk() if record[0] == Kind.FILE)

    def entries(self) -> Iterator[tuple[RelPath, Entry]]:
        """Every path with its entry, directories with their digests, in the order of :meth:`walk`."""
        for path, record in self.walk():
            entry = unpack(record)
            yield path, entry._replace(digest=self.digest(path)) if entry.is_directory else entry

    def put(self, path: RelPath, record: Record) -> None:
        """Set what is at ``path``. A directory keeps its children; a change of kind drops them.

        Raises:
            KeyError: the parent is no directory of this tree, or the path is the root.
        """
        parent, name = _place(path)
        chain = self._chain_or_error(parent)
        old = chain.directories[-1].children.get(name)
        if record[:1] != _DIRECTORY_BYTE:
            self._set(chain, name, old, record)
        elif isinstance(old, Directory):
            if digest_of(old.record) != digest_of(record):
                old.cached = None
            old.record = record
            chain.directories[-1].mark_stale(name)
            self._changed(chain, 0)
        else:
            self._set(chain, name, old, Directory(record))

    def fill(self, rows: Iterable[tuple[RelPath, Record]]) -> list[RelPath]:
        """Put everything into this tree, which is empty: each path once, in byte order, and so parents first.

        Returns:
            Paths that were left out, because the tree has no directory for them.
        """
        assert not self._count
        directories: dict[bytes, Directory] = {ROOT: self.root}
        left_out: list[RelPath] = []
        try:
            for path, record in rows:
                parent, _, name = path.rpartition(b"/")
                holder = directories.get(parent)
                if holder is None or not name:
                    left_out.append(path)
                    continue
                self._count += 1
                if record[0] == Kind.DIRECTORY:
                    directories[path] = holder.children[name] = child = Directory(record)
                    child.counted = -1
                    holder.mark_stale(name)
                else:
                    holder.children[name] = record
                    holder.total += record_hash(name, record, self._counted)
        finally:
            # What came before an error of ``rows`` stays.
            self.root.counted = -1
            self.root.cached = None
        return left_out

    def learn(self, path: RelPath, files: Iterable[tuple[bytes, Record, int]]) -> None:
        """Files in the directory at ``path`` were read: their records, which had no digests, and the hashes of these.

        Raises:
            KeyError: there is no such directory.
        """
        chain = self._chain_or_error(path)
        holder = chain.directories[-1]
        for name, record, hashed in files:
            holder.children[name] = record
            holder.total += hashed
        self._changed(chain, 0)

    def remove(self, path: RelPath) -> None:
        """Drop what is at ``path`` and below it; nothing happens if nothing is there.

        Raises:
            KeyError: the path is the root.
        """
        self.take(path)

    def take(self, path: RelPath) -> Node | None:
        """Detach what is at ``path``, a directory with everything below it; ``None`` if nothing is there.

        The node belongs to the caller until it is grafted, once. The cost is the depth of the path.

        Raises:
            KeyError: the path is the root.
        """
        parent, name = _place(path)
        chain = self._chain(parent)
        if chain is None:
            return None
        holder = chain.directories[-1]
        node = holder.children.pop(name, None)
        if node is not None:
            self._forget(holder, name, node)
            self._changed(chain, -node_entries(node))
        return node

    def graft(self, path: RelPath, node: Node) -> None:
        """Replace what is at ``path`` by a node that was taken from this tree or one with the same attributes.

        Raises:
            KeyError: the parent is no directory of this tree, or the path is the root.
        """
        parent, name = _place(path)
        chain = self._chain_or_error(parent)
        self._set(chain, name, chain.directories[-1].children.get(name), node)

    def move(self, source: RelPath, path: RelPath) -> None:
        """Move what is at ``source`` to ``path``, replacing what is there; digests below it are kept.

        Raises:
            KeyError: nothing is at ``source``, or the parent of ``path`` is no directory of this tree.
            ValueError: one path is, or lies within, the other. Nothing has changed after either error.
        """
        require_apart(source, path)
        self._chain_or_error(_place(path)[0])
        self.graft(path, self._take_or_error(source))

    def exchange(self, first: RelPath, second: RelPath) -> None:
        """Exchange two nodes.

        Raises:
            KeyError: nothing is at one of the paths.
            ValueError: one path is, or lies within, the other. Nothing has changed after either error.
        """
        require_apart(first, second)
        if second not in self:
            raise KeyError(escape(second))
        node = self._take_or_error(first)
        self.graft(first, self._take_or_error(second))
        self.graft(second, node)

    def copy(self, attributes: Attributes | None = None) -> "Tree":
        """An independent tree that shares the (immutable) records, optionally under other attributes."""
        twin = Tree(attributes or self.attributes)
        if twin.attributes == self.attributes:
            copy_directory(self.root, twin.root)
        else:
            rehash_directory(self.root, twin.root, twin._counted)
        twin._count = self._count
        return twin

    def _find(self, path: RelPath) -> Node | None:
        if not path:
            return self.root
        # As _chain, written out: half of the time of a first sync is spent on lookups.
        parent, _, name = path.rpartition(b"/")
        last = self._last
        if last.path != parent and not last.lead_to(parent):  # type: ignore[arg-type]  # a call to cast it would cost more
            return None
        return last.directories[-1].children.get(name)

    def _chain(self, path: RelPath) -> Chain | None:
        """The chain to the directory at ``path``. It is good until the next call."""
        last = self._last
        return last if last.path == path or last.lead_to(path) else None

    def _chain_or_error(self, path: RelPath) -> Chain:
        chain = self._chain(path)
        if chain is None:
            raise KeyError(escape(path))
        return chain

    def _take_or_error(self, path: RelPath) -> Node:
        node = self.take(path)
        if node is None:
            raise KeyError(escape(path))
        return node

    def _set(self, chain: Chain, name: bytes, old: Node | None, node: Node) -> None:
        """Replace ``old`` by ``node`` in the directory at the end of ``chain``."""
        holder = chain.directories[-1]
        before = node_entries(old)
        if old is not None:
            self._forget(holder, name, old)
        holder.children[name] = node
        if isinstance(node, Directory):
            holder.mark_stale(name)
        else:
            holder.total += record_hash(name, node, self._counted)
        self._changed(chain, node_entries(node) - before)

    def _forget(self, holder: Directory, name: bytes, old: Node) -> None:
        """Subtract what leaves ``holder`` from its total. The last chain leads to ``holder``, so it need not change."""
        if isinstance(old, Directory):
            holder.total -= old.contribution
            old.contribution = 0
            if holder.stale:
                holder.stale.discard(name)
        else:
            holder.total -= record_hash(name, old, self._counted)

    def _changed(self, chain: Chain, entries: int) -> None:
        names, directories = chain.names, chain.directories
        self._count += entries
        if entries:
            for directory in reversed(directories):
                if directory.counted < 0:
                    break
                directory.counted = -1
        directories[-1].cached = None
        for depth in range(len(names), 0, -1):
            holder, name = directories[depth - 1], names[depth - 1]
            if holder.stale and name in holder.stale:
                break
            holder.mark_stale(name)


def _place(path: RelPath) -> tuple[RelPath, bytes]:
    if path == ROOT:
        msg = "the root"
        raise KeyError(msg)
    return split(path)
