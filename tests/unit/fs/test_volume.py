"""By which number a file system is recognised after it was mounted again."""

import os
from pathlib import Path

import pytest

from dirsync.fs.mounts import Mount
from dirsync.fs.root import Root, RootState
from dirsync.fs.volume import is_own, learn, learn_at, volume_name, volume_of
from tests.support.faults.privileges import bind_mount, image, mounted_image, tmpfs

NFS = Mount(1, b"/mnt", b"nfs4", b"host:/export")


@pytest.mark.parametrize(
    "fsid, uuid, mount, expected",
    [
        pytest.param(7, b"u" * 16, NFS, b"fsid 7", id="its-own-number-first"),
        pytest.param(0, b"u" * 16, NFS, b"uuid " + b"u" * 16, id="then-the-uuid"),
        pytest.param(0, b"", NFS, b"source nfs4 host:/export", id="then-where-it-comes-from"),
        pytest.param(0, b"", Mount(1, b"/mnt", b"fuse.mergerfs", b"mergerfs"), None, id="a-word-names-no-place"),
        pytest.param(0, b"", None, None, id="nothing"),
    ],
)
def test_name(fsid: int, uuid: bytes, mount: Mount | None, expected: bytes | None) -> None:
    """The most reliable name that there is."""
    assert expected == volume_name(fsid, uuid, mount)


@pytest.mark.parametrize("fsid, own", [(0, False), (0x700, False), (0x1BB8_BBCC_53C2_5B83, True)])
def test_number_of_the_device(fsid: int, *, own: bool) -> None:
    """XFS and others repeat the number of their device, NFS and FUSE have no number: neither is of use."""
    assert own == is_own(fsid, 0x700)


@pytest.mark.needs("loop")
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_mounted_again(tmp_path: Path, kind: str) -> None:
    """A file system is the same under another device number, and another one is not, whatever its number."""
    mine, other, place = image(tmp_path / "mine", kind), image(tmp_path / "other", kind), tmp_path / "place"
    place.mkdir()
    with mounted_image(mine, place) as first, Root.open(place) as root:
        mine_first = root.identity
    with mounted_image(other, place) as second, Root.open(place) as root:
        others = root.identity
        aside = tmp_path / "aside"
        aside.mkdir()
        with mounted_image(mine, aside) as third, Root.open(aside) as again:
            mine_again = again.identity

    assert first == second != third
    assert mine_first == mine_again != others


@pytest.mark.needs("privileged")
def test_memory(tmp_path: Path) -> None:
    """Each tmpfs is a file system of its own, also if it has the device number of a former one."""
    found = []
    for _ in range(2):
        with tmpfs(tmp_path / "memory"), Root.open(tmp_path / "memory") as root:
            found.append(root.identity.volume)

    assert 2 == len(set(found))


def test_entry(tmp_path: Path) -> None:
    """An entry's volume is learned without opening it: a FIFO would block, and a file may not be readable."""
    os.mkfifo(tmp_path / "fifo")
    device = tmp_path.stat().st_dev
    with Root.open(tmp_path) as root:
        assert root.identity.volume == learn_at(root.descriptor, b"fifo", device) == volume_of(device)
        assert root.identity.volume == learn_at(root.descriptor, b"absent", device)
        assert root.identity.volume == learn(root.descriptor, device)


@pytest.mark.needs("privileged")
def test_root_mounted_again_is_opened_again(tmp_path: Path) -> None:
    """A root whose name leads to the same directory by another mount's number is another one to open, not to guard."""
    with tmpfs(tmp_path / "one"), Root.open(tmp_path / "one") as root:
        assert RootState.SAME is root.state()
        (tmp_path / "two").mkdir()
        with bind_mount(tmp_path / "two", tmp_path / "one"):
            assert RootState.REPLACED is root.state()
        assert RootState.SAME is root.state()
