"""A new version is published by a link while a client watches, and a reader of the replica follows the link."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dirsync.limits import MIB
from tests.support.running.programs import Pair
from tests.support.running.synced import wait_until_agreed
from tests.support.trees.content import random_bytes

pytestmark = pytest.mark.programs

VERSIONS = 8


def publish(top: Path, version: int, large: bytes) -> None:
    """As Kubernetes does with a ConfigMap: a new directory, a link that takes its name at once, the old one removed."""
    new = top / f"..{version:05}"
    new.mkdir()
    (new / "large").write_bytes(large)
    (new / "key").write_text(f"{version}")
    (top / "..data_tmp").symlink_to(new.name)
    (top / "..data_tmp").rename(top / "..data")
    for old in top.glob("..0*"):
        if old != new:
            shutil.rmtree(old)


def look(top: Path) -> int | str:
    """The version that a reader finds there, or what is wrong."""
    try:
        names = os.listdir(top / "..data")
    except FileNotFoundError:
        return "..data leads to nothing"
    try:
        return int((top / "key").read_text())
    except FileNotFoundError:
        return f"there is no key, but {names}"


@contextmanager
def reader(top: Path) -> Iterator[list[str]]:
    """What a reader sees there that should not be.

    A reader who has followed the link to a version that is removed at that moment finds nothing, here as at the source.
    So what is wrong is seen twice in a row.
    """
    wrong: list[str] = []
    ended = threading.Event()

    def read() -> None:
        last, before = 0, ""
        while not ended.is_set():
            found = look(top)
            if isinstance(found, str):
                wrong.extend([found] if found == before else [])
                before = found
                continue
            wrong.extend([f"{found} after {last}"] if found < last else [])
            last, before = found, ""

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield wrong
    finally:
        ended.set()
        thread.join()


def test_versions(pair: Pair) -> None:
    """The reader finds a whole version at every moment, and never an older one than before."""
    large = random_bytes(4 * MIB)
    publish(pair.source, 0, large)
    for name in ("key", "large"):
        (pair.source / name).symlink_to(f"..data/{name}")
    server = pair.server()
    client = pair.client(rescan_interval="1h", delete_settle="10ms")
    wait_until_agreed(pair, client, server)
    with reader(pair.replica) as wrong:
        for version in range(1, VERSIONS):
            publish(pair.source, version, large[version:] + bytes(version))
            if version % 2:
                wait_until_agreed(pair, client, server)
        wait_until_agreed(pair, client, server)

    assert [] == wrong
    assert f"{VERSIONS - 1}" == (pair.replica / "key").read_text()
