"""What the writer's session and the server agreed to count as the tree: which metadata, and which paths.

It holds until another session agrees to something else, and is kept in the index, so that a restart needs no session to
know what its tree is.
"""

import json

from dirsync.errors import DirsyncError
from dirsync.fs.index.index import Index
from dirsync.fs.scan.rules import OwnerAccess, ScanRules
from dirsync.tree.entry import FileIdentity
from dirsync.tree.ignore.rules import IgnoreRules
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.path import RelPath, components

_OPTIONS = "options"


class SessionOptions:
    """The options of one replica. Changed by the holder of the writer mutex, one whole value after another."""

    def __init__(
        self, index: Index, reserved: frozenset[bytes], own_logs: frozenset[FileIdentity] = frozenset()
    ) -> None:
        """``reserved`` are names directly below the root that no session can have."""
        self._index = index
        self.reserved = reserved
        self.own_logs = own_logs
        self.options = _load(index)
        self.ignore = IgnoreRules(self.options.ignore_rules)

    def change(self, options: TreeOptions) -> None:
        """From now on these hold."""
        self.ignore = IgnoreRules(options.ignore_rules)
        self.options = options
        _store(self._index, options)

    @property
    def ignores_any(self) -> bool:
        """Whether there are rules at all."""
        return bool(self.ignore.lines)

    def ignores(self, path: RelPath, *, is_directory: bool) -> bool:
        """Whether ``path`` or something above it is ignored.

        What it is decides: ``/*`` and ``!/keep/`` leave out a file of that name, and not a directory.
        """
        if not self.ignores_any:
            return False
        names = components(path)
        upper = (RelPath(b"/".join(names[:depth])) for depth in range(1, len(names)))
        return any(self.ignore.matches(p, True) for p in upper) or self.ignore.matches(path, is_directory)

    def scan_rules(self, access: OwnerAccess, *, keep_directories: bool = True) -> ScanRules:
        """What a scan of the replica's files lists under the rules that hold."""
        return self.scan_rules_under(self.ignore, access, keep_directories=keep_directories)

    def scan_rules_under(self, ignore: IgnoreRules, access: OwnerAccess, *, keep_directories: bool) -> ScanRules:
        """What it lists under these ignore rules.

        Directories that the tree has stay in it without content that counts (``keep_directories``): the source has
        them. Not so if the tree was made under other rules: then what was ignored may be why it has them.
        """
        return ScanRules(
            ignores=ignore.matches if ignore.lines else None,
            reserved=self.reserved,
            keep_known_directories=keep_directories,
            foreign_mounts=True,
            owner_access=access,
            own_logs=self.own_logs,
        )


def _load(index: Index) -> TreeOptions:
    try:
        kept = json.loads(index.get_meta(_OPTIONS) or b"{}")
        rules = tuple(bytes.fromhex(rule) for rule in kept["ignore"])
        options = TreeOptions(Attributes(bool(kept["mode"]), bool(kept["mtime"])), rules)
        IgnoreRules(rules)
    except (ValueError, KeyError, TypeError, DirsyncError):
        return TreeOptions()
    return options


def _store(index: Index, options: TreeOptions) -> None:
    attributes = options.attributes
    kept = {"mode": attributes.mode, "mtime": attributes.mtime, "ignore": [rule.hex() for rule in options.ignore_rules]}
    index.set_meta(_OPTIONS, json.dumps(kept).encode())
