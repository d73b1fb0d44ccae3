"""Hints: where something may have changed.

A hint is never a fact. It may be late, doubled, or about a path that is gone again; its taker looks at the path itself.
Its kind says only how to look, and how soon.
"""

from enum import StrEnum
from typing import NamedTuple

from dirsync.tree.path import RelPath


class HintKind(StrEnum):
    """How to look at a path."""

    CHANGED = "changed"
    """Complete: closed, moved, made, deleted, or its metadata changed. Look at the path now."""
    WRITING = "writing"
    """Still open for writing, as far as we know. Look when it has been quiet for a while."""
    DIRECTORY = "directory"
    """A directory whose content we may have missed. Look at its listing."""
    LOST = "lost"
    """Events were lost, or the root itself changed: anything may be different. Look at everything."""


class Hint(NamedTuple):
    """Look at ``path``; a ``LOST`` hint names the root."""

    path: RelPath
    kind: HintKind


class WatchRefused(Exception):
    """A directory that should be watched cannot be: a limit of the kernel or of this process."""
