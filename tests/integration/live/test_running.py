"""A running pair over time: quiet when nothing happens, frugal in storms, back after restarts, gone when asked."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from dirsync.v1 import agent_service_pb2 as apb
from tests.support.peers.wire import AGENT, Wire
from tests.support.proxy import Proxy
from tests.support.running.programs import Client, Pair, Process
from tests.support.running.waiting import until
from tests.support.trees.trees import build, differences, equal, look

pytestmark = pytest.mark.programs

LARGE = 32 << 20
"""Bytes of a file that is still on its way when a test acts."""
QUIET: dict[str, Any] = {"rescan_interval": "1h", "delete_settle": "100ms"}
PATIENT = "60s"
"""A grace period far above what a test waits for a program: one that ends in time has not used it up."""
RECONNECTS = 30


def wait_until_equal(pair: Pair) -> None:
    """Return when the replica is what the source is."""
    until(lambda: equal(pair.source, pair.replica), "replica equal to the source")


def staged(pair: Pair) -> list[Path]:
    """What waits beside the replica for its publication."""
    return list(pair.place.glob(".replica.dirsync-staging/*"))


def kept_alone(pair: Pair) -> bool:
    """Whether nothing is staged but the beginning of an upload, kept to be continued."""
    return all(path.name.startswith("upload-") for path in staged(pair))


def wait_until_staged(pair: Pair, size: int) -> None:
    """Return when so many bytes of a file have arrived that is not published yet."""

    def enough() -> bool:
        try:
            return any(path.stat().st_size >= size for path in staged(pair))
        except FileNotFoundError:
            return False

    until(enough, "a part of the file at the server")


def save(path: Path, text: str) -> None:
    """Save a file as careful programs do, beside it first."""
    beside = path.with_name(".new")
    beside.write_text(text)
    beside.rename(path)


def cycles(client: Client) -> int:
    """How many syncs the client has completed."""
    return len(client.log.all("sync.completed"))


@pytest.fixture
def proxy(pair: Pair) -> Iterator[Proxy]:
    """A relay to the pair's server."""
    with Proxy(pair.server_address) as proxy:
        yield proxy


class TestQuiet:
    """Nothing happens."""

    @pytest.mark.case("F09")
    def test_no_traffic(self, pair: Pair, proxy: Proxy) -> None:
        """Without changes and rescans nothing is sent, nothing is looked at, and no cycle runs."""
        pair.server()
        build(pair.source, {"a": "1", "b/c": "2"})
        client = pair.client(server=proxy.address, **QUIET)
        time.sleep(0.5)  # the time in which nothing may happen, after what belongs to the start
        before = (proxy.sent, proxy.received, cycles(client), client.log.mark())
        time.sleep(1)

        assert before == (proxy.sent, proxy.received, cycles(client), client.log.mark())

    def test_rescans_are_no_cycles(self, pair: Pair) -> None:
        """A rescan that finds nothing leaves the client in sync all the time and logs no sync."""
        pair.server()
        build(pair.source, {"a": "1", "b/c": "2"})
        client = pair.client(rescan_interval="1s")
        seen = set()

        def two_rescans() -> bool:
            seen.add(client.metrics().value("dirsync_in_sync"))
            return len(client.log.all("rescan.completed")) >= 3

        until(two_rescans, "two rescans after the first look")

        assert {1.0} == seen
        assert 1 == cycles(client)
        assert 0 == client.metrics().value("dirsync_rescan_found_total")

    def test_reading_is_no_change(self, pair: Pair) -> None:
        """Reading the source causes no sync."""
        pair.server()
        build(pair.source, {"a": "1", "b/c": "2"})
        client = pair.client(**QUIET)
        for _ in range(20):
            look(pair.source)
        build(pair.source, {"last": "after all the reading"})
        client.wait_for("file.synced", path="last")

        until(lambda: cycles(client) == 2, "the first sync and that of the last file")
        assert ["a", "b/c", "last"] == sorted(event["path"] for event in client.log.all("file.synced"))

    def test_sync_now(self, pair: Pair) -> None:
        """SyncNow answers when nothing changed, too, and finds what happened to the replica."""
        pair.server()
        build(pair.source, {"a": "1"})
        client = pair.client(**QUIET)
        with Wire(client.address) as agent:
            first = agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse)
            (pair.replica / "a").write_text("edited by hand")
            second = agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse)

        assert first.in_sync
        assert second.in_sync
        assert differences(pair.source, pair.replica) == []


class TestStorm:
    """More happens than can be followed one by one."""

    def test_saves_are_batched(self, pair: Pair, proxy: Proxy) -> None:
        """Saves that come while a push is in flight are taken together: however many they are, each file goes once."""
        pair.server()
        build(pair.source, {f"f{number}": "0" for number in range(10)})
        client = pair.client(server=proxy.address, **QUIET)
        mark = client.log.mark()
        proxy.freeze()
        for number in range(500):
            save(pair.source / f"f{number % 10}", str(number))
        proxy.thaw()
        wait_until_equal(pair)

        client.wait_until_in_sync()
        synced = [event["path"] for event in client.log.all("file.synced", since=mark)]
        assert {f"f{number}" for number in range(10)} <= set(synced)
        assert len(synced) <= 40  # each file once for what was in flight, and once or twice for all the rest
        assert len(client.log.all("sync.completed", since=mark)) <= 3

    def test_saves_lose_nothing(self, pair: Pair) -> None:
        """Thousands of saves as fast as they can be made end with the last of each, and no guard mistakes them."""
        pair.server()
        build(pair.source, {f"f{number}": "0" for number in range(10)})
        client = pair.client(**QUIET)
        for number in range(1500):
            save(pair.source / f"f{number % 10}", str(number))
        wait_until_equal(pair)

        client.wait_until_in_sync()
        assert [] == client.log.all("guard.held")

    def test_requests_share_a_run(self, pair: Pair) -> None:
        """Many who ask for a sync at the same time get one or two, not as many as they are."""
        pair.server()
        build(pair.source, {f"d{number % 50}/f{number}": "x" for number in range(500)})
        client = pair.client(**QUIET)
        mark = client.log.mark()
        answers: list[bool] = []

        def ask() -> None:
            with Wire(client.address) as agent:
                answers.append(agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse).in_sync)

        threads = [threading.Thread(target=ask) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [True] * 10 == answers
        assert 1 <= len(client.log.all("rescan.completed", since=mark)) < 10

    def test_thousands_at_once(self, pair: Pair) -> None:
        """Thousands of files that appear and change while earlier ones are sent all arrive."""
        pair.server()
        client = pair.client(**QUIET)
        build(pair.source, {f"d{number % 40}/f{number}": f"first {number}" for number in range(1000)})
        build(pair.source, {f"d{number % 40}/f{number}": f"second {number}" for number in range(0, 1000, 3)})
        shutil.rmtree(pair.source / "d7")
        (pair.source / "d8").rename(pair.source / "moved")
        wait_until_equal(pair)

        client.wait_until_in_sync()


class TestServerRestart:
    """The server goes and comes back."""

    def test_changes_made_meanwhile(self, pair: Pair) -> None:
        """What changed while the server was away arrives when it is back; until then it is asked ever more rarely."""
        server = pair.server()
        build(pair.source, {"a": "1", "b": "2", "c/d": "3"})
        client = pair.client(**QUIET)
        server.stop()
        client.wait_for("connection.lost")
        build(pair.source, {"a": "changed", "new": "n"})
        (pair.source / "b").unlink()
        until(lambda: client.status()["last_error"] != "", "the status tells of it")
        assert 5 == client.command("status").code
        until(lambda: client.get("/readyz").status == 503, "not ready")
        until(lambda: client.metrics().value("dirsync_reconnects_total") >= 3, "three attempts")
        pair.server()
        client.wait_for("connection.restored", seconds=30)
        wait_until_equal(pair)

        client.wait_until_in_sync()
        until(lambda: client.get("/readyz").status == 200, "ready")
        assert client.metrics().value("dirsync_reconnects_total") < 20

    def test_nothing_is_sent_twice(self, pair: Pair) -> None:
        """A server that kept its state, or even lost it, is sent nothing that it has."""
        server = pair.server(shutdown_grace=PATIENT)
        build(pair.source, {f"d/f{number}": "x" * 1000 for number in range(50)})
        client = pair.client(**QUIET)
        for state in ("kept", "lost"):
            server.stop()  # although the client has only just come back
            if state == "lost":
                shutil.rmtree(pair.place / "server-state")
            mark = client.log.mark()
            server = pair.server(shutdown_grace=PATIENT)
            client.wait_for("connection.restored", since=mark, seconds=30)
            completed = client.wait_for("sync.completed", since=mark)

            assert (0, 0, 0) == (completed["files"], completed["deletes"], completed["literal_bytes"])

    def test_killed_in_an_upload(self, pair: Pair) -> None:
        """A server that is killed with half a file leaves nothing of it in the replica, and the next one no trace."""
        server = pair.server()
        build(pair.source, {"a": "1"})
        client = pair.client(compression="none", bandwidth_limit="12MiB", **QUIET)
        build(pair.source, {"large": b"\7" * LARGE})
        wait_until_staged(pair, 1 << 20)
        server.kill()

        assert {"a"} == look(pair.replica).keys()
        pair.server()
        assert kept_alone(pair)
        wait_until_equal(pair)
        client.wait_until_in_sync()


class TestEnd:
    """SIGTERM and SIGINT."""

    def test_client_in_an_upload(self, pair: Pair) -> None:
        """A client that is asked to end in the middle of a large file does so in time and leaves nothing partial."""
        server = pair.server()
        build(pair.source, {"a": "1"})
        client = pair.client(compression="none", bandwidth_limit="2MiB", shutdown_grace="3s", **QUIET)
        build(pair.source, {"large": b"\7" * LARGE})
        wait_until_staged(pair, 1 << 20)
        client.signal(signal.SIGTERM)

        assert 0 == client.wait()
        stopped = client.log.wait_for("client.stopped")
        assert (1, ["large"], True) == (stopped["left"], stopped["paths"], stopped["looked"])
        assert {"a"} == look(pair.replica).keys()
        until(lambda: kept_alone(pair), "nothing staged but what can be continued")
        assert [] == client.log.complaints()
        until(lambda: server.metrics().value("dirsync_sessions") == 0, "no session")

    @pytest.mark.case("A10")
    def test_server_in_an_upload(self, pair: Pair) -> None:
        """A server that is asked to end in the middle of a large file does so in time and leaves nothing partial."""
        server = pair.server(shutdown_grace="3s")
        build(pair.source, {"a": "1"})
        client = pair.client(compression="none", bandwidth_limit="2MiB", **QUIET)
        build(pair.source, {"large": b"\7" * LARGE})
        wait_until_staged(pair, 1 << 20)
        server.signal(signal.SIGTERM)

        assert 0 == server.wait()
        assert {"a"} == look(pair.replica).keys()
        assert kept_alone(pair)
        client.wait_for("connection.lost")

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
    def test_idle(self, pair: Pair, number: signal.Signals) -> None:
        """Both programs end at once, while a stream stands open between them, on either signal."""
        server = pair.server(shutdown_grace=PATIENT)
        build(pair.source, {"a": "1"})
        client = pair.client(shutdown_grace=PATIENT, **QUIET)
        server.signal(number)
        client.signal(number)

        assert (0, 0) == (server.wait(), client.wait())

    def test_while_the_server_is_away(self, pair: Pair) -> None:
        """A client that never found a server ends as well as any other."""
        build(pair.source, {"a": "1"})
        client = pair.client(synced=False, shutdown_grace="2s", **QUIET)
        client.wait_for("connection.lost")
        client.stop()

        stopped = client.log.wait_for("client.stopped")
        assert (1, ["a"]) == (stopped["left"], stopped["paths"])
        assert "connect" in str(stopped["problem"])


class TestGrowth:
    """Nothing piles up."""

    def test_reconnects(self, pair: Pair, proxy: Proxy) -> None:
        """Broken connections leave no threads, descriptors or sessions behind, on either side."""
        server = pair.server()
        build(pair.source, {"a": "1"})
        client = pair.client(server=proxy.address, **QUIET)
        before: list[tuple[int, int]] = []
        for number in range(RECONNECTS):
            mark = client.log.mark()
            proxy.cut()
            client.wait_for("session.opened", since=mark)
            build(pair.source, {"a": f"after cut {number}"})
            client.wait_for("file.synced", since=mark)
            if number == RECONNECTS // 3:
                before = [weight(server), weight(client)]

        until(lambda: not grown(before, [weight(server), weight(client)]), f"back to {before}")
        assert 1 == server.metrics().value("dirsync_sessions")
        assert client.metrics().value("dirsync_reconnects_total") >= RECONNECTS
        assert differences(pair.source, pair.replica) == []

    def test_watchers_of_events(self, pair: Pair) -> None:
        """Readers of the event stream that go away leave no threads behind."""
        pair.server()
        build(pair.source, {"a": "1"})
        client = pair.client(**QUIET)
        before: list[tuple[int, int]] = []
        for number in range(RECONNECTS):
            watch_until_something_happens(pair, client)
            if number == RECONNECTS // 3:
                before = [weight(client)]

        until(lambda: not grown(before, [weight(client)]), f"back to {before}")


def watch_until_something_happens(pair: Pair, client: Client) -> None:
    """Read the agent's events until there is one, and go away in the middle."""
    with grpc.insecure_channel(client.address) as channel:
        method: Any = channel.unary_stream(AGENT + "WatchEvents")
        stream = method(b"")
        read = threading.Thread(target=next, args=(stream,))
        read.start()

        def change_and_look() -> bool:
            build(pair.source, {"a": str(time.monotonic_ns())})
            return not read.is_alive()

        until(change_and_look, "an event in the stream")
        stream.cancel()


def weight(process: Process) -> tuple[int, int]:
    """Threads and open files of a process."""
    return process.threads(), len(os.listdir(f"/proc/{process.pid}/fd"))


def grown(before: list[tuple[int, int]], after: list[tuple[int, int]]) -> bool:
    """Whether there is more than chance explains: pools and caches breathe."""
    slack = 4
    return any(
        now > then + slack for old, new in zip(before, after, strict=True) for then, now in zip(old, new, strict=True)
    )
