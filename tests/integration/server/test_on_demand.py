"""A real server that opens its namespaces for the calls that name them, and lets them go."""

import pytest

from tests.support.peers.tenants import File
from tests.support.running.figures import descriptors
from tests.support.running.limited import limited
from tests.support.running.programs import Pair
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs


def test_a_namespace_is_there_while_it_is_used(pair: Pair) -> None:
    """It is opened for its client and closed after it with its descriptors; what it holds is there the next time."""
    file = File(pair.place).say("red").say("blue")
    token = pair.place / "token"
    token.write_text("red")
    token.chmod(0o600)
    (pair.source / "a").write_bytes(b"first")
    server = pair.server(
        tenants_file=file.path, namespace_idle="300ms", ready=False, prefix=limited(session_idle_seconds=0.5)
    )
    server.log.wait_for("server.started")
    until(lambda: server.get("/readyz").status == 200, "it is ready without a namespace")
    figures = []
    for content in (b"first", b"second"):
        (pair.source / "a").write_bytes(content)
        since = server.log.mark()
        result = pair.once(namespace="red", token_file=token)
        during = server.metrics().value("dirsync_open_namespaces")
        server.log.wait_for("namespace.closed", namespace="red", reason="idle", since=since)
        until(lambda: server.metrics().value("dirsync_open_namespaces") == 0, "none is open")
        figures.append(descriptors(server.pid))

        assert (0, 1) == (result.code, during)
        assert content == (pair.place / "red" / "a").read_bytes()
    opened = server.log.all("namespace.opened")

    assert [0, 1] == [event["entries"] for event in opened]
    assert figures[0] >= figures[1]
