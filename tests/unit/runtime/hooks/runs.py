"""Runs and places for tests of hooks."""

from dirsync.runtime.hooks.changes import ChangedPaths
from dirsync.runtime.hooks.debouncer import Run
from dirsync.runtime.hooks.message import Place
from dirsync.tree.path import RelPath

PLACE = Place("client", "photos", b"/srv/photos")
STATE = bytes(range(32))


def run_of(*paths: bytes, truncated: bool = False) -> Run:
    """A run that tells of these paths."""
    changes = ChangedPaths(truncated=truncated)
    changes.add(map(RelPath, paths))
    return Run(STATE, changes)
