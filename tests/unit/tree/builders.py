"""Small trees and plans as text, so that a test shows what it is about.

A tree is a list of words: ``docs/`` a directory, ``a=one`` a file with that content, ``l->a`` a link, ``a?5`` a file of
five bytes whose content has not been read. A mode follows a colon: ``docs/:700``, ``a=one:600``. Missing parents are
made.
"""

import hashlib
from collections.abc import Iterable

from dirsync.tree.diff import Change
from dirsync.tree.entry import Entry, directory_entry, file_entry, pack, symlink_entry
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath, ancestors, escape
from dirsync.tree.plan import Operation
from dirsync.tree.tree import Tree


def tree_of(words: str, attributes: Attributes | None = None) -> Tree:
    """The tree that the words describe."""
    tree = Tree(attributes)
    for word in words.split():
        put(tree, word)
    return tree


def put(tree: Tree, word: str) -> None:
    """Set one entry of a tree."""
    path, entry = entry_of(word)
    for above in reversed(list(ancestors(path))):
        if above and tree.directory(above) is None:
            tree.put(above, pack(directory_entry(0o755)))
    tree.put(path, pack(entry))


def entry_of(word: str) -> tuple[RelPath, Entry]:
    """The path and entry that a word describes."""
    if "->" in word:
        name, _, target = word.partition("->")
        return path_of(name), symlink_entry(target.encode())
    word, _, mode = word.partition(":")
    bits = int(mode, 8) if mode else None
    if word.endswith("/"):
        return path_of(word[:-1]), directory_entry(0o755 if bits is None else bits)
    bits = 0o644 if bits is None else bits
    if "?" in word:
        name, _, size = word.partition("?")
        return path_of(name), file_entry(mode=bits, size=int(size), mtime_ns=0)
    name, _, content = word.partition("=")
    data = content.encode()
    return path_of(name), file_entry(mode=bits, size=len(data), mtime_ns=0, digest=hashlib.sha256(data).digest())


def path_of(text: str) -> RelPath:
    """A path, taken as valid."""
    return RelPath(text.encode())


def shown(steps: Iterable[Change | Operation]) -> list[str]:
    """Changes as ``+path`` (new), ``~path`` (other), ``-path`` (gone); operations as ``PutFile path``."""
    return [_shown(step) for step in steps]


def _shown(step: Change | Operation) -> str:
    if isinstance(step, Change):
        sign = "+" if step.old is None else "-" if step.new is None else "~"
        return sign + escape(step.path)
    return f"{type(step).__name__} {escape(step.path)}"
