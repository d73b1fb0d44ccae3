"""The result of scanning one directory."""

from dataclasses import dataclass, field

from dirsync.limits import LIMITS
from dirsync.tree.entry import Record
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem
from dirsync.tree.untracked import Untracked, UntrackedKind


@dataclass(slots=True)
class DirectoryScan:
    """What scanning one directory found; the tree is up to date with it."""

    path: RelPath
    entries: int = 0
    """Names in the listing."""
    changed: list[RelPath] = field(default_factory=list)
    """Paths whose record in the tree is new, different, or gone."""
    directories: list[RelPath] = field(default_factory=list)
    """Subdirectories that the tree has here."""
    replaced: list[RelPath] = field(default_factory=list)
    """Those among them that are not the same directory as before, so the tree is out of date below them."""
    modified: list[RelPath] = field(default_factory=list)
    """Those that have the identity that they had, and another status: something was added or removed there."""
    new_directories: dict[RelPath, Record] = field(default_factory=dict)
    """Subdirectories that the tree does not have yet: what is in them decides whether they belong there."""
    linked: dict[RelPath, bool] = field(default_factory=dict)
    """Changed files that have several names, and whether the path had this file before."""
    problems: list[Problem] = field(default_factory=list)
    """Problems of the directory itself (it could not be listed) and of what is directly in it."""
    untracked: int = 0
    """What is neither a file, a directory nor a link, and our own log."""
    named: list[Untracked] = field(default_factory=list)
    """The first of them, and of what the file system keeps for itself."""
    left_out: int = 0
    file_systems_own: int = 0
    """Those among what is left out that the file system keeps for itself: no rule of a person names them."""
    mounts_changed: list[RelPath] = field(default_factory=list)
    unknown: int = 0
    """Files and links that the tree had no record of."""
    stale: int = 0
    """Files and links whose record no longer described them."""

    untouched: int = 0
    """Names whose status, ctime included, is that of the tree's record."""

    def name(self, path: RelPath, kind: UntrackedKind) -> None:
        """Say which path is left alone, as long as they are few."""
        if len(self.named) < LIMITS.untracked_named:
            self.named.append(Untracked(path, kind))

    @property
    def proved(self) -> int:
        """Files and links whose fingerprint proved that their record still describes them."""
        elsewhere = self.left_out + self.untracked + len(self.directories) + len(self.new_directories)
        return max(0, self.entries - elsewhere - self.unknown - self.stale - len(self.problems))


def change_at(path: RelPath) -> tuple[DirectoryScan]:
    """The step of a path that changed and is listed no further."""
    return (DirectoryScan(path, changed=[path]),)
