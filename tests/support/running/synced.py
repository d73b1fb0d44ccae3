"""What a client reports of its syncs, and the proof that both sides are equal.

The proof does not take a program's word for anything: the trees are compared here, byte by byte, and both programs have
to say, after reading everything again, that they found the same.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dirsync.v1 import agent_service_pb2 as apb
from dirsync.v1 import replica_service_pb2 as rpb
from tests.support.peers.wire import AGENT, REPLICA, Wire
from tests.support.running.log import Event
from tests.support.running.programs import Client, Pair, Result, Server
from tests.support.running.waiting import until
from tests.support.trees.trees import build, differences, equal


class Way(NamedTuple):
    """How something was brought to the replica."""

    strategy: str
    reason: str


class Done(NamedTuple):
    """What one or more syncs did: sums of what ``file.synced`` says of each file, and moved directory."""

    ways: Mapping[str, Way]
    """By path, the last one of each."""
    size: int
    literal: int
    """Bytes of content that were sent, before compression."""
    saved: int

    def paths(self, strategy: str) -> tuple[str, ...]:
        """The paths that were brought over in this way, in byte order."""
        return tuple(sorted(path for path, way in self.ways.items() if way.strategy == strategy))

    @property
    def strategies(self) -> dict[str, str]:
        """The strategy of each path."""
        return {path: way.strategy for path, way in self.ways.items()}


def done(events: Iterable[Event], below: str = "") -> Done:
    """What these events of a log tell of paths that begin with ``below``, which is left out of them."""
    synced = [event for event in events if event["event"] == "file.synced" and event["path"].startswith(below)]
    ways = {event["path"][len(below) :]: Way(event["strategy"], event["reason"]) for event in synced}
    size, literal, saved = (sum(event[field] for event in synced) for field in ("size", "literal_bytes", "saved_bytes"))
    return Done(ways, size, literal, saved)


def synced(result: Result) -> Done:
    """What a ``once`` did that went well."""
    assert result.code == 0, result
    return done(result.events)


def prove_equal(pair: Pair, **settings: Any) -> None:
    """Fail unless source and replica are equal, and both programs find so when they read everything again."""
    assert differences(pair.source, pair.replica) == []
    verified = pair.command("verify", "--deep", "--json", **settings)

    assert verified.code == 0, verified
    assert verified.json["source_digest"] == verified.json["replica_digest"]


def wait_until_agreed(pair: Pair, client: Client, server: Server, *, seconds: float = 15.0) -> None:
    """Return when the trees are equal on disk and both programs name the same root digest for them.

    By then the client has logged what it did: the last thing that it is made to do here is told too.
    """
    until(lambda: equal(pair.source, pair.replica), "replica equal to the source", seconds=seconds)
    mark = client.log.mark()
    build(pair.source, {".agreed": f"{mark}"})
    client.wait_for("file.synced", since=mark, seconds=seconds, path=".agreed")
    until(lambda: _agree(client, server), "both programs name the same digest", seconds=seconds)

    assert differences(pair.source, pair.replica) == []


def _agree(client: Client, server: Server) -> bool:
    with Wire(client.address) as agent, Wire(server.address) as replica:
        ours = agent.ask(AGENT + "GetStatus", apb.AgentServiceGetStatusRequest(), apb.AgentServiceGetStatusResponse)
        theirs = replica.ask(
            REPLICA + "GetStatus", rpb.ReplicaServiceGetStatusRequest(), rpb.ReplicaServiceGetStatusResponse
        )
    return ours.in_sync and ours.source_digest_hex == ours.replica_digest_hex == theirs.root_digest_hex
