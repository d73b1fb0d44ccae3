"""What only root can do for a test: take a program's powers away, and mount file systems.

Root may read and write whatever the permission bits say, so tests of those bits run their program without the two
capabilities that grant it; another user might not reach the interpreter.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OVERRIDES = "-dac_override,-dac_read_search"
_OWNERSHIP = f"{_OVERRIDES},-fowner"


def without_override() -> list[str]:
    """A prefix for commands that makes permission bits count; nothing is needed where we are not root."""
    return _without(_OVERRIDES)


def without_ownership() -> list[str]:
    """As :func:`without_override`; the modes of what belongs to another user cannot be changed either."""
    return _without(_OWNERSHIP)


def _without(capabilities: str) -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities]


@contextmanager
def tmpfs(path: Path, *, size: str = "16m", inodes: int = 10_000) -> Iterator[Path]:
    """A small file system of its own at ``path``, gone at the end; needs the capability ``privileged``."""
    path.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size},nr_inodes={inodes}", "dirsync-test", path)
    try:
        yield path
    finally:
        unmount(path)


@contextmanager
def bind_mount(what: Path, path: Path, *, read_only: bool = False) -> Iterator[None]:
    """``what`` seen at ``path`` too."""
    _run("mount", "--bind", what, path)
    try:
        if read_only:
            _run("mount", "-o", "remount,bind,ro", path)
        yield
    finally:
        unmount(path)


def image(path: Path, kind: str) -> Path:
    """A file that holds an empty file system; needs the capability ``loop``."""
    with path.open("wb") as file:
        file.truncate(400 << 20)
    _run(f"mkfs.{kind}", "-q", path)
    return path


@contextmanager
def mounted_image(file: Path, path: Path) -> Iterator[int]:
    """The file system in ``file`` at ``path``, by the first free loop device; yields its device number."""
    found = subprocess.run(
        ("losetup", "--find", "--show", file), check=True, timeout=30, capture_output=True, text=True
    )
    device = found.stdout.strip()
    try:
        _run("mount", device, path)
        try:
            yield path.stat().st_dev
        finally:
            unmount(path)
    finally:
        _run("losetup", "--detach", device)


def umount(path: Path) -> None:
    """Unmount what nothing keeps busy; raises CalledProcessError if it is busy."""
    _run("umount", path)


def unmount(path: Path) -> None:
    """Take away what is mounted at ``path``, busy or not; nothing is no fault."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    if str(path) in mounted:  # os.path.ismount overlooks a bind mount of the same file system
        _run("umount", "--lazy", path)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, timeout=30)
