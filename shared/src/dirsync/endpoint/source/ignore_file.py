"""The ignore file at the top of the source."""

from dirsync.errors import LimitExceeded
from dirsync.fs.failure import Unreadable, shown
from dirsync.fs.read.stable import read_small
from dirsync.fs.root import Root
from dirsync.limits import LIMITS
from dirsync.tree.ignore.rules import IgnoreRules, parse
from dirsync.tree.path import RelPath

MAX_IGNORE_FILE_BYTES = LIMITS.max_ignore_rules * LIMITS.max_ignore_rule_bytes
"""Largest ignore file that is read, in bytes."""


def read_ignore_rules(root: Root, path: RelPath, further: tuple[bytes, ...]) -> IgnoreRules:
    """The rules of the file at ``path``, if there is one, and ``further`` ones.

    Raises:
        PathFailure: the file cannot be read, is too large, or is no text with usable rules.
    """
    lines: list[bytes] = []
    if root.lstat(path) is not None:
        text, _ = read_small(root, path, MAX_IGNORE_FILE_BYTES)
        lines = parse(text)
        if b"\0" in text:
            # No name holds a NUL, so no rule would match, and what they leave out would be mirrored.
            raise Unreadable(path, f"{shown(path)} is not plain text (UTF-16?): save it as UTF-8")
    try:
        return IgnoreRules((*lines, *further))
    except LimitExceeded as error:
        raise Unreadable(path, f"the rules of {shown(path)} cannot be used: {error}") from error
