"""The trees and files of the workloads: made once, from fixed seeds, and copied for each run."""

import random
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

from dirsync.limits import KIB, MIB

SMALL_FILES = 10_000
SMALL_DIRECTORIES = 100
LARGE_BYTES = 1024 * MIB
MEDIUM_BYTES = 100 * MIB
_STEP = 8 * MIB


class Data:
    """What is below one directory; it is kept for the next time."""

    def __init__(self, place: Path) -> None:
        self._place = place

    @property
    def small(self) -> Path:
        """10,000 files of 1 to 16 KiB of noise, in 100 directories."""
        return self._made("small", _make_small)

    @property
    def large(self) -> Path:
        """A directory with one file of 1 GiB of noise."""
        return self._made("large", lambda top: make_noise(top / "large.bin", LARGE_BYTES, 2))

    @property
    def medium(self) -> Path:
        """A directory with one file of 100 MiB of noise."""
        return self._made("medium", lambda top: make_noise(top / "medium.bin", MEDIUM_BYTES, 3))

    @property
    def sources(self) -> Path:
        """A real source tree: the interpreter's standard library."""
        return self._made("sources", _copy_library)

    def _made(self, name: str, make: Callable[[Path], None]) -> Path:
        top = self._place / name
        if not top.exists():
            beside = top.with_name(f"{name}.new")
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            make(beside)
            beside.rename(top)
        return top


def small_name(number: int) -> str:
    """The path of one of the small files."""
    return f"d{number % SMALL_DIRECTORIES:03}/f{number:05}.bin"


def copy(tree: Path, to: Path) -> None:
    """Copy what is in a directory, with times, sharing no blocks."""
    to.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", "--reflink=never", f"{tree}/.", str(to)], check=True)


def _make_small(top: Path) -> None:
    dice = random.Random(1)
    for number in range(SMALL_FILES):
        path = top / small_name(number)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(dice.randbytes(dice.randint(KIB, 16 * KIB)))


def make_noise(path: Path, size: int, seed: int | str) -> None:
    """A file of ``size`` bytes that do not compress and do not repeat; the same for the same seed."""
    dice = random.Random(seed)
    with path.open("wb") as file:
        for left in range(size, 0, -_STEP):
            file.write(dice.randbytes(min(_STEP, left)))


def _copy_library(top: Path) -> None:
    ignored = shutil.ignore_patterns("site-packages", "__pycache__")
    shutil.copytree(sysconfig.get_path("stdlib"), top, ignore=ignored, dirs_exist_ok=True)
