"""What a session counts as part of the tree."""

from dataclasses import dataclass
from typing import NamedTuple

from dirsync.tree.entry import Entry
from dirsync.tree.path import escape


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


def difference(asked: TreeOptions, others: TreeOptions) -> str:
    """Which option differs, and how, for people; empty if none does. The first one that differs counts."""
    for name, mine, theirs in (
        ("permission bits", asked.attributes.mode, others.attributes.mode),
        ("PRESERVE_MTIME", asked.attributes.mtime, others.attributes.mtime),
    ):
        if mine != theirs:
            return f"{name} (here {_preserved(mine)}, there {_preserved(theirs)})"
    if asked.ignore_rules == others.ignore_rules:
        return ""
    here, there = set(asked.ignore_rules), set(others.ignore_rules)
    for rules, place in ((asked.ignore_rules, here - there), (others.ignore_rules, there - here)):
        rule = next((rule for rule in rules if rule in place), None)
        if rule is not None:
            where = "here" if rules is asked.ignore_rules else "there"
            return f"the ignore rules of IGNORE and IGNORE_FILE ({escape(rule)!r} only {where})"
    return "the order of the ignore rules of IGNORE and IGNORE_FILE"


def _preserved(preserved: bool) -> str:  # noqa: FBT001 - the one thing that it says
    return "preserved" if preserved else "not preserved"
