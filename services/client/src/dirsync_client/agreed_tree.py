"""The tree that both sides last agreed on, kept in STATE_DIR for each replica.

It is the ancestor of the next merge (docs/two-way.md). It follows what both sides have acknowledged, and may be behind:

- It is durable when the client ends well, and then what it says of the source is durable too: what people wrote there
  may not have been. While the client runs, nothing waits for the disk. That it runs is durable, so that a power cut is
  known as one.
- What was not written when the client ended is compared again. What both sides have is equal whatever is kept here.
- A file that is damaged, or of another version, is replaced by an empty one: then the union of both sides is made, and
  nothing is removed.
- After an end that was not clean, nothing is taken for agreed where the source may have lost or regained something
  that this does not know (:mod:`dirsync.tree.merge.distrust`).

It is kept in a file like the index (:mod:`dirsync.fs.index`), with a checksum for each row, and one file for each
replica.
"""

import contextlib
import hashlib
import os
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Self

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.index.index import Index
from dirsync.fs.write.durable import NotDurable
from dirsync.limits import LIMITS
from dirsync.tree.diff import Change
from dirsync.tree.entry import pack
from dirsync.tree.merge.distrust import UncleanEnd
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree

_IS_OPEN: Final = "open"
_WRITTEN_AT: Final = "written_at"
_BOOT: Final = "boot"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
PROMPT_CHANGES: Final = 64
"""So many changes, or fewer, are written before the call returns: then a client that is killed has lost none."""


def nothing_to_settle() -> None:
    """The source is durable already."""


def file_name(replica_id: str) -> str:
    """The file in STATE_DIR of the tree that was agreed on with this replica. The server chooses the id."""
    return f"agreed-{hashlib.sha256(replica_id.encode()).hexdigest()[:16]}.sqlite"


class AgreedTree:
    """What is kept for one replica. A context manager that closes it."""

    def __init__(
        self, index: Index, now: WallNanoseconds = wall_ns, settle: Callable[[], None] = nothing_to_settle
    ) -> None:
        """Takes over ``index``. ``settle`` makes the source durable, or raises ``NotDurable``."""
        self._index = index
        self._settle = settle
        self._file: Path | None = None
        self._now = now
        self.unclean_end: UncleanEnd | None = None
        """``None`` if all that was agreed on is known."""
        boot = _boot_id()
        if index.get_meta(_IS_OPEN) == b"1":
            written_at_ns = int(index.get_meta(_WRITTEN_AT) or b"0")
            self.unclean_end = UncleanEnd(written_at_ns, power_cut=index.get_meta(_BOOT) != boot)
        self._is_settled = self.unclean_end is None
        """Nothing is agreed on that may not be durable at the source."""
        index.set_meta(_IS_OPEN, b"1")
        index.set_meta(_BOOT, boot)
        index.set_meta(_WRITTEN_AT, str(now()).encode())

    @classmethod
    def open(cls, directory: Path, replica_id: str, settle: Callable[[], None] = nothing_to_settle) -> Self:
        """Open what is kept in a state directory. ``settle`` as above.

        Raises:
            UsageError: it cannot be kept there.
        """
        name = file_name(replica_id)
        _keep_latest(directory, name)
        index = Index.open(directory, name, ordered=True)
        opened = cls(index, settle=settle)
        opened._file = directory / name
        index.flush()
        _make_durable(opened._file)
        return opened

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def load(self, attributes: Attributes) -> Tree:
        """The tree; empty if nothing is kept."""
        tree = Tree(attributes)
        self._index.load(tree)
        return tree

    def keep(self, changes: Iterable[Change]) -> None:
        """Keep what was newly agreed on, in this order."""
        changes = list(changes)
        if not changes:
            return
        self._is_settled = False
        for path, old, new in changes:
            if new is None or (old is not None and old.is_directory and not new.is_directory):
                self._index.remove(path)
            if new is not None:
                self._index.put(path, pack(new))
        self._index.set_meta(_WRITTEN_AT, str(self._now()).encode())
        if len(changes) <= PROMPT_CHANGES:
            self._index.flush()

    def move(self, source: RelPath, path: RelPath, *, exchange: bool) -> None:
        """Both sides have moved, or exchanged, what they had agreed on."""
        self._is_settled = False
        if exchange:
            self._index.exchange(source, path)
        else:
            self._index.move(source, path)

    def close(self) -> None:
        """Write everything, and close the file. Then it is durable.

        If the source cannot be made durable, this was no clean end.
        """
        with contextlib.suppress(NotDurable):
            if not self._is_settled:
                self._settle()
            self._index.set_meta(_IS_OPEN, b"0")
        self._index.close()
        if self._file is not None:
            _make_durable(self._file)


def _make_durable(file: Path) -> None:
    """Have the disk keep a file with what was written beside it, and its name."""
    for path in (file, Path(f"{file}-wal"), file.parent):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _keep_latest(directory: Path, name: str) -> None:
    """Remove what is kept for replicas that were not used for the longest time: a server may name ever new ones."""
    others = [path for path in directory.glob("agreed-*.sqlite") if path.name != name]
    with contextlib.suppress(OSError):
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[LIMITS.agreed_trees - 1 :]:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{path}{suffix}").unlink(missing_ok=True)


def _boot_id() -> bytes:
    """What tells one start of the machine from another; where that is not known, each start of a client is one."""
    try:
        return _BOOT_ID.read_bytes().strip()
    except OSError:
        return uuid.uuid4().bytes
