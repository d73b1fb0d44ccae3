"""Which permission bits the replica gets.

Never setuid, setgid or sticky, whatever the source has: a replica must not become a way to run programs as another user
(D19, I23).
"""

from dataclasses import dataclass
from typing import Self

from dirsync.tree.entry import PERMISSION_BITS


@dataclass(frozen=True, slots=True)
class ModePolicy:
    """Permission bits for what is published; a fixed mode, or ``None`` for those of the source."""

    fixed_file: int | None = None
    fixed_directory: int | None = None

    @classmethod
    def preserve(cls) -> Self:
        """The source's own permission bits."""
        return cls()

    @classmethod
    def fixed(cls, file_mode: int, directory_mode: int) -> Self:
        """The same bits for every file, and for every directory."""
        return cls(file_mode & PERMISSION_BITS, directory_mode & PERMISSION_BITS)

    def file(self, declared: int) -> int:
        """The bits of a file that the source declares with ``declared``."""
        return declared & PERMISSION_BITS if self.fixed_file is None else self.fixed_file

    def directory(self, declared: int) -> int:
        """The same for a directory."""
        return declared & PERMISSION_BITS if self.fixed_directory is None else self.fixed_directory
