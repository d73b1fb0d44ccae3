"""A source that is only a tree: what the reconciler knows, without a disk."""

import hashlib
from dataclasses import dataclass, field

from dirsync.tree.entry import UNKNOWN, Entry, FileIdentity, Record, directory_entry, file_entry, pack
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem
from dirsync.tree.renames.tracker import RenameTracker
from dirsync.tree.tree import Tree


@dataclass
class Model:
    """What is known of a source."""

    tree: Tree = field(default_factory=Tree)
    renames: RenameTracker = field(default_factory=RenameTracker)
    problems: dict[RelPath, Problem] = field(default_factory=dict)
    mounts_changed: set[RelPath] = field(default_factory=set)
    identity: FileIdentity = field(default_factory=lambda: FileIdentity(1, 1))


def path(name: str) -> RelPath:
    """A path."""
    return RelPath(name.encode())


def entry(content: bytes) -> Entry:
    """A file of this content."""
    return file_entry(mode=0o644, size=len(content), mtime_ns=0, digest=hashlib.sha256(content).digest())


def unread(content: bytes) -> Entry:
    """The same file before anyone has read it."""
    return entry(content)._replace(digest=UNKNOWN)


def record(content: bytes) -> Record:
    """The record of a file of this content."""
    return pack(entry(content))


def directory() -> Record:
    """The record of a directory."""
    return pack(directory_entry(0o755))
