"""One pass through both programs and their commands: that each is wired to what the other tests prove in detail."""

import signal

import pytest

from tests.support.running.programs import Pair
from tests.support.trees.trees import build, differences


@pytest.mark.parametrize("compression", ["none", "auto"])
def test_first_sync(pair: Pair, compression: str) -> None:
    """``once`` mirrors and ends; a second one finds nothing to do."""
    pair.server()
    build(pair.source, {"d/a": "1", "large": "x" * 300_000})
    first = pair.once(compression=compression)
    second = pair.once(compression=compression)

    assert (0, 0) == (first.code, second.code)
    assert (3, 0) == (first.event("sync.completed")["files"], second.event("sync.completed")["files"])
    assert [] == differences(pair.source, pair.replica)


def test_live(pair: Pair) -> None:
    """A change comes through live, a lost server comes back, and every command answers."""
    server = pair.server()
    build(pair.source, {"a": "1"})
    client = pair.client()
    build(pair.source, {"d/b": "2"})
    client.wait_for("file.synced", path="d/b")
    server.stop()
    client.wait_for("connection.lost")
    server = pair.server()
    client.wait_for("connection.restored", seconds=30)
    client.wait_until_in_sync()
    codes = {name: client.command(name).code for name in ("status", "plan", "verify")}
    answers = {process.get(path).status for process in (client, server) for path in ("/livez", "/readyz", "/metrics")}

    assert {"status": 0, "plan": 0, "verify": 0} == codes
    assert {200} == answers
    assert [] == differences(pair.source, pair.replica)
    for process in (client, server):
        process.signal(signal.SIGTERM)
        assert 0 == process.wait()
