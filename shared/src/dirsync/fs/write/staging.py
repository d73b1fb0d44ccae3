"""The staging directory, which holds content until it is complete.

It is on the replica's file system, so that publishing is a rename, and hidden from readers: a sibling
``.<root>.dirsync-staging`` of the root if a rename from there into the root works (equal device numbers prove nothing
across bind mounts), else ``<root>/.dirsync-staging``. That name is then reserved: never listed, never reachable by a
peer. Either directory is created when something is staged, with mode 0700, and removed when empty.

Names in it are random and of one short length, whatever they will be published as (E10). What a crash left there under
such a name is removed at the next start (A14); interrupted uploads have names of their own, see
:mod:`dirsync.fs.write.kept`. Anything else in it belongs to others and is never touched. If a
name for the directory is taken by something that is not our own directory, the next name is used (E07).

A staging directory belongs to the process that locked the root; like a root, each thread has its own clone.
"""

import contextlib
import os
import re
import stat
from collections.abc import Callable
from typing import Final, Self, TypeVar

from dirsync.errors import UsageError
from dirsync.fs.descriptors import OPEN_DIRECTORY
from dirsync.fs.failure import StorageFailed, Vanished, shown, writing_failure
from dirsync.fs.fingerprint import status_identity
from dirsync.fs.root import Root
from dirsync.fs.write.build.remove import remove_tree
from dirsync.fs.write.staged import StagedFile
from dirsync.fs.write.staging_place import PRIVATE, free_name, is_ours
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath, escape

STAGING_NAME: Final = b".dirsync-staging"
"""The name below a root; the next names end in ``-2``, ``-3``, ..."""

KEPT_PREFIX: Final = b"upload-"
"""How the names of interrupted uploads begin."""
STAGED_PREFIX: Final = b"staged-"
BUILT_PREFIX: Final = b"built-"
"""How the names of directories begin that are built: unlike others they are removed with everything in them."""
_STAGED_NAME: Final = re.compile(rb"staged-[0-9a-f]{8}-[0-9a-f]{8}")
_BUILT_NAME: Final = re.compile(rb"built-[0-9a-f]{8}-[0-9a-f]{8}")
_CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS: Final = 10
"""How often another process may remove the directory during one operation before that is an error."""
_T = TypeVar("_T")


class Staging:
    """The staging directory of one root."""

    def __init__(self, holder: int, name: bytes, reserved: frozenset[bytes]) -> None:
        self._holder = holder
        """Descriptor of the directory that holds the staging directory."""
        self._name = name
        self._fd = -1
        self._prefix = STAGED_PREFIX + b"%s-" % os.urandom(4).hex().encode()
        self._count = 0
        self._kept_by_disk: set[bytes] = set()
        """Names that could not be removed; :meth:`tidy` tries again."""
        self.reserved_names = reserved
        """Names directly below the root that belong to staging."""

    @classmethod
    def open(cls, root: Root) -> Self:
        """Choose the staging directory of ``root``, whose lock the caller holds, and remove what a crash left there.

        Raises:
            UsageError: no directory can be used for staging.
        """
        sibling = cls._sibling(root)
        if sibling is not None:
            return sibling
        holder = os.open(".", OPEN_DIRECTORY, dir_fd=root.descriptor)
        name = free_name(holder, STAGING_NAME)
        if name is None:
            os.close(holder)
            msg = f"every name for staging below {escape(root.path)} is taken: remove {escape(STAGING_NAME)}-*"
            raise UsageError(msg)
        staging = cls(holder, name, frozenset({name}))
        try:
            staging.sweep()
            staging.probe(root)
        except OSError as error:
            staging.close()
            msg = (
                f"{escape(root.path)} cannot be written by uid {os.geteuid()}: {error.strerror}; "
                "make it writable for that uid, or choose another directory"
            )
            raise UsageError(msg) from error
        return staging

    @classmethod
    def _sibling(cls, root: Root) -> Self | None:
        """The staging directory beside the root, if a rename from there into the root works."""
        rootname = os.path.basename(root.path)
        try:
            holder = os.open("..", OPEN_DIRECTORY, dir_fd=root.descriptor)
        except OSError:
            return None
        staging: Self | None = None
        try:
            status = os.stat(rootname, dir_fd=holder, follow_symlinks=False)
            if status_identity(status) == root.identity:
                name = free_name(holder, b"." + rootname + STAGING_NAME)
                staging = cls(holder, name, frozenset()) if name else None
            if staging is not None:
                staging.sweep()
                staging.probe(root)
                return staging
        except OSError:
            pass
        if staging is not None:
            staging.close()
        else:
            os.close(holder)
        return None

    def clone(self) -> "Staging":
        """The same directory for another thread, with its own names; nothing is removed."""
        return Staging(os.open(".", OPEN_DIRECTORY, dir_fd=self._holder), self._name, self.reserved_names)

    def close(self) -> None:
        """Remove the directory if it is empty, and close it."""
        self.tidy()
        os.close(self._holder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        """The descriptor of the staging directory, which is created if it is not there."""
        if self._fd < 0:
            self._make()
        return self._fd

    def create(self, path: RelPath, name: bytes = b"") -> StagedFile:
        """A new empty file that will be published at ``path``; without a ``name`` it gets a random one.

        Raises:
            PathFailure: StorageFailed or Refused.
        """
        name = name or self.new_name()
        return StagedFile(self, name, path, self._make_in(path, lambda at: os.open(name, _CREATE, 0o600, dir_fd=at)))

    def create_directory(self, path: RelPath, mode: int) -> bytes:
        """A new empty directory that will be published at ``path``, with this mode but for what the umask takes away.

        Returns its name. Errors as :meth:`create`.
        """
        name = self.new_name()
        self._make_in(path, lambda at: os.mkdir(name, mode, dir_fd=at))
        return name

    def create_tree(self, path: RelPath) -> bytes:
        """As :meth:`create_directory`, for one that is removed with everything in it if it is not published."""
        name = BUILT_PREFIX + self.new_name().removeprefix(STAGED_PREFIX)
        self._make_in(path, lambda at: os.mkdir(name, PRIVATE, dir_fd=at))
        return name

    def create_symlink(self, path: RelPath, target: bytes) -> bytes:
        """A new link that will be published at ``path``; its name. Errors as :meth:`create`."""
        name = self.new_name()
        self._make_in(path, lambda at: os.symlink(target, name, dir_fd=at))
        return name

    def take_in(self, path: RelPath, parent: int, name: bytes) -> bytes:
        """Move what is at ``path``, a name in an open directory, here; its name now.

        Raises:
            PathFailure: Vanished if nothing is there; else as :meth:`create`.
        """
        taken = self.new_name()

        def take(at: int) -> None:
            try:
                os.stat(name, dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError as error:
                raise Vanished.from_os(path, "stage", error) from error
            os.rename(name, taken, src_dir_fd=parent, dst_dir_fd=at)

        self._make_in(path, take)
        return taken

    def rename(self, staged: StagedFile) -> None:
        """Give a staged file that had a name of its own a random one.

        Raises:
            PathFailure: StorageFailed.
        """
        name, at = self.new_name(), self.descriptor
        try:
            os.rename(staged.name, name, src_dir_fd=at, dst_dir_fd=at)
        except OSError as error:
            raise StorageFailed.from_os(staged.path, "stage", error) from error
        staged.name = name

    def new_name(self) -> bytes:
        """A name that is not used in the staging directory."""
        self._count += 1
        return self._prefix + b"%08x" % self._count

    def _make_in(self, path: RelPath, make: Callable[[int], _T]) -> _T:
        """Make something in the staging directory, which a clone may remove whenever it is empty."""
        for _ in range(_ATTEMPTS):
            try:
                return make(self.descriptor)
            except FileNotFoundError:
                self._forget()
            except NotADirectoryError as error:
                raise StorageFailed.from_os(path, "stage", error) from error
            except OSError as error:
                raise writing_failure(path, "stage", error) from error
        raise StorageFailed(path, f"cannot stage {shown(path)}: the staging directory was removed repeatedly")

    def remove(self, name: bytes) -> None:
        """Remove a staged file, link or empty directory, or one that was built; nothing happens if it is absent.

        What a failing disk keeps is tried again by :meth:`tidy`, and at the next start. The caller has an error of its
        own to tell, or none.
        """
        if not self._is_open():
            return
        try:
            try:
                if name.startswith(BUILT_PREFIX):
                    remove_tree(self._fd, name)
                else:
                    os.unlink(name, dir_fd=self._fd)
            except (IsADirectoryError, PermissionError):
                os.rmdir(name, dir_fd=self._fd)
        except FileNotFoundError:
            pass
        except OSError:
            if len(self._kept_by_disk) < LIMITS.staging_retries:
                self._kept_by_disk.add(name)

    def tidy(self) -> None:
        """Remove the directory if it is empty; it is created again when needed."""
        kept, self._kept_by_disk = self._kept_by_disk, set()
        for name in kept:
            self.remove(name)
        if self._is_open():
            self._forget()
            with contextlib.suppress(OSError):
                os.rmdir(self._name, dir_fd=self._holder)

    def names(self) -> list[bytes]:
        """What is in the directory; nothing if there is none."""
        return [os.fsencode(name) for name in os.listdir(self._fd)] if self._is_open() else []

    def holds(self, name: bytes) -> bool:
        """Whether the directory has an entry of this name."""
        try:
            return self._is_open() and bool(os.stat(name, dir_fd=self._fd, follow_symlinks=False))
        except OSError:
            return False

    def look_again(self) -> None:
        """A clone may have removed the directory, and another one made it again: use the one that is there now."""
        self._forget()

    def _is_open(self) -> bool:
        """Whether the directory is there and ours; opens it, but does not create it."""
        if self._fd < 0:
            with contextlib.suppress(OSError):
                self._fd = os.open(self._name, OPEN_DIRECTORY, dir_fd=self._holder)
                if not is_ours(os.fstat(self._fd)):
                    self._forget()
        return self._fd >= 0

    def _forget(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _make(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._name, PRIVATE, dir_fd=self._holder)
        self._fd = os.open(self._name, OPEN_DIRECTORY, dir_fd=self._holder)
        if not is_ours(os.fstat(self._fd)):
            self._forget()
            msg = f"{escape(self._name)} is not our own directory any more"
            raise PermissionError(msg)

    def sweep(self) -> None:
        """Remove what a crash left under our names; of interrupted uploads only what is no file.

        A file that takes the place of a directory is exchanged with it: a crash leaves the directory under its name.
        """
        for name in self.names():
            if (
                _STAGED_NAME.fullmatch(name)
                or _BUILT_NAME.fullmatch(name)
                or (name.startswith(KEPT_PREFIX) and not self._is_file(name))
            ):
                self.remove(name)

    def _is_file(self, name: bytes) -> bool:
        try:
            return stat.S_ISREG(os.stat(name, dir_fd=self._fd, follow_symlinks=False).st_mode)
        except OSError:
            return True

    def probe(self, root: Root) -> None:
        """Rename a file from here into the root and back.

        Raises:
            OSError: that is not possible.
        """
        name = self.new_name()
        os.close(os.open(name, _CREATE, 0o600, dir_fd=self.descriptor))
        visible = b".dirsync-" + name
        try:
            os.rename(name, visible, src_dir_fd=self._fd, dst_dir_fd=root.descriptor)
            os.rename(visible, name, src_dir_fd=root.descriptor, dst_dir_fd=self._fd)
        finally:
            self.remove(name)
            self.tidy()
