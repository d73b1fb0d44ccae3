"""A process that writes files again and again, each time from the start, by one call, while others read them.

Every version is of one letter, so a reader that sees two letters has read a mixture. It is a process of its own,
because that makes the race as hard as it can be, and dies with its parent.
"""

import itertools
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.running.beside import begin, beside

_LONGEST_PAUSE = 0.002
"""Seconds between two writes."""


@contextmanager
def writing(files: Mapping[Path, int], *, truncates: bool) -> Iterator[None]:
    """While this lasts, files of these sizes in bytes are rewritten all the time, ``truncates``: emptied before."""
    for path, size in files.items():
        path.write_bytes(b"A" * size)
    named = [argument for path, size in files.items() for argument in (str(path), str(size))]
    with beside("tests.support.trees.writer", str(int(truncates)), *named):
        yield


def is_whole(content: bytes, size: int) -> bool:
    """Whether it is one version, or a file that was just emptied."""
    return not content or content == content[:1] * size


def _write(files: list[tuple[str, int]], *, truncates: bool) -> None:
    opened = [(os.open(path, os.O_WRONLY), size) for path, size in files]
    begin()
    for letter in itertools.cycle(range(65, 91)):
        for descriptor, size in opened:
            version = bytes([letter]) * size
            if truncates:
                os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, version, 0)
            time.sleep(random.random() * _LONGEST_PAUSE)


if __name__ == "__main__":
    _names, _sizes = sys.argv[2::2], map(int, sys.argv[3::2])
    _write(list(zip(_names, _sizes, strict=True)), truncates=sys.argv[1] == "1")
