"""One file that cannot be read: it is named, and the client is ready, at its first sync and ever after."""

import os
from pathlib import Path

import pytest

from tests.support.faults.privileges import tmpfs, without_override
from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build

pytestmark = [pytest.mark.programs, pytest.mark.privileged]


def until_ready(client: Client) -> None:
    """Return when every way to ask says that the client is ready."""
    until(lambda: client.get("/readyz").status == 200, "ready")
    status = client.status()

    assert (True, "") == (status["ready"], status["not_ready_reason"])
    assert 0 == client.command("health", "--ready", metrics_listen=f"127.0.0.1:{client.http_port}").code
    assert 1 == client.metrics().value("dirsync_ready")


def assert_named(client: Client, *paths: str) -> None:
    """These paths have a problem, by every way to ask, and nothing says that both sides are equal."""
    status = client.status()

    assert not status["in_sync"]
    assert set(paths) == {problem["path"] for problem in status["problems"]}
    assert (0, len(paths)) == (
        client.metrics().value("dirsync_in_sync"),
        client.metrics().value("dirsync_problems", kind="unreadable"),
    )


def test_unreadable_file(pair: Pair) -> None:
    """The others are synced, at once and later, after a restart too; and it is synced as soon as it can be read."""
    pair.server()
    build(pair.source, {"open": "1", "closed": File(b"2", 0), "d/open": "3"})
    client = pair.client(prefix=without_override(), synced=False, rescan_interval="1s")
    until_ready(client)
    assert_named(client, "closed")
    client.stop()
    client = pair.client(prefix=without_override(), synced=False, rescan_interval="1s")
    until_ready(client)
    build(pair.source, {"closed too": File(b"4", 0), "later": "5"})
    until((pair.replica / "later").exists, "the new file")
    until(lambda: len(client.status()["problems"]) == 2, "the other problem")
    until_ready(client)
    assert_named(client, "closed", "closed too")
    for name in ("closed", "closed too"):
        (pair.source / name).chmod(0o644)
    client.wait_until_in_sync()

    assert {"open", "d", "closed", "closed too", "later"} == {path.name for path in pair.replica.iterdir()}


def room_in(path: Path) -> int:
    """Bytes that are free on a file system."""
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize


def test_full_disk(pair: Pair) -> None:
    """Where nothing can be stored the client is not ready and says why, until there is room again."""
    with tmpfs(pair.replica, size="4m"):
        pair.server(min_free_bytes=0)
        build(pair.source, {"a": "1"})
        client = pair.client()
        until_ready(client)
        filler = pair.replica / "lost+found" / "filler"  # no part of a mounted root's replica
        filler.parent.mkdir()
        filler.write_bytes(bytes(room_in(pair.replica) - 4096))
        build(pair.source, {"b": File(random_bytes(100_000))})
        until(lambda: client.get("/readyz").status == 503, "not ready")
        reason = client.status()["not_ready_reason"]
        filler.unlink()
        until_ready(client)

    assert reason.startswith("nothing can be synced: ")
