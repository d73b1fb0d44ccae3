"""Which file system something is on, by a number that is the same after it was mounted again.

``st_dev`` is given out anew at each mount: a disk may have another number after each boot, and a network file system
has one after each mount. A fingerprint that held it would prove nothing then, and the root of a source would seem to be
another directory. So fingerprints and identities hold the number of the *volume*: 64 bits from the first of these that
the file system has.

1. ``f_fsid`` of statvfs(3), unless it is ``st_dev`` in disguise. ext4 and btrfs (there each subvolume has its own) make
   it from their UUID, tmpfs from a random one, overlayfs passes on that of its upper layer, CIFS the serial number.
2. The UUID, from the ioctl FS_IOC_GETFSUUID (Linux 6.9 and newer), or from XFS's own, which all versions have. The
   ``f_fsid`` of XFS, F2FS, vfat and squashfs is their device number.
3. Type and source of the mount where the source names a place: ``server:/export`` of NFS, ``user@host:path`` of sshfs.
   NFS and FUSE have neither of the others.
4. ``st_dev`` itself.

The numbers are learned from descriptors, as scans come across file systems, and kept for the process. A volume that was
not learned goes by its ``st_dev``: what is compared with it then seems to have changed, and is read again.

RACE: a number of a device may be given to another file system while this process runs. Roots and mount points are
learned anew whenever they are opened and listed, so only a file that is a mount of its own can be taken for one of the
former volume, and only if its inode, its times and its size are the same.
"""

import fcntl
import os
import stat
from hashlib import sha256
from typing import Final

from dirsync.fs.mounts import Mount, mount_of

_GET_UUID: Final = 0x8011_1500
"""FS_IOC_GETFSUUID: one byte with the length, then the UUID."""
_UUID_BYTES: Final = 17
_XFS_GEOMETRY: Final = 0x8070_5864
"""XFS_IOC_FSGEOMETRY_V1."""
_XFS_GEOMETRY_BYTES: Final = 112
_XFS_UUID: Final = slice(64, 80)
_NUMBER_BYTES: Final = 8
_PLACES: Final = (b"/", b":", b"@")
"""What is in the source of a mount if it names a place, rather than being a word like ``none``."""
_MAX_KNOWN: Final = 4096
"""Device numbers that are remembered; each network mount that comes and goes has a new one."""

KNOWN_VOLUMES: Final[dict[int, int]] = {}
"""By ``st_dev``; for fingerprints, which are made for each file of each scan."""


def volume_of(device: int) -> int:
    """The number of the volume that has this ``st_dev``; ``device`` itself if the volume was not learned."""
    return KNOWN_VOLUMES.get(device, device)


def is_known(device: int) -> bool:
    """Whether the volume of this ``st_dev`` was learned."""
    return device in KNOWN_VOLUMES


def learn(descriptor: int, device: int) -> int:
    """Find out the volume that an open file or directory, which has this ``st_dev``, is on; returns its number."""
    if len(KNOWN_VOLUMES) >= _MAX_KNOWN and device not in KNOWN_VOLUMES:
        KNOWN_VOLUMES.clear()
    name = _name(descriptor, device)
    number = device if name is None else int.from_bytes(sha256(name).digest()[:_NUMBER_BYTES], "little")
    KNOWN_VOLUMES[device] = number
    return number


def learn_at(directory: int, name: bytes, device: int) -> int:
    """As :func:`learn`, for an entry of an open directory, which is not opened for reading: it may be anything."""
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except (OSError, AttributeError):  # there is no O_PATH on macOS
        return volume_of(device)
    try:
        # Something else may have the name by now.
        return learn(descriptor, device) if os.fstat(descriptor).st_dev == device else volume_of(device)
    finally:
        os.close(descriptor)


def _name(descriptor: int, device: int) -> bytes | None:
    """What the volume is called, as bytes that no other volume has; ``None``: nothing tells."""
    fsid = os.fstatvfs(descriptor).f_fsid
    if is_own(fsid, device):
        return volume_name(fsid, b"", None)
    uuid = _uuid(descriptor)
    return volume_name(0, uuid, None if uuid else mount_of(descriptor))


def is_own(fsid: int, device: int) -> bool:
    """Whether this ``f_fsid`` is the file system's own, and not the number of its device or nothing. Pure."""
    return fsid not in (0, device)


def volume_name(fsid: int, uuid: bytes, mount: Mount | None) -> bytes | None:
    """What a volume is called; ``fsid`` is 0 and ``uuid`` empty if it has none of its own. Pure."""
    if fsid:
        return b"fsid %d" % fsid
    if uuid:
        return b"uuid " + uuid
    if mount is not None and any(part in mount.source for part in _PLACES):
        return b"source %s %s" % (mount.type, mount.source)
    return None


def _uuid(descriptor: int) -> bytes:
    """The UUID of the file system; empty if it has none, or if the kernel does not tell."""
    try:
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return b""
        # The descriptor may be one that allows no ioctl (O_PATH).
        readable = os.open(b"/proc/self/fd/%d" % descriptor, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        answer = _ask(readable, _GET_UUID, _UUID_BYTES)
        uuid = answer[1 : 1 + answer[0]] if answer else b""
        if not any(uuid) and (mount := mount_of(descriptor)) is not None and mount.type == b"xfs":
            uuid = _ask(readable, _XFS_GEOMETRY, _XFS_GEOMETRY_BYTES)[_XFS_UUID]
    finally:
        os.close(readable)
    return uuid if any(uuid) else b""


def _ask(descriptor: int, request: int, size: int) -> bytes:
    answer = bytearray(size)
    try:
        fcntl.ioctl(descriptor, request, answer)
    except OSError:
        return b""
    return bytes(answer)
