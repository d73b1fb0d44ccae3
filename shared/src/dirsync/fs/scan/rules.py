"""What a scan lists and what it leaves out.

What is left out is treated as absent on both sides: it is neither mirrored nor deleted. These are ignored paths,
``.nfs*`` (open files that were removed on NFS), the ``lost+found`` of a mounted root, and links if links are not
mirrored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, abbreviate
from dirsync.tree.problem import Problem, ProblemKind

NFS_PREFIX: Final = b".nfs"
LOST_AND_FOUND: Final = b"lost+found"

Ignores = Callable[[RelPath, bool], bool]
"""Whether a path (whose ancestors are not ignored) is ignored; the flag says that it is a directory."""


@dataclass(frozen=True, slots=True)
class ScanRules:
    """What a scan lists and what it leaves out."""

    ignores: Ignores | None = None
    """``IgnoreRules.matches``; ``None`` where there are no rules, which is the fast way."""
    reserved: frozenset[bytes] = frozenset()
    """Names directly below the root that belong to the server: its staging directory."""
    report_reserved: bool = False
    """A reserved name is a Problem (in a source) rather than ours (in a replica)."""
    symlinks: bool = True
    """Links are mirrored; otherwise left out."""
    keep_known_directories: bool = False
    """A directory that the tree has already stays in it though it now lives only through what is left out: the replica
    has it because the source does."""

    def is_reserved(self, path: RelPath) -> bool:
        """Whether the path belongs to the server's staging."""
        return path in self.reserved

    def leaves_out(self, path: RelPath, name: bytes, *, is_directory: bool, is_link: bool) -> bool:
        """Whether the entry called ``name`` at ``path``, none of whose ancestors is, is left out."""
        return (
            (name.startswith(NFS_PREFIX) and not is_directory)
            or (is_directory and path == LOST_AND_FOUND)
            or (is_link and not self.symlinks)
            or (self.ignores is not None and self.ignores(path, is_directory))
        )


DEFAULT_RULES: Final = ScanRules()


def too_long(path: RelPath, name: bytes) -> Problem | None:
    """The Problem of a name or path that is longer than the protocol allows."""
    if len(name) > LIMITS.max_name_bytes:
        kind, bound = ProblemKind.NAME_TOO_LONG, LIMITS.max_name_bytes
    elif len(path) > LIMITS.max_path_bytes:
        kind, bound = ProblemKind.PATH_TOO_LONG, LIMITS.max_path_bytes
    else:
        return None
    return Problem(path, kind, f"{abbreviate(path)} is longer than {bound} bytes: shorten it")
