"""What loading numpy starts and leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """
import os, threading
import dirsync.delta.match.matcher
print(len(os.listdir("/proc/self/task")), os.environ.get("OPENBLAS_NUM_THREADS"))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
@pytest.mark.parametrize("given, threads", [(None, 1), ("1", 1), ("2", min(2, os.cpu_count() or 1))])
def test_a_delta_starts_no_threads(given: str | None, threads: int) -> None:
    """Numpy brings none but those that somebody asks for, and programs that we start inherit what was given."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    if given is not None:
        environment["OPENBLAS_NUM_THREADS"] = given

    answer = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True, env=environment
    )

    assert answer.stdout == f"{threads} {given}\n"
