"""What a session counts as part of the tree."""

from dataclasses import dataclass
from typing import NamedTuple

from dirsync.tree.entry import Entry


@dataclass(frozen=True, slots=True)
class Attributes:
    """Which metadata count as part of the tree: those that the session agreed to preserve."""

    mode: bool = True
    mtime: bool = True

    def normalize(self, entry: Entry) -> Entry:
        """The entry with everything zero that does not count."""
        if not self.mode and entry.mode:
            entry = entry._replace(mode=0)
        if not self.mtime and entry.mtime_ns:
            entry = entry._replace(mtime_ns=0)
        return entry


class TreeOptions(NamedTuple):
    """Two trees may be compared by digest only if they were made under equal options."""

    attributes: Attributes = Attributes()
    ignore_rules: tuple[bytes, ...] = ()
    """Rules in gitignore syntax, in order."""
