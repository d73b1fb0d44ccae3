"""What users and programs do to the content of a large file, in place or by putting a new version in its place."""

import os
import random
import shutil
from pathlib import Path

from dirsync.limits import KIB, MIB
from tests.support.trees.content import random_bytes


def scatter(path: Path, count: int = 100, size: int = 4 * KIB, seed: int = 0) -> None:
    """Overwrite so many places, anywhere, with something else."""
    rolls = random.Random(seed)
    end = path.stat().st_size - size
    with path.open("r+b") as file:
        for _ in range(count):
            file.seek(rolls.randrange(end))
            file.write(rolls.randbytes(size))


def insert(path: Path, at: int = MIB, size: int = KIB, seed: int = 99) -> None:
    """Put something in, so that all that follows is elsewhere; the new version takes the place of the old one."""
    new = path.with_name(f".{path.name}.new")
    with path.open("rb") as old, new.open("wb") as file:
        file.write(old.read(at))
        file.write(random_bytes(size, seed))
        shutil.copyfileobj(old, file, MIB)
    new.rename(path)


def append(path: Path, size: int = 10 * MIB, seed: int = 98) -> None:
    """Put something at the end."""
    with path.open("ab") as file:
        file.write(random_bytes(size, seed))


def change_first(path: Path) -> None:
    """Change its first byte."""
    content = path.read_bytes()
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])


def change_last(path: Path) -> None:
    """Change its last byte."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def cut_off(path: Path) -> None:
    """Leave the first half of it, and a byte."""
    os.truncate(path, path.stat().st_size // 2 + 1)


def cut_out(path: Path, at: int = MIB, size: int = 300_001) -> None:
    """Take something out of it."""
    content = path.read_bytes()
    path.write_bytes(content[:at] + content[at + size :])


def cut_round(path: Path, at: int = MIB + 1, size: int = 2 * MIB) -> None:
    """Leave only a part from within."""
    path.write_bytes(path.read_bytes()[at : at + size])


def turn(path: Path) -> None:
    """Let its two halves change places."""
    content = path.read_bytes()
    middle = len(content) // 2 + 77
    path.write_bytes(content[middle:] + content[:middle])


def double(path: Path) -> None:
    """Have it twice."""
    path.write_bytes(path.read_bytes() * 2)


def blank(path: Path, at: int = MIB + 7, size: int = MIB) -> None:
    """Overwrite a part of it with zeros."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes(size))
