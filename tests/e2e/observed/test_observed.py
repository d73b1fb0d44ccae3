"""What both services show of themselves: metrics that add up, health, a page."""

import json
import os

import jsonschema  # type: ignore[import-untyped] # it has no types
import pytest

from dirsync.limits import KIB
from tests.support.running.metrics import Samples
from tests.support.running.programs import Pair, Process
from tests.support.running.status_schema import schema_of
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes, text
from tests.support.trees.trees import File, Spec, build, differences

pytestmark = pytest.mark.programs

SAVED_BEFORE_LITERAL = ("delta", "dedup", "rename", "unchanged")
TREE: Spec = {
    "text": text(300 * KIB),
    "noise": File(random_bytes(200 * KIB)),
    **{f"d/{number}": text(number * 100) for number in range(50)},
}


def live(pair: Pair) -> tuple[Process, Process]:
    """Both programs, after a first sync, a touch, an edit and a delete."""
    server = pair.server()
    build(pair.source, TREE)
    pair.once()
    (pair.place / "client-state" / "index.sqlite").unlink()
    client = pair.client()
    build(pair.source, {"d/7": random_bytes(3 * KIB), "new": text(100 * KIB), "d/sub/": None})
    (pair.source / "d/8").unlink()
    os.utime(pair.source / "noise", ns=(0, 10**18))
    client.wait_for("file.deleted", path="d/8")
    client.wait_for("file.synced", path="noise")
    client.wait_for("sync.completed", since=client.log.events.index(client.wait_for("file.deleted")))

    assert [] == differences(pair.source, pair.replica)
    return server, client


class TestIdentities:
    """Both identities of the byte counters, after real work."""

    def test_client(self, pair: Pair) -> None:
        """Logical = literal + saved before; literal = payload sent + saved by compression; payload is on the wire."""
        _, client = live(pair)
        samples = client.metrics()
        saved = samples.sums("dirsync_saved_bytes_total", "reason")
        logical, literal = (samples.value(f"dirsync_{name}_bytes_total") for name in ("logical", "literal"))
        sent = samples.value("dirsync_wire_bytes_total", direction="sent")

        assert 0 < saved["unchanged"]
        assert 0 < saved["compression"] < literal
        assert logical == literal + sum(saved[reason] for reason in SAVED_BEFORE_LITERAL)
        assert literal - saved["compression"] == pytest.approx(sent, abs=4 * KIB)

    def test_server(self, pair: Pair) -> None:
        """The server's counters fulfil the same identities with what came in over the wire."""
        server, _ = live(pair)
        samples = server.metrics()
        saved = samples.sums("dirsync_saved_bytes_total", "reason")
        logical, literal = (samples.value(f"dirsync_{name}_bytes_total") for name in ("logical", "literal"))
        received = samples.value("dirsync_wire_bytes_total", direction="received")

        assert 0 < saved["compression"] < literal
        assert logical == literal + sum(saved[reason] for reason in SAVED_BEFORE_LITERAL)
        assert literal - saved["compression"] == pytest.approx(received, abs=12 * KIB)

    def test_sums_of_the_log(self, pair: Pair) -> None:
        """The sum of ``file.synced`` of all files is in ``sync.completed``."""
        pair.server()
        build(pair.source, TREE)
        result = pair.once()
        total = result.event("sync.completed")
        files = [event for event in result.events if event["event"] == "file.synced"]

        assert len(TREE) == len(files) == total["files"] - 1  # the directory counts among what was brought over
        for field in ("literal_bytes", "saved_bytes"):
            assert sum(event[field] for event in files) == total[field]
        assert sum(event["size"] for event in files) == total["logical_bytes"]


class TestExposition:
    """``/metrics`` as a scraper sees it."""

    def test_state(self, pair: Pair) -> None:
        """Gauges say what is: in sync, entries, no problems, a session, watches."""
        server, client = live(pair)
        ours, theirs = client.metrics(), server.metrics()
        entries = sum(1 for _ in pair.source.rglob("*"))

        assert 1 == ours.value("dirsync_in_sync")
        assert entries == ours.value("dirsync_entries") == theirs.value("dirsync_entries")
        assert 0 == ours.value("dirsync_pending_changes") == ours.value("dirsync_holds")
        assert 3 == ours.value("dirsync_watches")
        assert 1 == theirs.value("dirsync_sessions")
        assert 1 == ours.value("dirsync_changes_applied_total", operation="delete", outcome="applied")
        assert 0 < ours.value("dirsync_last_success_timestamp_seconds")
        assert 0 < theirs.value("grpc_server_handled_total", **_method("OpenSession", "unary"))

    def test_sides(self, pair: Pair) -> None:
        """A service shows no metric that only the other one could set."""
        server, client = pair.server(), pair.client()
        ours, theirs = client.metrics().names, server.metrics().names
        own = {"dirsync_in_sync", "dirsync_pending_changes", "dirsync_problems", "dirsync_holds"}

        assert own < ours
        assert not own & theirs
        assert "dirsync_sessions" in theirs - ours
        assert "dirsync_rejected_total" in theirs & ours

    def test_index_lookups(self, pair: Pair) -> None:
        """A restart finds every unchanged file in its index; a changed one is stale, a new one is missed."""
        pair.server().stop()
        build(pair.source, TREE)
        pair.server()
        pair.once()
        build(pair.source, {"text": "changed", "new": "x"})
        samples = pair.client().metrics()
        found = {
            result: samples.value("dirsync_cache_lookups_total", cache="index", result=result)
            for result in ("hit", "miss", "stale")
        }

        assert {"hit": len(TREE) - 1, "miss": 1, "stale": 1} == found

    @pytest.mark.case("L08")
    def test_cardinality(self, pair: Pair) -> None:
        """The series are all there from the start and stay as many; no label has anything of a path or peer."""
        server = pair.server()
        build(pair.source, TREE)
        before = server.metrics()
        pair.once()
        pair.once(namespace="nobody")
        after = server.metrics()

        assert before.keys == after.keys
        assert not [name for name in after.names if name.endswith("_created")]
        assert not {"d/7", "noise", "nobody"} & _label_values(after)


class TestHttp:
    """The HTTP port of both services."""

    def test_pages(self, pair: Pair) -> None:
        """Liveness, readiness, a status page, and nothing else."""
        server = pair.server()
        client = pair.client()
        until(lambda: client.get("/readyz").status == 200, "the client says that it is ready")
        for process in (server, client):
            answers = {path: process.get(path) for path in ("/livez", "/readyz", "/", "/metrics", "/etc/passwd")}

            assert [200, 200, 200, 200, 404] == [answer.status for answer in answers.values()]
            assert "text/html" == answers["/"].kind
            assert "<title>dirsync</title>" in answers["/"].body

    def test_status_document(self, pair: Pair) -> None:
        """``/status.json`` of a real pair is as its schema says, and agrees with the metrics."""
        server, client = live(pair)
        ours, theirs = (json.loads(process.get("/status.json").body) for process in (client, server))
        samples = client.metrics()
        for document in (ours, theirs):
            jsonschema.validate(document, schema_of(document["service"]))

        assert ("in_sync", "serving") == (ours["verdict"]["state"], theirs["verdict"]["state"])
        assert ours["traffic"]["saved_bytes"] == samples.sums("dirsync_saved_bytes_total", "reason")
        assert ours["traffic"]["files"] == samples.sums("dirsync_files_transferred_total", "strategy")
        assert ours["sync"]["source_digest"] == ours["sync"]["replica_digest"]
        assert "file.deleted" in {event["event"] for event in ours["events"]["shown"]}
        (namespace,) = theirs["namespaces"]["shown"]
        assert ours["sync"]["entries"] == namespace["entries"]
        assert namespace["writer"]
        assert namespace["last_change"] is not None

    def test_no_page(self, pair: Pair) -> None:
        """With ``STATUS_PAGE=false`` neither the page nor the document is there; health and metrics are."""
        server = pair.server(status_page=False)
        client = pair.client(status_page=False)
        for process in (server, client):
            answers = [process.get(path).status for path in ("/", "/status.json", "/livez", "/metrics")]

            assert [404, 404, 200, 200] == answers

    def test_not_ready_without_server(self, pair: Pair) -> None:
        """A client that cannot reach its server lives, is not ready, says why, and becomes ready when it can."""
        client = pair.client(synced=False)
        client.wait_for("connection.lost")
        lost = client.get("/readyz")
        alive = client.get("/livez")
        pair.server()
        client.wait_for("sync.completed", seconds=45)

        assert (503, 200) == (lost.status, alive.status)
        assert lost.body.strip()
        assert client.status()["in_sync"]


def _method(name: str, kind: str) -> dict[str, str]:
    return {"grpc_type": kind, "grpc_service": "dirsync.v1.SyncService", "grpc_method": name, "grpc_code": "OK"}


def _label_values(samples: Samples) -> set[str]:
    return {value for _, labels in samples.keys for _, value in labels}
