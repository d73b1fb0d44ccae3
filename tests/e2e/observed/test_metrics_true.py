"""Metrics that are true: the identities of the byte counters after all kinds of work, the lag, and how full it is."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dirsync.limits import KIB
from tests.support.peers.authority import Authority
from tests.support.running.metrics import Samples
from tests.support.running.programs import Client, Pair, Server
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes, text
from tests.support.trees.trees import File, build, differences

pytestmark = pytest.mark.programs

BEFORE_LITERAL = ("delta", "dedup", "rename", "unchanged")
ENVELOPE_BYTES = 24 * KIB
"""What messages have beside content, in all of the work below."""


def work(pair: Pair) -> tuple[Server, Client]:
    """First sync, then live: deltas, copies, renames of files and directories, touches, compression, a hold."""
    server = pair.server()
    large = random_bytes(900 * KIB)
    build(pair.source, {"large": File(large), "prose": text(800 * KIB), **{f"d/{n}": text(n * 200) for n in range(30)}})
    pair.once()
    (pair.place / "client-state" / "index.sqlite").unlink()  # everything is read again, and found unchanged
    client = pair.client(delete_settle="100ms", guard_max_delete_count=20)
    for number in range(3):
        with (pair.source / "large").open("r+b") as file:
            file.seek(number * 200 * KIB)
            file.write(random_bytes(6 * KIB, number + 1))
        client.wait_for("file.synced", since=client.log.mark() - 1, path="large", strategy="delta")
        client.wait_until_in_sync()
    (pair.source / "copy").write_bytes((pair.source / "prose").read_bytes())
    client.wait_for("file.synced", path="copy", strategy="dedup")
    (pair.source / "copy").rename(pair.source / "moved")
    client.wait_for("file.synced", path="moved", strategy="rename")
    (pair.source / "d").rename(pair.source / "e")
    client.wait_for("file.synced", path="e", strategy="rename")
    os.utime(pair.source / "moved", ns=(0, 10**18))
    build(pair.source, {"late": text(300 * KIB), "noise": File(random_bytes(300 * KIB, 9))})
    client.wait_for("file.synced", path="noise")
    for number in range(30):
        (pair.source / f"e/{number}").unlink()
    held = client.wait_for("guard.held")
    assert 0 == client.command("approve", held["hold"]).code
    client.wait_until_in_sync()

    assert [] == differences(pair.source, pair.replica)
    return server, client


def figures(samples: Samples) -> tuple[float, float, dict[str, float]]:
    """Logical and literal bytes, and what was saved by reason."""
    logical, literal = (samples.value(f"dirsync_{name}_bytes_total") for name in ("logical", "literal"))
    return logical, literal, dict(samples.sums("dirsync_saved_bytes_total", "reason"))


def test_identities(pair: Pair) -> None:
    """After every kind of work: logical = literal + saved before; literal = content as sent + saved by compression."""
    server, client = work(pair)
    ours, theirs = client.metrics(), server.metrics()
    first = pair.once(server=pair.server_address, state_dir=pair.place / "second-state")
    logical, literal, saved = figures(ours)
    sent = ours.value("dirsync_wire_bytes_total", direction="sent")
    events = [event for event in client.log.events if event["event"] == "file.synced"]

    assert 0 < first.event("rescan.completed")["entries"]
    assert {} == {reason: bytes_ for reason, bytes_ in saved.items() if not bytes_ > 0}
    assert logical == literal + sum(saved[reason] for reason in BEFORE_LITERAL)
    assert literal - saved["compression"] == pytest.approx(sent, abs=ENVELOPE_BYTES)
    assert literal == sum(event["literal_bytes"] for event in events)
    assert saved["compression"] + sum(saved[r] for r in BEFORE_LITERAL if r != "unchanged") == sum(
        event["saved_bytes"] for event in events
    )
    for name in ("delta", "dedup", "rename"):
        count = sum(event.get("files", 1) for event in events if event["strategy"] == name)
        assert count == ours.value("dirsync_files_transferred_total", strategy=name)
    _check_server(theirs, saved)


def _check_server(theirs: Samples, of_client: dict[str, float]) -> None:
    logical, literal, saved = figures(theirs)

    assert logical == literal + sum(saved[reason] for reason in BEFORE_LITERAL)
    assert literal - saved["compression"] == pytest.approx(
        theirs.value("dirsync_wire_bytes_total", direction="received"), abs=2 * ENVELOPE_BYTES
    )
    assert {reason: of_client[reason] for reason in ("delta", "dedup", "rename")} == {
        reason: saved[reason] for reason in ("delta", "dedup", "rename")
    }


def applied(samples: Samples) -> float:
    """Operations that the server has applied."""
    return samples.sums("dirsync_changes_applied_total", "outcome")["applied"]


def test_lag(pair: Pair) -> None:
    """Each change after the first sync is one observation, from its event to its acknowledgement; the first is none."""
    pair.server()
    build(pair.source, {f"d/{number}": "1" for number in range(50)})
    client = pair.client(delete_settle="600ms")
    before = client.metrics()
    build(pair.source, {"new": "x", "d/7": "other"})
    client.wait_for("file.synced", path="new")
    client.wait_for("file.synced", path="d/7")
    client.wait_until_in_sync()
    quick = client.metrics()
    (pair.source / "d/8").unlink()
    client.wait_for("file.deleted", path="d/8")
    client.wait_until_in_sync()
    after = client.metrics()

    # A file may be sent twice, while it is written and after that; each time is an observation.
    counted = [samples.value("dirsync_change_lag_seconds_count") for samples in (before, quick, after)]
    total = "dirsync_change_lag_seconds_sum"
    assert 50 < applied(before)
    assert [applied(samples) - applied(before) for samples in (before, quick, after)] == counted
    assert 2 <= counted[1] < counted[2]
    assert 0.6 <= after.value(total) - quick.value(total)
    assert {"0.5", "1.0", "2.5"} <= set(after.sums("dirsync_change_lag_seconds_bucket", "le"))


def test_lag_grows(pair: Pair) -> None:
    """What cannot be sent grows old in ``dirsync_lag_seconds``, and is acknowledged late when it can."""
    server = pair.server()
    client = pair.client()
    server.stop()
    client.wait_for("connection.lost")
    build(pair.source, {"waits": "x"})
    until(lambda: client.metrics().value("dirsync_lag_seconds") > 1, "it is old")
    pair.server()
    client.wait_for("file.synced", path="waits", seconds=30)
    client.wait_until_in_sync()
    samples = client.metrics()

    assert 0 == samples.value("dirsync_lag_seconds")
    assert 0 == samples.value("dirsync_change_lag_seconds_bucket", le="1.0")
    assert 1 == samples.value("dirsync_change_lag_seconds_count")


@pytest.mark.parametrize("watch, mode", [("native", "native"), ("poll", "poll"), ("off", "off")])
def test_watch_mode(pair: Pair, watch: str, mode: str) -> None:
    """The way that is in force is 1, the others are 0; what was chosen is not degraded."""
    pair.server()
    samples = pair.client(watch=watch).metrics()

    assert {mode: 1.0} == {name: on for name, on in samples.sums("dirsync_watch_mode", "mode").items() if on}
    assert 0 == samples.value("dirsync_watch_degraded")


def test_room(pair: Pair) -> None:
    """What a replica holds and may hold, and the room on its disk; a changed quota of the tenants file counts."""
    file = pair.place / "tenants.toml"
    table = f'[namespaces.photos]\nroot = "{pair.replica}"\ntokens_sha256 = ["{"0" * 64}"]\n'
    file.write_text(f'{table}quota_bytes = "1MiB"\nquota_entries = 100\n')
    (pair.replica / "d").mkdir(parents=True)
    (pair.replica / "d" / "a").write_bytes(b"x" * 1000)
    server = pair.server(tenants_file=file, min_free_bytes="3MiB")

    def shown(*names: str) -> list[float]:
        samples = server.metrics()
        return [samples.value(f"dirsync_{name}", namespace="photos") for name in names]

    names = ("replica_bytes", "replica_entries", "quota_bytes", "quota_entries", "disk_reserved_bytes")
    until(lambda: shown("disk_bytes") != [0], "it was measured")
    first = shown(*names)
    size, free = shown("disk_bytes", "disk_free_bytes")
    status = os.statvfs(pair.replica)
    file.write_text(f'{table}quota_bytes = "2MiB"\nquota_entries = 7\n')
    until(lambda: shown("quota_entries") == [7], "the new quota is in force")

    assert 0 == server.metrics().value("dirsync_certificate_expiry_timestamp_seconds")
    assert [1000, 2, 1 << 20, 100, 3 << 20] == first
    assert status.f_blocks * status.f_frsize == size
    assert free == pytest.approx(status.f_bavail * status.f_frsize, rel=0.2)
    assert [2 << 20, 7] == shown("quota_bytes", "quota_entries")


def test_certificates(pair: Pair, tmp_path: Path) -> None:
    """Both sides show when their certificate ends, the new one as soon as its files are there."""
    authority = Authority(tmp_path, "authority")
    ends = [datetime(year, 1, 1, tzinfo=UTC) for year in (2031, 2042)]
    server = pair.server(**authority.issue("server", "127.0.0.1", not_after=ends[0]))
    client = pair.client(tls_ca_file=authority.file, **authority.issue("client", "client.test", not_after=ends[0]))
    name = "dirsync_certificate_expiry_timestamp_seconds"
    before = [process.metrics().value(name) for process in (server, client)]
    authority.issue("server", "127.0.0.1", not_after=ends[1])
    authority.issue("client", "client.test", not_after=ends[1])

    assert [ends[0].timestamp()] * 2 == before
    until(
        lambda: [process.metrics().value(name) for process in (server, client)] == [ends[1].timestamp()] * 2,
        "the new ones count",
    )
