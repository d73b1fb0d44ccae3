"""The way to the agent's socket: any directory name, and who listens there."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync_client.agent.unix_socket import SOCKET, UnixSocket


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket in ``tmp_path`` with a listener."""
    directory = os.open(tmp_path, os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")
        listener.listen()
        yield listener
    os.close(directory)


def test_answers(tmp_path: Path, listening: socket.socket) -> None:
    """A listener answers; the socket that it leaves behind does not, and can be removed."""
    with UnixSocket(tmp_path) as way:
        alive = way.answers
        listening.close()
        dead = way.answers
        way.remove()

    assert (True, False) == (alive, dead)
    assert [] == os.listdir(tmp_path)


def test_nothing_there(tmp_path: Path) -> None:
    """Without a socket there is no answer, and removing it does nothing."""
    with UnixSocket(tmp_path) as way:
        way.remove()

        assert not way.answers


def test_no_directory(tmp_path: Path) -> None:
    """A directory that is not there is an error."""
    with pytest.raises(FileNotFoundError):
        UnixSocket(tmp_path / "absent")


def test_other_file(tmp_path: Path) -> None:
    """What is no socket is left alone."""
    (tmp_path / SOCKET).write_text("kept")
    with UnixSocket(tmp_path) as way:
        way.remove()

    assert "kept" == (tmp_path / SOCKET).read_text()


def test_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no descriptor leads to the directory its own path is used, escaped as a URI, if it is short enough."""
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os.path, "isdir", lambda _path: False)
    monkeypatch.chdir(tmp_path)
    Path("a %#?").mkdir()
    Path("d" * 120).mkdir()
    with UnixSocket(Path("a %#?")) as way:
        target = way.target

    assert target.endswith("/a%20%25%23%3F/agent.sock")
    with pytest.raises(OSError, match=r"a socket's path may have \d+ bytes"):
        UnixSocket(Path("d" * 120))
    assert before == os.listdir("/proc/self/fd")
