"""The events of a whole life of both programs, each held against its schema: whatever is not documented fails.

The programs of all other tests are held against it too (:mod:`tests.support.running.log`); here it is one run with
everything in it that people see, and the test knows which events that has to have.
"""

import pytest

from dirsync.limits import KIB
from tests.support.faults.privileges import without_override
from tests.support.running.events import faults
from tests.support.running.programs import Client, Pair, Server
from tests.support.trees.content import random_bytes, text
from tests.support.trees.trees import File, build, differences

pytestmark = [pytest.mark.programs, pytest.mark.needs("modes")]

CLIENT = {
    *("config.effective", "client.started", "session.opened", "sync.started", "sync.completed", "rescan.completed"),
    *("file.synced", "file.deleted", "file.problem", "guard.held", "guard.released"),
    *("connection.lost", "connection.restored", "session.closed", "client.stopping", "client.stopped"),
}
SERVER = {
    *("config.effective", "server.started", "rescan.completed", "session.opened", "session.closed"),
    *("auth.rejected", "request.rejected", "config.reloaded", "server.stopping"),
}


def live(pair: Pair, log_level: str) -> tuple[list[Server], Client]:
    """First sync, live edits, a delta, a rename, a problem, a hold, its approval, a new server, the end."""
    token = pair.place / "token"
    token.write_text("right\n")
    wrong = pair.place / "wrong"
    wrong.write_text("wrong\n")
    servers = [pair.server(token_file=token)]
    build(
        pair.source, {"large": File(random_bytes(500 * KIB)), **{f"d/{number}": text(number) for number in range(30)}}
    )
    client = pair.client(
        prefix=without_override(),
        token_file=token,
        guard_max_delete_count=5,
        delete_settle="100ms",
        log_level=log_level,
    )
    with (pair.source / "large").open("r+b") as file:
        file.write(random_bytes(10, 1))
    client.wait_for("file.synced", path="large", strategy="delta")
    (pair.source / "d/0").rename(pair.source / "moved")
    client.wait_for("file.synced", path="moved", strategy="rename")
    build(pair.source, {"closed": File(b"x", 0)})
    client.wait_for("file.problem", path="closed")
    (pair.source / "d/1").unlink()
    client.wait_for("file.deleted", path="d/1")
    for number in range(2, 20):
        (pair.source / f"d/{number}").unlink()
    held = client.wait_for("guard.held")
    assert 0 == client.command("approve", held["hold"]).code
    client.wait_for("guard.released")
    pair.command("plan", token_file=wrong)
    token.write_text("other\n")
    pair.command("plan", token_file=wrong)
    token.write_text("right\n")
    servers[0].stop()
    client.wait_for("connection.lost")
    servers.append(pair.server(token_file=token))
    client.wait_for("connection.restored", seconds=30)
    (pair.source / "closed").chmod(0o644)
    client.wait_until_in_sync()
    second = pair.command("plan", token_file=token, namespace="nobody")
    assert 0 != second.code
    client.stop()
    servers[1].stop()
    return servers, client


@pytest.mark.parametrize("level", ["info", "debug"])
def test_whole_life(pair: Pair, level: str) -> None:
    """Every event of both programs is as documented, and all are there that such a life has."""
    servers, client = live(pair, level)
    seen = [event for server in servers for event in server.log.events], client.log.events

    assert [] == differences(pair.source, pair.replica)
    assert [] == [fault for events in seen for event in events for fault in faults(event)]
    assert SERVER - {"request.rejected"} <= {event["event"] for event in seen[0]}
    assert CLIENT <= {event["event"] for event in seen[1]}


def test_once(pair: Pair) -> None:
    """A single sync logs the same events, with the same fields."""
    pair.server()
    build(pair.source, {"a": "1", "d/b": "2"})
    events = pair.once().events
    (pair.source / "a").unlink()
    events += pair.once().events

    assert [] == [fault for event in events for fault in faults(event)]
    assert {"sync.completed", "file.synced", "file.deleted"} <= {event["event"] for event in events}
