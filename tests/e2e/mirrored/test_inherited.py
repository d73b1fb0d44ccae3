"""What the replica's directory hands down: group and default ACL are those that the kernel would have given."""

import os
import shutil
import stat
import struct
from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.limits import MIB
from tests.support.faults.privileges import tmpfs
from tests.support.running.programs import Pair
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, Link, Spec, build, differences

pytestmark = [pytest.mark.programs, pytest.mark.privileged]

GROUP = 4242
NAMED = 4243
_ENTRY = struct.Struct("<HHI")
NOBODY = 0xFFFFFFFF
DEFAULT_ACL = struct.pack("<I", 2) + b"".join(
    _ENTRY.pack(*entry)
    for entry in (
        (0x01, 7, NOBODY),
        (0x02, 7, NAMED),
        (0x04, 7, NOBODY),
        (0x10, 7, NOBODY),
        (0x20, 5, NOBODY),
    )
)
"""As ``setfacl -d -m u:4243:rwx,g::rwx,o::rx``."""
FIRST: Spec = {
    "small": File(b"s", 0o640),
    "large": File(random_bytes(2 * MIB), 0o664),
    "d/e/deep": File(b"d", 0o600),
    "d/run": File(b"r", 0o755),
    "empty/": None,
    "becomes-a-directory": "f",
    "becomes-a-file/inside": "i",
    "link": Link("small"),
    **{f"many/{number}/{mode:o}": File(b"%d" % mode, mode) for number in range(3) for mode in (0o600, 0o664, 0o755)},
}
SECOND: Spec = {
    "small": File(b"another", 0o660),
    "large": File(random_bytes(2 * MIB, 2), 0o600),
    "becomes-a-directory/new": File(b"n", 0o644),
    "becomes-a-file": File(b"f", 0o604),
}


class Inherited(NamedTuple):
    """What a path has of its directory."""

    group: int
    mode: int
    access: bytes
    default: bytes


def acl(path: Path, name: str) -> bytes:
    """An ACL of the path."""
    try:
        return os.getxattr(path, f"system.posix_acl_{name}", follow_symlinks=False)
    except OSError:
        return b""


def inherited(root: Path) -> dict[str, Inherited]:
    """Everything below a root."""
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        link = stat.S_ISLNK(status.st_mode)
        found[str(path.relative_to(root))] = Inherited(
            status.st_gid,
            0 if link else stat.S_IMODE(status.st_mode),
            b"" if link else acl(path, "access"),
            acl(path, "default") if path.is_dir() and not link else b"",
        )
    return found


def handing_down(path: Path, *, group: bool, lists: bool) -> Path:
    """A directory that hands something down."""
    path.mkdir(exist_ok=True)
    if group:
        os.chown(path, -1, GROUP)
        path.chmod(0o2775)
    if lists:
        os.setxattr(path, "system.posix_acl_default", DEFAULT_ACL)
    return path


def as_the_kernel_does(root: Path, source: Path) -> None:
    """Make everything anew below a root, with the permission bits of the source."""
    shutil.rmtree(root / "all", ignore_errors=True)
    for path in sorted(source.rglob("*")):
        copy = root / path.relative_to(source)
        if copy.is_symlink() or copy.is_file():
            copy.unlink()
        elif copy.is_dir() and not path.is_dir():
            shutil.rmtree(copy)
        if path.is_symlink():
            copy.symlink_to(os.readlink(path))
            continue
        if path.is_dir():
            copy.mkdir(exist_ok=True)
        else:
            copy.touch()
        bits = stat.S_IMODE(path.stat().st_mode) & 0o777
        copy.chmod(bits | stat.S_IMODE(copy.stat().st_mode) & stat.S_ISGID)


@pytest.mark.parametrize("group, lists", [(True, False), (False, True), (True, True)], ids=["group", "acl", "both"])
def test_handed_down(pair: Pair, group: bool, lists: bool) -> None:
    """What is made and replaced has it, at any depth; the source's bits limit it, and become nothing more."""
    with tmpfs(pair.place / "volume", size="400m") as volume:
        replica = handing_down(volume / "replica", group=group, lists=lists)
        kernel = handing_down(volume / "kernel", group=group, lists=lists)
        pair.server(root=replica)
        build(pair.source, FIRST)
        (pair.source / "d").chmod(0o2750)  # the source's own setgid bit is not handed on
        codes = [pair.once().code]
        as_the_kernel_does(kernel, pair.source)
        first = inherited(replica), inherited(kernel)
        (pair.source / "becomes-a-directory").unlink()
        shutil.rmtree(pair.source / "becomes-a-file")
        (pair.source / "d/e").chmod(0o700)
        build(pair.source, SECOND)
        codes.append(pair.once().code)
        as_the_kernel_does(kernel, pair.source)
        second = inherited(replica), inherited(kernel)
        codes.append(pair.command("verify", "--deep").code)
        (pair.source / "d").chmod(0o750)
        wrong = differences(pair.source, replica) if not group else []

    assert [0, 0, 0] == codes
    assert first[1] == first[0]
    assert second[1] == second[0]
    assert [] == wrong


def test_nothing_handed_down(pair: Pair) -> None:
    """Where the replica hands nothing down, there are the source's permission bits, and nothing else."""
    with tmpfs(pair.place / "volume", size="400m") as volume:
        pair.server(root=volume / "replica")
        build(pair.source, {"d/f": File(b"f", 0o6755), "f": File(b"f", 0o640)})
        (pair.source / "d").chmod(0o3775)
        code = pair.once().code
        modes = {name: found.mode for name, found in inherited(volume / "replica").items()}

    assert 0 == code
    assert {"d": 0o775, "d/f": 0o755, "f": 0o640} == modes
