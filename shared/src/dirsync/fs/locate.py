"""Finding out where a root is (:mod:`dirsync.location`)."""

import os
from hashlib import sha256
from pathlib import Path

from dirsync.fs.descriptors import OPEN_DIRECTORY
from dirsync.fs.root import Root
from dirsync.location import MAX_DIRECTORIES, Location

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def locate(root: Root) -> Location:
    """Where ``root`` is. Directories above it that may not be opened are left out, and all above those."""
    found = [_identity(os.fstat(root.descriptor))]
    descriptor = os.dup(root.descriptor)  # opened again it might be refused: modes change
    try:
        while len(found) < MAX_DIRECTORIES:
            above = os.open("..", OPEN_DIRECTORY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = above
            status = os.fstat(descriptor)
            identity = _identity(status)
            if identity == found[-1]:
                break
            found.append(identity)
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return Location(_host(), tuple(found))


def _identity(status: os.stat_result) -> tuple[int, int]:
    """By device, which all programs under one kernel see alike."""
    return status.st_dev, status.st_ino


def _host() -> str:
    """An identifier of this machine since its start, derived from the kernel's own, which is not disclosed."""
    try:
        return sha256(_BOOT_ID.read_bytes()).hexdigest()[:32]
    except OSError:
        return ""
