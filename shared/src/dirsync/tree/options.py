"""What a session counts as part of the tree."""

from typing import NamedTuple

from dirsync.tree.tree import Attributes


class TreeOptions(NamedTuple):
    """Two trees may be compared by digest only if they were made under equal options."""

    attributes: Attributes = Attributes()
    ignore_rules: tuple[bytes, ...] = ()
    """Rules in gitignore syntax, in order."""
