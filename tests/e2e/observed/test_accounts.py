"""What both programs count of a history in which everything happens: it adds up, on each side and between them."""

import os
import shutil
from typing import Any, NamedTuple

import pytest

from dirsync.limits import KIB, MIB
from dirsync.tree.strategy import CHOICES
from dirsync.v1 import agent_service_pb2 as apb
from tests.support.peers.wire import AGENT, Wire
from tests.support.running.metrics import Samples
from tests.support.running.programs import Client, Pair, Server
from tests.support.running.synced import prove_equal, wait_until_agreed
from tests.support.trees.content import random_bytes, text
from tests.support.trees.edits import blank, insert, scatter
from tests.support.trees.renames import aside
from tests.support.trees.trees import Spec, build

BEFORE_LITERAL = ("delta", "dedup", "rename", "unchanged")
ALL_CHOICES = {(choice.strategy.value, choice.reason.value) for choice in CHOICES}
NOT_HERE = {("whole", "not_offered"), ("rename", "same_content"), ("dedup", "same_file")}
"""What needs another server, or luck."""
OVERHEAD = 24 * KIB
"""What of the messages of a history is no content, in bytes."""
QUIET: dict[str, Any] = {"rescan_interval": "1h", "delete_settle": "100ms"}
TREE: Spec = {
    "text": text(300 * KIB),
    "noise": random_bytes(200 * KIB, 1),
    "large": random_bytes(2 * MIB, 2),
    "other": random_bytes(2 * MIB + 1, 3),
    "kept": random_bytes(MIB, 4),
    "holes": bytes(MIB) + random_bytes(MIB, 5),
    **{f"d/{number}": random_bytes(number * 100, number) if number % 2 else text(number * 100) for number in range(40)},
    "e/deep/x": random_bytes(100 * KIB, 6),
}


class Side(NamedTuple):
    """The byte counters of one side."""

    logical: int
    literal: int
    saved: dict[str, int]
    files: dict[str, int]
    sent: int
    received: int


def side(samples: Samples) -> Side:
    """What a scrape says."""

    def integers(name: str, label: str) -> dict[str, int]:
        return {value: int(count) for value, count in samples.sums(name, label).items()}

    wire = integers("dirsync_wire_bytes_total", "direction")
    return Side(
        int(samples.value("dirsync_logical_bytes_total")),
        int(samples.value("dirsync_literal_bytes_total")),
        integers("dirsync_saved_bytes_total", "reason"),
        integers("dirsync_files_transferred_total", "strategy"),
        wire["sent"],
        wire["received"],
    )


def history(pair: Pair, compression: str) -> tuple[Server, Client]:
    """Both programs after a history in which everything happens, to content that shrinks and that does not."""
    source, outside = pair.source, pair.place / "outside"
    build(source, TREE)
    server, client = pair.server(), pair.client(compression=compression, **QUIET)
    scatter(source / "large", 10)
    insert(source / "noise", at=KIB)
    blank(source / "other", size=300 * KIB)
    with (source / "text").open("ab") as file:
        file.write(text(200 * KIB))
    wait_until_agreed(pair, client, server)
    shutil.copytree(source / "d", outside / "d")
    shutil.copyfile(source / "kept", outside / "kept")
    (outside / "d").rename(source / "copied")
    (outside / "kept").rename(source / "twin")
    wait_until_agreed(pair, client, server)
    (source / "d").rename(source / "moved")
    (source / "kept").rename(source / "moved/kept")
    aside(source / "large", source / "other")
    wait_until_agreed(pair, client, server)
    os.utime(source / "twin", ns=(0, 10**18))
    (source / "text").chmod(0o600)
    build(outside, {"noise": random_bytes(250 * KIB, 50), "holes": (source / "holes").read_bytes()})
    for name in ("noise", "holes"):
        (outside / name).rename(source / name)
    shutil.rmtree(source / "copied")
    wait_until_agreed(pair, client, server)
    # The one content of which nothing is left at the replica, though both programs think otherwise.
    (pair.replica / "twin").write_bytes(b"by hand".ljust(MIB))
    (pair.replica / "moved/kept").unlink()
    shutil.copyfile(source / "twin", outside / "third")
    (outside / "third").rename(source / "third")
    client.wait_for("file.synced", path="third")
    with Wire(client.address) as agent:
        agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse)
    wait_until_agreed(pair, client, server)
    return server, client


@pytest.mark.parametrize("compression", ["none", "zstd", "gzip"])
def test_history(pair: Pair, compression: str) -> None:
    """Both identities hold on both sides; the sides agree; every way and reason occurs that can, and no other."""
    server, client = history(pair, compression)
    ours, theirs = side(client.metrics()), side(server.metrics())
    told = client.log.all("file.synced")
    choices = chosen(client.metrics())

    for each, payload in ((ours, ours.sent), (theirs, theirs.received)):
        assert each.logical == each.literal + sum(each.saved[reason] for reason in BEFORE_LITERAL)
        assert each.literal - each.saved["compression"] == pytest.approx(payload, abs=OVERHEAD)
    assert ours.logical - ours.saved["unchanged"] == theirs.logical
    assert ours.literal == theirs.literal
    assert {**ours.saved, "unchanged": 0} == theirs.saved
    assert ours.files == theirs.files
    assert {} == {reason: saved for reason, saved in ours.saved.items() if not saved}
    assert {} == {strategy: count for strategy, count in ours.files.items() if not count}
    assert ours.literal == sum(event["literal_bytes"] for event in told)
    assert {(event["strategy"], event["reason"]) for event in told} == {way for way, count in choices.items() if count}
    assert choices.keys() - {way for way, count in choices.items() if count} <= NOT_HERE
    for strategy, count in ours.files.items():
        assert count == sum(times for way, times in choices.items() if way[0] == strategy)
    prove_equal(pair)


def test_there_from_the_start(pair: Pair) -> None:
    """Every series that a history could need is there before anything happens, on both sides, and none comes later."""
    build(pair.source, {"a": "1"})
    server = pair.server()
    client = pair.client(**QUIET)
    before = [each.metrics() for each in (client, server)]
    build(pair.source, {"b": random_bytes(200 * KIB), "c": "c"})
    (pair.source / "a").rename(pair.source / "d")
    wait_until_agreed(pair, client, server)
    after = [each.metrics() for each in (client, server)]

    assert [samples.keys for samples in before] == [samples.keys for samples in after]
    assert [ALL_CHOICES, set()] == [set(chosen(samples)) for samples in before]  # choosing is the client's


def chosen(samples: Samples) -> dict[tuple[str, str], int]:
    """How many files travelled in which way, and why."""
    name = "dirsync_strategy_choices_total"
    families = [dict(labels) for key, labels in samples.keys if key == name]
    return {(each["strategy"], each["reason"]): int(samples.value(name, **each)) for each in families}
