"""What a server's page says at one moment, and what it does not say."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it has no types
import pytest

from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import Replica, ReplicaPolicy
from dirsync.limits import LIMITS
from dirsync.location import Location
from dirsync.runtime.config.fields import MAX_SIZE
from dirsync.runtime.config.settings import effective
from dirsync.runtime.http.health import HealthState
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.catalogue import SERVER_CATALOGUE
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.runtime.page.document import MAX_BYTES
from dirsync.tree.options import TreeOptions
from dirsync.wire.session import OpenRequest, SessionMode
from dirsync_server.sessions import Sessions
from dirsync_server.settings import ServerSettings
from dirsync_server.status_page import SHOWN, StatusPage
from tests.support.running.status_schema import schema_of

NAMES = ("photos", "books")
QUOTA = Quota(max_file_size=100, max_bytes=MAX_SIZE, max_entries=10, min_free_bytes=0)


class Bench:
    """The page of a server with two replicas, of which one has a writer."""

    def __init__(self, place: Path) -> None:
        policy = ReplicaPolicy(QUOTA)
        self.replicas: Mapping[str, Replica] = {name: _replica(place, name, policy) for name in NAMES}
        self.sessions = Sessions(4)
        self.health = HealthState("the replica is being read")
        self.metrics = PrometheusMetrics((), SERVER_CATALOGUE)
        self.sessions.open(OpenRequest("photos", "camera", "1", TreeOptions(), Location("", ())), 1)

    def document(self, replicas: Mapping[str, Replica] | None = None, **flags: str) -> Any:
        """What a page says that is made now."""
        settings = effective(ServerSettings.load(flags))
        page = StatusPage(lambda: replicas or self.replicas, self.sessions, self.health, self.metrics, settings)
        for number in range(50):
            get_logger().warning(Event.REQUEST_REJECTED, method="m", reason=f"R{number}", problem="photos/hidden")
        sent = page.routes["/status.json"]().body
        page.close()
        assert len(sent) < MAX_BYTES
        return json.loads(sent)


def _replica(place: Path, name: str, policy: ReplicaPolicy) -> Replica:
    (place / name).mkdir()
    (place / name / "hidden").write_text(name)
    replica = Replica.open(name, place / name, place, policy)
    replica.scan()
    return replica


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A server."""
    bench = Bench(tmp_path)
    yield bench
    for replica in bench.replicas.values():
        replica.close()


def test_namespaces(bench: Bench) -> None:
    """Each namespace has its writer, its size, its quota and its last change."""
    bench.replicas["photos"].commit_done()
    books, photos = bench.document()["namespaces"]["shown"]

    assert {
        "name": "books",
        "ready": True,
        "writer": "",
        "other_writers": [],
        "mode": "",
        "generation": 0,
        "entries": 1,
        "quota_entries": 10,
        "bytes": 5,
        "quota_bytes": None,
        "last_change": None,
    } == books
    assert ("photos", "camera", 6) == (photos["name"], photos["writer"], photos["bytes"])
    assert ("mirror", []) == (photos["mode"], photos["other_writers"])
    assert photos["last_change"] is not None


def test_several_writers(bench: Bench) -> None:
    """Of several two-way clients of a namespace all are shown, the newest first; a long id is shortened."""
    for number, client in enumerate(("ann", "b" * 100, "eve"), 2):
        request = OpenRequest("books", client, "1", TreeOptions(), Location("", ()), mode=SessionMode.TWO_WAY)
        bench.sessions.open(request, number)
    books, _ = bench.document()["namespaces"]["shown"]

    assert ("two-way", "eve") == (books["mode"], books["writer"])
    assert [40, 3] == [len(each.encode()) for each in books["other_writers"]]
    assert "ann" == books["other_writers"][1]


def test_health(bench: Bench) -> None:
    """The verdict is that of ``/readyz``, in a sentence."""
    reading = bench.document()
    bench.health.ready()
    serving = bench.document()

    assert ("not_ready", "the replica is being read", False) == (
        reading["verdict"]["state"],
        reading["verdict"]["text"],
        reading["ready"],
    )
    assert ("serving", True) == (serving["verdict"]["state"], serving["ready"])


def test_no_path(bench: Bench, tmp_path: Path) -> None:
    """A page that needs no credentials shows no name of a file, of anybody, and no directory of the host."""
    text = json.dumps(bench.document(root=str(tmp_path), token_file=str(tmp_path / "token")))

    assert "hidden" not in text
    assert str(tmp_path) not in text
    assert "request.rejected" in text


def test_many_namespaces(bench: Bench) -> None:
    """Those that are not shown are counted, and the document stays small."""
    bench.sessions = Sessions(4000)
    for number in range(LIMITS.max_two_way_sessions):
        request = OpenRequest(
            "photos", f"{number}" * 128, "1", TreeOptions(), Location("", ()), mode=SessionMode.TWO_WAY
        )
        bench.sessions.open(request, number)
    many = dict.fromkeys((f"n{number}" for number in range(1000)), bench.replicas["photos"])
    found = bench.document(many)["namespaces"]

    assert (1000, SHOWN, 1000 - SHOWN) == (found["count"], len(found["shown"]), found["more"])


def test_as_documented(bench: Bench) -> None:
    """The schema that is published describes it."""
    schema = schema_of("server")
    document = bench.document()
    jsonschema.validate(document, schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document | {"further": 1}, schema)
