"""Changing a replica, one path at a time, by descriptor.

A reader sees the old or the new content, never a part of either and, where the kernel can exchange two names, never
nothing (P1). Each change takes into account what is there:

- a file or link in place of a file or link: one rename;
- a file or link in place of a directory, or the reverse: :mod:`dirsync.fs.write.replace`;
- a move in place of a file or link: one rename. Nothing is moved over a directory, and no directory over anything.

The caller has checked the precondition with :func:`~dirsync.fs.scan.observe.observe`. RACE: between that and the change
another process may change the path. The worst outcome is that their edit is lost; a replica is documented to have one
writer.

Each change that leaves something returns its fingerprint, taken after the rename (which changes ctime). What was just
published is racy, so the next scan reads a file once more. The caller makes changes durable
(:mod:`dirsync.fs.write.durable`).
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import Final, TypeVar

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.failure import Changing, PathFailure, StorageFailed, shown, writing_failure
from dirsync.fs.fingerprint import from_stat
from dirsync.fs.root import Root
from dirsync.fs.write.access import is_denied, owner_access, owner_access_itself, set_mode, set_mode_at
from dirsync.fs.write.inherit import Heritage, hand_down, heritage_of
from dirsync.fs.write.modes import ModePolicy
from dirsync.fs.write.move import MovedEntry, exchange_entries, move_entry
from dirsync.fs.write.replace import Target, is_directory, put_in_place, replace_other_kind
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging import Staging
from dirsync.tree.entry import Entry, Kind, identity_of
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath, split

_T = TypeVar("_T")
_EFFECTIVE_IDS: Final = os.access in os.supports_effective_ids


class Publisher:
    """Changes one replica. Belongs to the thread that owns ``root`` and ``staging``."""

    def __init__(
        self,
        root: Root,
        staging: Staging,
        modes: ModePolicy | None = None,
        attributes: Attributes | None = None,
        now: WallNanoseconds = wall_ns,
    ) -> None:
        self._root = root
        self._staging = staging
        self._modes = modes or ModePolicy.preserve()
        self._attributes = attributes or Attributes()
        self._now = now
        self._heritage_of: tuple[RelPath, Heritage] | None = None
        """What the directory hands down into which something was published last."""

    def begin(self) -> None:
        """Forget what was looked up for what was published before: others may have changed it."""
        self._heritage_of = None

    def prepare(self) -> None:
        """Have the staging directory, for a link or directory that replaces something.

        To be called before the last look at what it replaces: what another process puts there between that look and
        the rename is lost, and making a directory takes longer than all the rest.
        """
        _ = self._staging.descriptor

    def seal(self, staged: StagedFile, entry: Entry) -> None:
        """Complete a staged file with the metadata of ``entry`` and close it; it may now be made durable.

        Raises:
            PathFailure: StorageFailed, also if the file is shorter than what was written.
        """
        mtime_ns = entry.mtime_ns if self._attributes.mtime else None
        staged.seal(entry.size, self._modes.file(entry.mode), mtime_ns)

    def publish_file(self, staged: StagedFile, path: RelPath, entry: Entry) -> bytes:
        """Rename a staged file to ``path``; it is sealed first if it was not.

        Raises:
            PathFailure: Refused, NotEmpty, StorageFailed, Vanished (the directory above), or Changing.
        """
        if staged.fd >= 0:
            self.seal(staged, entry)
        if staged.failed:
            message = f"{shown(path)} could not be made durable and has to be sent again"
            raise StorageFailed(path, message)
        proof = self.act(path, "publish", lambda parent, name: self._place(staged.name, parent, name, path))
        if identity_of(proof) != staged.identity:
            raise Changing(path, f"{shown(path)} was replaced by another process right after it was published")
        return proof

    def try_place(self, path: RelPath) -> None:
        """Find out whether something could be published at ``path``; nothing is changed.

        Raises:
            PathFailure: as :meth:`publish_file`.
        """
        self.act(path, "publish", self._try)

    def make_directory(self, path: RelPath, mode: int) -> bytes:
        """Make a directory, in place of a file or link if there is one; an existing directory only gets the mode.

        Raises:
            PathFailure: as :meth:`publish_file`.
        """
        self.begin()
        return self.act(path, "make the directory", lambda parent, name: self._make(path, mode, parent, name))

    def make_symlink(self, path: RelPath, target: bytes) -> bytes:
        """Make a symbolic link, in place of what is there.

        Raises:
            PathFailure: as :meth:`publish_file`.
        """
        return self.act(path, "make the link", lambda parent, name: self._link(path, target, parent, name))

    def set_metadata(self, path: RelPath, entry: Entry) -> bytes:
        """Give the file or directory at ``path`` the mode, and a file the mtime, of ``entry``.

        Raises:
            PathFailure: Changing if it is of another kind; else as :meth:`publish_file`.
        """
        self.begin()
        return self.act(path, "change the metadata of", lambda parent, name: self._set(path, entry, parent, name))

    def remove(self, path: RelPath, kind: Kind) -> None:
        """Remove what is at ``path``, which is of this kind; nothing happens if it is absent.

        Raises:
            PathFailure: NotEmpty for a directory that holds anything; Changing if it is of another kind; Refused.
        """
        self.begin()
        self.act(path, "remove", lambda parent, name: self._remove(path, kind, parent, name))

    def move(self, source: RelPath, path: RelPath, kind: Kind) -> bytes:
        """Move what is at ``source``, which is of this kind, to ``path``, in place of a file or link that is there.

        A directory is moved with its content. Both directories that hold the names have changed then.

        Raises:
            PathFailure: Vanished if nothing is at ``source``; Changing if it is of another kind, or if a directory is
                at ``path`` or would take the place of what is; else as :meth:`publish_file`.
        """
        self.begin()
        doing = f"move {shown(source)} to"
        (proof,) = self._act_on_both(
            source, path, doing, lambda: (move_entry(self._root, self._staging, source, path, kind),)
        )
        return proof

    def exchange(self, first: RelPath, second: RelPath, kinds: tuple[Kind, Kind]) -> tuple[bytes, bytes]:
        """Exchange what is at two paths, of these kinds; returns the fingerprints of what is there then.

        Where the kernel cannot exchange, each path is absent for a moment: see :mod:`dirsync.fs.write.move`.

        Raises:
            PathFailure: as :meth:`move`.
        """
        self.begin()
        doing = f"exchange {shown(first)} and"
        one, other = self._act_on_both(
            first, second, doing, lambda: exchange_entries(self._root, self._staging, first, second, kinds)
        )
        return one, other

    def _act_on_both(
        self, first: RelPath, second: RelPath, doing: str, act: Callable[[], tuple[MovedEntry, ...]]
    ) -> list[bytes]:
        """As :meth:`_act`; the fingerprints are taken once everything moved has its own mode again."""
        try:
            try:
                return self._proofs(act())
            except (OSError, PathFailure) as error:
                if not is_denied(error):
                    raise
            with owner_access(self._root, first), owner_access(self._root, second):
                with owner_access_itself(self._root, first), owner_access_itself(self._root, second):
                    moved = act()
                return self._proofs(moved)
        except (OSError, PathFailure) as error:
            raise _failure(second, doing, error) from error

    def _proofs(self, moved: tuple[MovedEntry, ...]) -> list[bytes]:
        proofs = [self._proof(*self._root.parent(path)) for path, _ in moved]
        for (path, identity), proof in zip(moved, proofs, strict=True):
            if identity_of(proof) != identity:
                raise Changing(path, f"{shown(path)} was replaced by another process while it was moved")
        return proofs

    def act(self, path: RelPath, doing: str, act: Callable[[int, bytes], _T]) -> _T:
        """Act in the directory that holds ``path``, if necessary with owner access to it.

        Raises:
            PathFailure: as :meth:`publish_file`; ``doing`` is what could not be done.
        """
        try:
            return act(*self._root.parent(path))
        except (OSError, PathFailure) as error:
            if not is_denied(error):
                raise _failure(path, doing, error) from error
        try:
            with owner_access(self._root, path):
                return act(*self._root.parent(path))
        except (OSError, PathFailure) as error:
            raise _failure(path, doing, error) from error

    def _place(self, staged: bytes, parent: int, name: bytes, path: RelPath) -> bytes:
        """Rename a staged file or link to its name."""
        hand_down(self._heritage(path, parent), self._staging.descriptor, staged)
        put_in_place(self._root, self._staging, staged, Target(path, parent, name))
        return self._proof(parent, name)

    def _heritage(self, path: RelPath, parent: int) -> Heritage:
        """What the directory above ``path`` hands down; looked up once for what follows each other."""
        above, _ = split(path)
        if self._heritage_of is None or self._heritage_of[0] != above:
            self._heritage_of = above, heritage_of(parent)
        return self._heritage_of[1]

    @staticmethod
    def _try(parent: int, name: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.stat(name, dir_fd=parent, follow_symlinks=False)  # the name may be too long, or not allowed
        if not os.access(b".", os.W_OK | os.X_OK, dir_fd=parent, effective_ids=_EFFECTIVE_IDS):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def _make(self, path: RelPath, mode: int, parent: int, name: bytes) -> bytes:
        mode = self._modes.directory(mode)
        try:
            # Not by two calls where one is enough: a crash between them leaves a mode that nobody chose. Only bits that
            # the umask takes away, and those of an ACL, are left to the second.
            os.mkdir(name, mode, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                self._make_in_place_of_another(path, mode, parent, name)
        _set_directory_mode(parent, name, mode)
        return self._proof(parent, name)

    def _make_in_place_of_another(self, path: RelPath, mode: int, parent: int, name: bytes) -> None:
        staged, at = self._staging.create_directory(path, mode), self._staging.descriptor
        target = Target(path, parent, name)
        try:
            hand_down(heritage_of(parent), at, staged)
            try:
                replace_other_kind(self._root, self._staging, staged, target)
            except PermissionError:
                # Its ".." changes, for which its owner has to be allowed to write in it.
                _set_directory_mode(at, staged, mode | stat.S_IWUSR)
                replace_other_kind(self._root, self._staging, staged, target)
        finally:
            self._staging.remove(staged)

    def _link(self, path: RelPath, target: bytes, parent: int, name: bytes) -> bytes:
        try:
            os.symlink(target, name, dir_fd=parent)
        except FileExistsError:
            staged = self._staging.create_symlink(path, target)
            try:
                return self._place(staged, parent, name, path)
            finally:
                self._staging.remove(staged)
        return self._proof(parent, name)

    def _set(self, path: RelPath, entry: Entry, parent: int, name: bytes) -> bytes:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        is_kind = stat.S_ISDIR if entry.kind is Kind.DIRECTORY else stat.S_ISREG
        if not is_kind(status.st_mode):
            raise Changing(path, f"{shown(path)} is no {entry.kind.name.lower()} any more")
        mode = self._modes.directory(entry.mode) if entry.is_directory else self._modes.file(entry.mode)
        if entry.is_directory and stat.S_IMODE(status.st_mode) & ~stat.S_ISGID != mode:
            _set_directory_mode(parent, name, mode)
        elif not entry.is_directory and stat.S_IMODE(status.st_mode) != mode:
            set_mode(self._root, path, mode)
        if self._attributes.mtime and not entry.is_directory:
            os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)
        return self._proof(parent, name)

    def _remove(self, path: RelPath, kind: Kind, parent: int, name: bytes) -> None:
        try:
            if kind is Kind.DIRECTORY:
                os.rmdir(name, dir_fd=parent)
                self._root.forget(path)
            else:
                os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            self._root.forget(path)
        except OSError as error:
            if error.errno in (errno.EISDIR, errno.ENOTDIR) or is_directory(parent, name) != (kind is Kind.DIRECTORY):
                raise Changing(path, f"{shown(path)} is no {kind.name.lower()} any more") from error
            raise

    def _proof(self, parent: int, name: bytes) -> bytes:
        looked_at_ns = self._now()
        return from_stat(os.stat(name, dir_fd=parent, follow_symlinks=False), looked_at_ns)


def _set_directory_mode(parent: int, name: bytes, mode: int) -> None:
    """The setgid bit of a directory stays: it was handed down, or given by a person."""
    now = stat.S_IMODE(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    wanted = mode | (now & stat.S_ISGID)
    if now != wanted:
        set_mode_at(parent, name, wanted)


def _failure(path: RelPath, doing: str, error: OSError | PathFailure) -> PathFailure:
    return error if isinstance(error, PathFailure) else writing_failure(path, doing, error)
