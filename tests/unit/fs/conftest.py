"""Fixtures of the tests that act on files."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.fs.places import make
from tests.unit.fs.replicas import Replica

MEMORY = Path("/dev/shm")


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[Replica]:
    """An empty replica beside a directory ``outside``; staging is empty when the test is over."""
    make(tmp_path, "r/ outside/x=secret")
    opened = Replica(tmp_path)
    yield opened
    opened.close()

    assert ["outside", "r"] == sorted(os.listdir(tmp_path))
    assert ["x"] == os.listdir(tmp_path / "outside")
    assert "secret" == (tmp_path / "outside/x").read_text()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory: on most machines another file system than that of ``tmp_path``."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as path:
        yield Path(path)


@pytest.fixture(params=["disk", "memory"])
def disk(request: pytest.FixtureRequest) -> Path:
    """A directory on the disk, and one in memory: file systems differ."""
    path: Path = request.getfixturevalue("tmp_path" if request.param == "disk" else "memory")
    return path
