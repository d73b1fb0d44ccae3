"""Trees to draw: one, and another that is the first one perturbed.

Two trees drawn independently share almost nothing, so every difference looks like a removal and an addition. Real trees
are a former state and a few edits; that is what :func:`pairs` draws.
"""

import hashlib

from hypothesis import strategies as st

from dirsync.tree.entry import UNKNOWN, Entry, directory_entry, file_entry, pack, symlink_entry, unpack
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath, ancestors, is_within
from dirsync.tree.tree import Tree

NAMES = (b"a", b"b", b"a-", b"a.b", b"\n", b"\xff", "é".encode())
"""Few enough to meet again; ``a-`` and ``a.b`` sort before ``a/``; one breaks lines, one is no text."""

modes = st.sampled_from((0o644, 0o600, 0o755, 0o000))
attributes = st.builds(Attributes, mode=st.booleans(), mtime=st.booleans())
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map(lambda names: RelPath(b"/".join(names)))
contents = st.sampled_from((b"", b"1", b"2", b"one", b"two"))


def file_of(content: bytes, mode: int, mtime_ns: int) -> Entry:
    """A file that was read."""
    digest = hashlib.sha256(content).digest()
    return file_entry(mode=mode, size=len(content), mtime_ns=mtime_ns, digest=digest)


files = st.builds(file_of, contents, modes, st.sampled_from((0, 1, -1)))
directories = modes.map(directory_entry)
links = st.sampled_from((b"a", b"../b", b"\xff")).map(symlink_entry)
entries = files | directories | links


def plant(tree: Tree, path: RelPath, entry: Entry) -> None:
    """Put an entry wherever it belongs: what is in the way of its parents becomes a directory."""
    for above in reversed(list(ancestors(path))):
        if above and tree.directory(above) is None:
            tree.put(above, pack(directory_entry(0o755)))
    tree.put(path, pack(entry))


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """A tree of up to some thirty entries."""
    tree = Tree(draw(attributes))
    for path, entry in draw(st.lists(st.tuples(paths, entries), max_size=15)):
        plant(tree, path, entry)
    return tree


@st.composite
def perturbed(draw: st.DrawFn, tree: Tree) -> Tree:
    """The tree after a few edits: puts, removals, other metadata, and moves."""
    other = tree.copy()
    for _ in range(draw(st.integers(0, 6))):
        there = [path for path, _ in other.walk()]
        path = draw(st.sampled_from(there) | paths if there else paths)
        edit = draw(st.sampled_from((_put, _remove, _set_metadata, _move)))
        edit(draw, other, path)
    return other


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Tree, Tree]:
    """A replica and a source: one tree, perturbed twice."""
    origin = draw(trees())
    return draw(perturbed(origin)), draw(perturbed(origin))


@st.composite
def unread(draw: st.DrawFn, tree: Tree) -> Tree:
    """The tree as a scan leaves it: the content of some files is unknown."""
    scanned = tree.copy()
    for path, record in list(tree.walk()):
        entry = unpack(record)
        if entry.size and draw(st.booleans()):
            scanned.put(path, pack(entry._replace(digest=UNKNOWN)))
    return scanned


def _put(draw: st.DrawFn, tree: Tree, path: RelPath) -> None:
    plant(tree, path, draw(entries))


def _remove(_draw: st.DrawFn, tree: Tree, path: RelPath) -> None:
    tree.remove(path)


def _set_metadata(draw: st.DrawFn, tree: Tree, path: RelPath) -> None:
    record = tree.record(path)
    if record is not None and not (entry := unpack(record)).target:
        tree.put(path, pack(entry._replace(mode=draw(modes))))


def _move(draw: st.DrawFn, tree: Tree, path: RelPath) -> None:
    target, record = draw(paths), tree.record(path)
    if record is None or is_within(target, path) or is_within(path, target):
        return
    moved = [(path, record), *(tree.walk(path) if tree.directory(path) else ())]
    tree.remove(path)
    for old, entry in moved:
        plant(tree, RelPath(target + old[len(path) :]), unpack(entry))
