"""Which file systems tell the kernel of every change."""

import pytest

from dirsync.endpoint.watch.mounts import silent_mount
from dirsync.fs.mounts import Mount, parse_mounts

TABLE = rb"""22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
24 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 0:40 /share /mnt/my\040share rw master:3 propagate_from:2 - nfs4 host:/share rw,vers=4.2
41 22 0:41 / /data rw - fuse.sshfs user@host:/ rw
42 41 0:42 / /data/cache rw - tmpfs tmpfs rw
garbage
"""


@pytest.mark.case("F08")
@pytest.mark.parametrize(
    "mount_id,root,silent",
    [
        (22, b"/", 40),
        (22, b"/home/user", None),
        (22, b"/mnt", 40),
        (40, b"/mnt/my share/project", 40),
        (41, b"/data/project", 41),
        (42, b"/data/cache", None),
        (22, b"/dat", None),
    ],
)
def test_silent_mount(mount_id: int, root: bytes, silent: int | None) -> None:
    """A root is silent when its own mount is, or one below it; a mount beside or above it does not matter."""
    found = silent_mount(parse_mounts(TABLE), mount_id, root)

    assert silent == (found.id if found is not None else None)


@pytest.mark.case("F08")
@pytest.mark.parametrize("kind", [b"nfs", b"nfs4", b"cifs", b"smb3", b"9p", b"virtiofs", b"fuse", b"fuse.grpcfuse"])
def test_silent_types(kind: bytes) -> None:
    """What others than this kernel write to is silent."""
    assert silent_mount([Mount(1, b"/", kind)], 1, b"/src") is not None


@pytest.mark.parametrize("kind", [b"ext4", b"xfs", b"btrfs", b"overlay", b"tmpfs", b"fuseblk", b"fuse.fuse-overlayfs"])
def test_local_types(kind: bytes) -> None:
    """What only this kernel writes to is not, nor are the file systems of disks and containers that use fuse."""
    assert silent_mount([Mount(1, b"/", kind)], 1, b"/src") is None
