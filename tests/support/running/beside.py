"""A module of ours that runs beside a test, in a process of its own: that makes a race as hard as it can be."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_REPOSITORY = Path(__file__).resolve().parents[3]
_PR_SET_PDEATHSIG = 1


@contextmanager
def beside(module: str, *arguments: str | Path) -> Iterator[None]:
    """While this lasts, the module runs as a program; it has called :func:`begin`, and it is killed at the end."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_REPOSITORY)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def begin() -> None:
    """In that process: die with the test from now on, and let it go on."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.write(1, b"ready\n")
