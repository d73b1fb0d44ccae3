"""Several writers, several servers: who may write a replica, and what happens to a client that no longer may."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers.operations import batch, commit, digest, put
from tests.support.peers.wire import SYNC, Wire, stream_open
from tests.support.proxy import Proxy
from tests.support.running.ports import free_port
from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build, differences, equal, look

LARGE = 64 << 20
"""Bytes of a file that is still on its way when a test acts."""
TAKEOVER_SECONDS = 5.0
"""How soon a client has its replica again; a third of the time for which a silent session keeps others out."""


def wait_until_equal(source: Path, replica: Path, seconds: float = 15.0) -> None:
    """Return when the replica is what the source is."""
    until(lambda: equal(source, replica), "replica equal to the source", seconds=seconds)


def other_client(pair: Pair, **settings: str) -> dict[str, Any]:
    """Settings of another client: source, state and agent are its own."""
    source = pair.place / "other"
    source.mkdir(exist_ok=True)
    own = {"source": source, "state_dir": pair.place / "other-state", "listen": f"127.0.0.1:{free_port()}"}
    return {**own, **settings}


@pytest.fixture
def proxy(pair: Pair) -> Iterator[Proxy]:
    """A relay to the pair's server."""
    with Proxy(pair.server_address) as proxy:
        yield proxy


def frozen_in_an_upload(pair: Pair, proxy: Proxy, **settings: Any) -> Client:
    """A client that runs behind the relay, with a large file half sent when everything stops flowing."""
    build(pair.source, {"first": "1"})
    client = pair.client(server=proxy.address, compression="none", **settings)
    sent = proxy.sent
    build(pair.source, {"large": b"\7" * LARGE, "small": "committed before or never"})
    until(lambda: proxy.sent > sent + (1 << 20), "a part of the file on its way")
    proxy.freeze()
    return client


class TestTwoClients:
    """Two clients that want one replica."""

    @pytest.mark.case("H01")
    def test_second_is_refused(self, pair: Pair) -> None:
        """While one client writes, another is refused with a reason, changes nothing, and the first goes on."""
        server = pair.server()
        build(pair.source, {"a": "1"})
        first = pair.client()
        mark = first.log.mark()
        other = other_client(pair)
        build(other["source"], {"b": "2"})
        result = pair.once(**other)

        assert 1 == result.code
        assert "another client is the writer" in result.messages[-1]
        assert "REPLICA_BUSY" == result.event("connection.lost")["reason"]
        server.log.wait_for("request.rejected", reason="REPLICA_BUSY")
        assert 1 == server.metrics().sums("grpc_server_handled_total", "grpc_code")["FailedPrecondition"]
        assert {"a"} == look(pair.replica).keys()
        build(pair.source, {"c": "3"})
        wait_until_equal(pair.source, pair.replica)
        assert [] == first.log.all("connection.lost", since=mark)

    @pytest.mark.case("H01")
    def test_second_takes_over_when_the_first_stops(self, pair: Pair) -> None:
        """A client that waits for the replica gets it as soon as the first has said goodbye."""
        pair.server()
        build(pair.source, {"same": "1"})
        first = pair.client()
        other = other_client(pair)
        build(other["source"], {"same": "1", "b": "2"})
        second = pair.client(synced=False, **other)
        second.wait_for("connection.lost", reason="REPLICA_BUSY")
        first.stop()
        second.wait_for("sync.completed")

        assert differences(other["source"], pair.replica) == []


class TestZombie:
    """A writer that lost its replica without knowing it."""

    @pytest.mark.case("H02")
    def test_commits_nothing(self, pair: Pair, proxy: Proxy) -> None:
        """Thawed after another process of its name took over, it publishes nothing that it had sent, and stays out."""
        pair.server()
        zombie = frozen_in_an_upload(pair, proxy, client_id="writer")
        other = other_client(pair, client_id="writer")
        build(other["source"], {"first": "1", "second": "from the newer process"})
        newer = pair.client(**other)
        mark = zombie.log.mark()
        proxy.thaw()
        zombie.wait_for("connection.lost", since=mark, reason="SESSION_SUPERSEDED")

        assert not (pair.replica / "large").exists()
        wait_until_equal(other["source"], pair.replica)
        build(other["source"], {"third": "and it goes on"})
        newer.wait_for("file.synced", path="third")
        assert [] == newer.log.all("connection.lost")

    @pytest.mark.case("H02")
    def test_aborted_at_commit(self, pair: Pair) -> None:
        """Whatever an old session had staged, its commit is refused, and each later call of it is ABORTED."""
        pair.server()
        with Wire(pair.server_address) as wire:
            old = wire.open_session(instance_id="old")
            push = wire.push(old.session_id).send(batch(put(1, b"a", b"from the old")), commit())
            push.receive()
            push.send(batch(put(2, b"b", b"from the old")))
            new = wire.open_session(instance_id="new")
            responses, status = push.send(commit()).drain()

            assert [] == responses
            assert status.code in ("ABORTED", "CANCELLED")
            again = wire.stream(SYNC + "PushChanges", [stream_open(old.session_id), commit()])
            assert ("ABORTED", "SESSION_SUPERSEDED") == (again.status.code, again.status.reason)
            assert new.generation > old.generation
            push = wire.push(new.session_id).send(batch(put(1, b"c", b"from the new")), commit())
            assert (1, []) == ((answer := push.receive()).settled_number, list(answer.failures))
        assert {"a", "c"} == look(pair.replica).keys()


class TestTwoServers:
    """Two servers with one replica."""

    @pytest.mark.case("H03")
    def test_second_is_refused(self, pair: Pair) -> None:
        """A second server on a replica refuses to start, whatever its port and state; the first serves on."""
        pair.server()
        build(pair.source, {"a": "1"})
        second = pair.server(
            ready=False, listen=f"127.0.0.1:{free_port()}", state_dir=pair.place / "second-server-state"
        )
        second.excused = True

        assert 2 == second.wait()
        (line,) = second.log.messages
        assert "DIRSYNC_SERVER_ROOT" in line
        assert str(pair.replica) in line
        assert 0 == pair.once().code
        assert differences(pair.source, pair.replica) == []

    @pytest.mark.case("H03")
    def test_killed_holds_nothing(self, pair: Pair) -> None:
        """A server that was killed does not keep the next one out."""
        first = pair.server()
        first.kill()
        pair.server()
        build(pair.source, {"a": "1"})

        assert 0 == pair.once().code


class TestReturn:
    """A client that comes back while the server still believes in its old session."""

    @pytest.mark.case("H04")
    def test_after_a_crash(self, pair: Pair, proxy: Proxy) -> None:
        """Restarted after a crash that the server does not know of, it has its replica at once; its upload is gone."""
        server = pair.server()
        crashed = frozen_in_an_upload(pair, proxy)
        crashed.kill()
        (pair.source / "large").unlink()
        again = pair.client(synced=False)
        again.wait_for("sync.completed", seconds=TAKEOVER_SECONDS)

        assert differences(pair.source, pair.replica) == []
        until(lambda: server.metrics().value("dirsync_sessions") == 1, "one session")
        until(lambda: list(pair.place.glob(".replica.dirsync-staging/*")) == [], "nothing staged")

    @pytest.mark.case("H04")
    def test_after_a_cut(self, pair: Pair, proxy: Proxy) -> None:
        """The same process with a new connection has its replica at once, and ends what it had begun."""
        server = pair.server()
        client = frozen_in_an_upload(pair, proxy)
        mark = client.log.mark()
        proxy.thaw()
        proxy.cut()
        client.wait_for("connection.lost", since=mark)
        client.wait_for("connection.restored", since=mark, seconds=TAKEOVER_SECONDS)
        wait_until_equal(pair.source, pair.replica)

        until(lambda: server.metrics().value("dirsync_sessions") == 1, "one session")
        assert digest(b"\7" * LARGE).hex() == look(pair.replica)["large"].content

    @pytest.mark.case("H04")
    def test_stopped_and_continued(self, pair: Pair) -> None:
        """A process that was stopped while another of its client took over ends its own session, not the newer one."""
        pair.server()
        build(pair.source, {"a": "1"})
        stopped = pair.client(client_id="writer")
        stopped.signal(signal.SIGSTOP)
        other = other_client(pair, client_id="writer")
        build(other["source"], {"a": "1", "b": "2"})
        newer = pair.client(**other)
        stopped.signal(signal.SIGCONT)
        stopped.wait_for("connection.lost", reason="SESSION_SUPERSEDED")
        build(other["source"], {"c": "3"})
        newer.wait_for("file.synced", path="c")

        assert differences(other["source"], pair.replica) == []
        assert [] == newer.log.all("connection.lost")
