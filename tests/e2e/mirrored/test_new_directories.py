"""New directories with many files: they appear whole, are counted file by file, and may be interrupted and refused."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import KIB
from tests.support.running.programs import Pair
from tests.support.running.synced import prove_equal
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes, text
from tests.support.trees.trees import File, Link, Spec, build, differences

pytestmark = pytest.mark.programs

FILES = 60
TREE: Spec = {
    **{f"many/{number % 6}/{number}": File(random_bytes(3 * KIB + number, number), 0o640) for number in range(FILES)},
    **{f"many/text/{number}": text(2 * KIB + number) for number in range(20)},
    "many/large": File(random_bytes(200 * KIB)),
    "many/link": Link("large"),
    "many/twice/one": "the same content",
    "many/twice/two": "the same content",
    "many/empty/": None,
    "many/closed/inside": File(b"x", 0o400),
}
SMALL = FILES + 20 + 3
"""Small files among them."""


class Watch(threading.Thread):
    """Looks at a directory of the replica all the time, and notes with how many files it was seen."""

    def __init__(self, place: Path) -> None:
        super().__init__(daemon=True)
        self._place = place
        self._over = threading.Event()
        self.seen: list[int] = []

    def run(self) -> None:
        """Until it is over."""
        while not self._over.is_set():
            listings = [names for _, _, names in os.walk(self._place / "many")]
            if listings:  # asked of the walk itself: the directory may appear right after a walk that did not find it
                names = [name for listing in listings for name in listing]
                self.seen.append(sum(name not in ("large", "link") for name in names))

    def stop(self) -> list[int]:
        """End; returns what was seen."""
        self._over.set()
        self.join()
        return self.seen


def test_appears_whole(pair: Pair) -> None:
    """A tree that is moved into the source shows at the replica with all of its small files, or not at all."""
    server = pair.server()
    client = pair.client()
    build(pair.place / "aside", TREE)
    (pair.place / "aside/many/closed").chmod(0o500)
    watch = Watch(pair.replica)
    watch.start()
    (pair.place / "aside/many").rename(pair.source / "many")
    client.wait_for("file.synced", path="many/large")
    client.wait_until_in_sync()
    until((pair.replica / "many/link").is_symlink, "the link")
    seen = watch.stop()
    ours, theirs = client.metrics(), server.metrics()
    synced = [event for event in client.log.events if event["event"] == "file.synced"]

    assert [] == differences(pair.source, pair.replica)
    assert seen[0] >= SMALL - 1  # one of two that are equal is copied there afterwards
    assert 1 == ours.value("dirsync_changes_applied_total", operation="build_directory", outcome="applied")
    for samples in (ours, theirs):
        logical, literal = (samples.value(f"dirsync_{name}_bytes_total") for name in ("logical", "literal"))
        saved = dict(samples.sums("dirsync_saved_bytes_total", "reason"))
        assert logical == literal + saved["dedup"]
        assert len(b"the same content") == saved["dedup"]
        assert SMALL == samples.value("dirsync_files_transferred_total", strategy="whole")
    assert SMALL + 1 == len({event["path"] for event in synced})
    assert ours.value("dirsync_literal_bytes_total") == sum(event["literal_bytes"] for event in synced)
    assert ours.value("dirsync_saved_bytes_total", reason="compression") == sum(
        event["saved_bytes"] for event in synced if event["strategy"] == "whole"
    )
    assert ours.value("dirsync_saved_bytes_total", reason="compression") == theirs.value(
        "dirsync_saved_bytes_total", reason="compression"
    )
    assert [] == [name for name in os.listdir(pair.place) if "staging" in name]


@pytest.mark.parametrize("settings", [{"quota_entries": 50}, {"max_file_size": 3 * KIB + 30}], ids=str)
def test_refused_file_by_file(pair: Pair, settings: dict[str, Any]) -> None:
    """A directory that the server does not take as a whole is made step by step: only what is too much is missing."""
    pair.server(**settings)
    build(pair.source, {f"many/{number}": File(random_bytes(3 * KIB + number, number)) for number in range(FILES)})
    result = pair.once()
    there = len(list((pair.replica / "many").iterdir()))

    assert 4 == result.code
    assert (49 if "quota_entries" in settings else 31) == there
    assert {"limit"} == {event["kind"] for event in result.events if event["event"] == "file.problem"}


def test_older_servers(pair: Pair) -> None:
    """Where the server builds no directories (FSYNC=always), the same tree comes over in single steps."""
    pair.server(fsync="always")
    build(pair.source, TREE)
    assert 0 == pair.once().code

    prove_equal(pair)


def test_killed_in_the_middle(pair: Pair) -> None:
    """A server that dies while a directory comes in shows nothing of it, and its next start clears staging."""
    server = pair.server()
    build(pair.source, {f"many/{number}": File(random_bytes(60 * KIB, number)) for number in range(400)})
    client = pair.client(synced=False, bandwidth_limit="4MiB")
    until(lambda: any("staging" in name for name in os.listdir(pair.place)), "staging")
    server.kill()
    assert [] == os.listdir(pair.replica)
    pair.server()
    client.stop()
    assert 0 == pair.once().code

    prove_equal(pair)
    assert [] == [name for name in os.listdir(pair.place) if "staging" in name]
