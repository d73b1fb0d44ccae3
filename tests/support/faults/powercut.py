"""A disk whose power can be cut: a file system in an image file.

``FS_IOC_SHUTDOWN`` makes the file system forget everything that is not on the medium yet, as a power cut does, without
another word to it; mounting it again replays its journal. There are two kinds, because they keep different things that
they were not asked to keep: ext4's journal takes along what was changed beside, XFS makes no inode durable but the one
that was synced. The mount options of ext4 forbid what more it would do: it writes nothing out by the clock, and no data
early because of a rename or a truncation.
"""

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

from tests.support.faults.privileges import unmount
from tests.support.running.waiting import until

_FS_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("I", 2)


class Kind(StrEnum):
    """A kind of file system."""

    EXT4 = "ext4"
    XFS = "xfs"


_MAKE = {
    Kind.EXT4: ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
    Kind.XFS: ("mkfs.xfs", "-q", "-f"),
}
_OPTIONS = {Kind.EXT4: "noatime,commit=3600,noauto_da_alloc", Kind.XFS: "noatime"}
_SIZE = 320 << 20
"""Bytes, of which few are ever written: XFS wants 300 MiB."""


class Disk:
    """A mounted disk."""

    def __init__(self, place: Path, kind: Kind) -> None:
        self.kind = kind
        self._device = ""
        self._image = place / "disk.img"
        self.path = place / "disk"
        """Where it is mounted."""
        with self._image.open("wb") as image:
            image.truncate(_SIZE)
        self._run(*_MAKE[kind], self._image)
        self.path.mkdir()
        self._mount()

    def cut_power(self) -> None:
        """Cut the power and put it on again. All processes that use the disk must be dead, as after a power cut."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _FS_IOC_SHUTDOWN, _NO_LOG_FLUSH)
        finally:
            os.close(descriptor)
        self._run("umount", self.path)
        self._detach()
        self._mount()

    def remove(self) -> None:
        """Take it away."""
        with suppress(subprocess.CalledProcessError):
            unmount(self.path)
            self._detach()
        self._image.unlink()

    def _mount(self) -> None:
        # By a device of our own, not by mount's option: a device that mount releases may be in use by another process
        # before umount has forgotten it.
        self._device = self._run("losetup", "--find", "--show", self._image).strip()
        self._run("mount", "-o", _OPTIONS[self.kind], self._device, self.path)

    def _detach(self) -> None:
        # With the device goes what the kernel has cached of it, which would be lost in a power cut. A process that made
        # a mount namespace meanwhile, as a container does, keeps a mount of ours for some time, and so the device.
        self._run("losetup", "--detach", self._device)
        until(lambda: not self._run("losetup", "--associated", self._image), "the device to be let go", seconds=60)

    def _run(self, *command: str | Path) -> str:
        return subprocess.run(command, check=True, timeout=30, stdout=subprocess.PIPE, text=True).stdout


@contextmanager
def disk(place: Path, kind: Kind) -> Iterator[Disk]:
    """A disk, mounted at ``place / "disk"``; needs the capability ``loop``."""
    made = Disk(place, kind)
    try:
        yield made
    finally:
        made.remove()
