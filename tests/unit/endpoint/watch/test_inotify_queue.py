"""The reader of inotify: events decoded, and a wait that can be ended."""

import os
import struct
import sys
import threading
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("inotify is Linux's", allow_module_level=True)

from dirsync.endpoint.watch import inotify_queue as inotify
from dirsync.endpoint.watch.inotify_queue import InotifyEvent, InotifyQueue, parse_events


def event(wd: int, mask: int, cookie: int, name: bytes, padding: int = 0) -> bytes:
    """``struct inotify_event`` as the kernel writes it."""
    return struct.pack("iIII", wd, mask, cookie, len(name) + padding) + name + b"\0" * padding


def test_parse_events() -> None:
    """Events follow each other, names are padded with zeros, and an overflow has neither watch nor name."""
    data = event(1, inotify.CREATE, 0, b"name", 12) + event(-1, inotify.OVERFLOW, 0, b"") + event(2, 4, 7, b"\xff", 15)

    expected = [
        InotifyEvent(1, inotify.CREATE, b"name"),
        InotifyEvent(-1, inotify.OVERFLOW, b""),
        InotifyEvent(2, 4, b"\xff"),
    ]
    assert expected == parse_events(data)


def test_read(tmp_path: Path) -> None:
    """A watched directory reports its entries, and the same watch is returned for the same directory."""
    queue = InotifyQueue()
    directory = os.open(tmp_path, os.O_DIRECTORY)
    wd = queue.add(directory, inotify.CREATE | inotify.DELETE)
    (tmp_path / "a").touch()
    (tmp_path / "a").unlink()

    assert [InotifyEvent(wd, inotify.CREATE, b"a"), InotifyEvent(wd, inotify.DELETE, b"a")] == queue.read()
    assert wd == queue.add(directory, inotify.CREATE)
    queue.remove(wd)
    assert [InotifyEvent(wd, inotify.IGNORED, b"")] == queue.read()
    os.close(directory)
    queue.close()


def test_refused(tmp_path: Path) -> None:
    """What the kernel refuses is an error with its number."""
    queue = InotifyQueue()
    (tmp_path / "file").touch()
    file = os.open(tmp_path / "file", os.O_RDONLY)

    with pytest.raises(NotADirectoryError):
        queue.add(file, inotify.CREATE | inotify.ONLY_DIRECTORY)
    os.close(file)
    queue.close()


def test_wake() -> None:
    """A wait ends with no events when it is woken, and so does each later one."""
    queue = InotifyQueue()
    found: list[list[InotifyEvent]] = []
    waiting = threading.Thread(target=lambda: found.append(queue.read()))
    waiting.start()

    queue.wake()
    waiting.join()

    assert [[]] == found
    assert [] == queue.read()
    queue.close()


def test_close() -> None:
    """Closing twice and waking what is closed do nothing, and no descriptor stays."""
    before = os.listdir("/proc/self/fd")
    queue = InotifyQueue()
    queue.close()
    queue.close()
    queue.wake()

    assert before == os.listdir("/proc/self/fd")
