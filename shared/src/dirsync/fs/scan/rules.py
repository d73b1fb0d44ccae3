"""What a scan lists and what it leaves out.

Left out means: as if it were not there, on both sides, neither mirrored nor deleted. That is ignored paths, ``.nfs*``
(open files that were removed on NFS), the ``lost+found`` of a mounted root, and links where links are not mirrored.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dirsync.tree.path import RelPath

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
