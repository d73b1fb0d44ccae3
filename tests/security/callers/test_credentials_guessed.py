"""Guessing tokens: how often it is looked at, who else suffers, and what is said of it."""

from pathlib import Path
from typing import NamedTuple

import pytest

from dirsync.limits import LIMITS
from dirsync.v1 import agent_service_pb2 as apb
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync_client.agent.unix_socket import UnixSocket
from tests.support.peers.callers import Caller, End, bearer
from tests.support.peers.wire import AGENT, REPLICA
from tests.support.proxy import Proxy
from tests.support.running.programs import Client, Pair, Process, Server

pytestmark = pytest.mark.programs

TOKEN, AGENTS = "the-right-token", "the-agent-s-token"
STATUS = REPLICA + "GetStatus"
REQUEST = rpb.ReplicaServiceGetStatusRequest(namespace="default").SerializeToString()
GUESSES = LIMITS.auth_burst + 30


class World(NamedTuple):
    """A server and a client that runs, both on one address."""

    server: Server
    client: Client


@pytest.fixture
def world(pair: Pair) -> World:
    """The programs of a test; each starts with all attempts unused."""
    files = [pair.place / "token", pair.place / "agent-token"]
    for file, token in zip(files, (TOKEN, AGENTS), strict=True):
        file.write_text(token)
    server = pair.server(token_file=files[0])
    return World(server, pair.client(token_file=files[0], agent_token_file=files[1]))


def guess(caller: Caller, times: int = GUESSES, path: str = STATUS) -> set[End]:
    """The answers to that many wrong tokens."""
    return {caller.call(path, REQUEST, headers=[bearer(f"guess-{number}")]) for number in range(times)}


def starved(address: str, attacker: Caller) -> End:
    """What the right token gets on a new connection when no attempt is left."""
    end = End("OK", "", ())
    for _ in range(10):
        # On a slow machine an attempt may have come back in between.
        guess(attacker, 5)
        with Caller(address, bearer(TOKEN)) as newcomer:
            end = newcomer.call(STATUS, REQUEST)
        if end.code != "OK":
            break
    return end


def rejected(process: Process, reason: str) -> float:
    """How many calls a process has refused for this."""
    return process.metrics().value("dirsync_rejected_total", reason=reason)


@pytest.mark.case("K11")
def test_guessing(world: World, tmp_path: Path) -> None:
    """Only the first guesses are checked, all get one answer, and it is logged once; then not even the right one helps.

    A sync that runs beside the guesser goes on, and so do callers at other addresses.
    """
    server = world.server
    with Caller(server.address) as attacker:
        refusals = guess(attacker)
        looked_at, unheard = (rejected(server, reason) for reason in ("unauthenticated", "rate_limited"))
        right = {starved(server.address, attacker)}
        mark = world.client.log.mark()
        (world.client.source / "new").write_bytes(b"x" * 100_000)
        world.client.wait_for("file.synced", since=mark, path="new")
        refusals |= guess(attacker, 5)
    with Proxy(server.address, source="127.0.0.9") as proxy, Caller(proxy.address, bearer(TOKEN)) as elsewhere:
        other = elsewhere.call(STATUS, REQUEST)

    assert 1 == len(refusals | right), refusals | right
    assert "UNAUTHENTICATED" == refusals.pop().code
    # Attempts come back while we guess; on a slow machine some more are looked at.
    assert LIMITS.auth_burst <= looked_at <= GUESSES - unheard
    assert unheard >= 1
    assert "OK" == other.code
    told = server.log.all("auth.rejected", reason="RATE_LIMITED")

    assert ["127.0.0.1"] == [event["peer"] for event in told]
    assert "guess-" not in str(server.log.events)


@pytest.mark.case("K11")
def test_a_connection_s_own_token(world: World) -> None:
    """A connection that has shown the token is heard, with that one; one wrong token on it, and it is as any other."""
    server = world.server
    with Caller(server.address) as attacker, Caller(server.address) as proven:
        before = proven.call(STATUS, REQUEST, headers=[bearer(TOKEN)]).code
        guess(attacker)
        still = [proven.call(STATUS, REQUEST, headers=[bearer(TOKEN)]).code for _ in range(3)]
        wrong = guess(proven, 1).pop().code
        guess(attacker, 5)
        after = proven.call(STATUS, REQUEST, headers=[bearer(TOKEN)]).code

    assert ("OK", ["OK"] * 3) == (before, still)
    assert ("UNAUTHENTICATED", "UNAUTHENTICATED") == (wrong, after)


@pytest.mark.case("K11")
def test_the_agent_s_token(world: World) -> None:
    """An agent is no easier to guess at, and counts on its own: the client goes on syncing."""
    client = world.client
    with Caller(client.address) as attacker:
        refusals = guess(attacker, path=AGENT + "SyncNow")
        right = attacker.call(
            AGENT + "GetStatus", apb.AgentServiceGetStatusRequest().SerializeToString(), headers=[bearer(AGENTS)]
        )

    assert {right} == refusals
    assert rejected(client, "rate_limited") >= 1
    assert 0 == rejected(world.server, "unauthenticated")


@pytest.mark.case("K11")
def test_the_agent_s_socket(world: World) -> None:
    """The socket asks for the token too, and who guesses at the address does not keep the commands out."""
    client = world.client
    status = apb.AgentServiceGetStatusRequest().SerializeToString()
    with Caller(client.address) as attacker:
        refusals = guess(attacker, path=AGENT + "GetStatus")
    with UnixSocket(Path(str(client.settings["state_dir"]))) as socket, Caller(socket.target) as local:
        none = local.call(AGENT + "GetStatus", status)
        wrong = guess(local, 3, AGENT + "GetStatus")
        right = local.call(AGENT + "GetStatus", status, headers=[bearer(AGENTS)])

    assert {none} == wrong == refusals
    assert ("UNAUTHENTICATED", "OK") == (none.code, right.code)
    assert 0 == client.command("status").code
