"""Why a path is left out of a tree: which rule, or what it is. For a person who asks; a scan asks for itself."""

import stat
from collections.abc import Iterator
from typing import NamedTuple

from dirsync.fs.root import Root
from dirsync.fs.scan.observe import untracked
from dirsync.fs.scan.rules import ScanRules, is_file_systems_own
from dirsync.tree.ignore.rules import IgnoreRules
from dirsync.tree.path import ROOT, RelPath, ancestors, escape, split
from dirsync.tree.untracked import UntrackedKind


class LeftOut(NamedTuple):
    """What leaves a path out; one of the last three says it."""

    path: RelPath
    """The path itself, or the directory above it that is left out with everything below it."""
    rule: bytes = b""
    """The ignore rule."""
    kind: UntrackedKind | None = None
    is_link: bool = False
    """Links are not mirrored in this session."""

    def sentence(self, asked: RelPath) -> str:
        """For people who asked about a path."""
        at = "it" if self.path == asked else escape(self.path)
        if self.kind is not None:
            return f"{at} is {self.kind.sentence}: it is left alone"
        if self.is_link:
            return f"{at} is a link, and SYMLINKS=ignore leaves links alone"
        return f"the rule {escape(self.rule)!r} leaves {at} alone on both sides"


def why_left_out(root: Root, path: RelPath, rules: ScanRules, ignore: IgnoreRules) -> LeftOut | None:
    """What leaves ``path`` out of the tree; ``None`` if nothing does.

    What is not there is judged as a file; above it are directories.

    Raises:
        PathFailure: it cannot be determined what is there.
    """
    return next((found for at in _downwards(path) if (found := _itself(root, at, path, rules, ignore))), None)


def _downwards(path: RelPath) -> Iterator[RelPath]:
    yield from reversed([above for above in ancestors(path) if above != ROOT])
    yield path


def _itself(root: Root, at: RelPath, asked: RelPath, rules: ScanRules, ignore: IgnoreRules) -> LeftOut | None:
    status = root.lstat(at)
    mode = stat.S_IFREG if status is None else status.st_mode
    is_directory = at != asked or stat.S_ISDIR(mode)
    if is_file_systems_own(root, at, split(at)[1], is_directory=is_directory):
        return LeftOut(at, kind=UntrackedKind.LOST_AND_FOUND if is_directory else UntrackedKind.REMOVED_ON_NFS)
    if stat.S_ISLNK(mode) and not rules.symlinks:
        return LeftOut(at, is_link=True)
    rule = ignore.ignoring(at, is_directory=is_directory)
    if rule is not None:
        return LeftOut(at, rule=rule)
    if status is not None and rules.is_own_log(status):
        return LeftOut(at, kind=UntrackedKind.OWN_LOG)
    mirrored = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
    return None if mirrored else LeftOut(at, kind=untracked(mode))
