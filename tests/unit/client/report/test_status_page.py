"""What a client's page says at one moment, and how large that is at the most."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema  # type: ignore[import-untyped] # it has no types
import pytest

from dirsync.runtime.config.settings import effective
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.runtime.page.document import MAX_BYTES
from dirsync.runtime.page.history import STEP_SECONDS, STEPS
from dirsync.tree.guards.hold import Guard, Hold
from dirsync.tree.path import RelPath
from dirsync.tree.plan import Delete
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.untracked import Untracked, UntrackedKind
from dirsync_client.report import status_page
from dirsync_client.report.status import KeptConflict, State, StatusBoard, TwoWayTotals
from dirsync_client.report.status_page import StatusPage
from dirsync_client.settings import ClientSettings
from dirsync_client.targets.boards import Boards
from tests.support.running.status_schema import schema_of

WORST = b"\xff\\\n" * 4000
"""A name whose every byte has to be escaped, twice where it stands in JSON."""


class Bench:
    """A page with nothing behind it."""

    def __init__(self, **flags: str) -> None:
        self.board = StatusBoard()
        settings = ClientSettings.load(flags)
        self.metrics = PrometheusMetrics((), CLIENT_CATALOGUE)
        self.page = StatusPage(Boards({"": self.board}), self.metrics, effective(settings), settings.targets)

    @property
    def sent(self) -> bytes:
        """The document as it is sent."""
        return self.page.routes["/status.json"]().body

    @property
    def document(self) -> dict[str, Any]:
        """The document as it is read."""
        found: dict[str, Any] = json.loads(self.sent)
        return found


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A page of a client that has just been started."""
    bench = Bench()
    yield bench
    bench.page.close()


def worst_case(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that a page lists, as many and as long as can be."""
    paths = [RelPath(b"%06d" % number + WORST) for number in range(10_000)]
    kinds = list(ProblemKind)
    for kind in kinds:
        bench.metrics.set("dirsync_problems", 10**9, kind=kind)
    bench.board.update(
        state=State.LIVE,
        last_error="\N{GRINNING FACE}\\" * 10_000,
        entries=10**9,
        source_digest=bytes(32),
        replica_digest=bytes(32),
        last_success=1.0,
        hold=Hold("f" * 16, Guard.DELETE_PERCENT, tuple(Delete(path, None) for path in paths), "", 0, "\\" * 10_000),
        problems=tuple(Problem(path, kinds[number % len(kinds)], "\\" * 9000) for number, path in enumerate(paths)),
        problem_count=10**9,
        untracked=10**9,
        untracked_named=tuple(Untracked(path, UntrackedKind.REMOVED_ON_NFS) for path in paths),
        two_way=TwoWayTotals(
            received_changes=10**15,
            received_bytes=10**15,
            saved_bytes=10**15,
            conflicts=10**15,
            latest=tuple(KeptConflict(path, "replica", "keep-both", path, 1.0) for path in paths[:20]),
        ),
    )
    for path in paths[:100]:
        get_logger().warning(Event.CONFLICT_KEPT, path=path, winner="replica", resolution="source", kept_as=path)
        get_logger().info(Event.FILE_SYNCED, path=path, strategy="metadata", reason="after_mismatch", size=10**15)
        get_logger().warning(Event.GUARD_HELD, hold="f" * 16, guard="delete_percent", paths=10**9, problem="\\" * 9000)
    for step in range(1, STEPS + 2):
        for name in ("dirsync_saved_bytes_total", "dirsync_wire_bytes_total", "dirsync_changes_applied_total"):
            for counter in bench.metrics.family(name).values():
                counter.inc(10**10 + step)
        monkeypatch.setattr(status_page, "monotonic", lambda step=step: 10**6 + step * STEP_SECONDS)
        bench.page.look()


@pytest.mark.case("L09")
def test_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A document has less than 50 KiB, whatever there is to tell, and counts what it leaves out."""
    worst_case(bench, monkeypatch)
    sent = bench.sent
    document = json.loads(sent)
    problems = document["problems"]

    assert 30_000 < len(sent) < MAX_BYTES
    assert STEPS == len(document["hour"]["series"]["sent_bytes"])
    assert 10**9 == len(problems["shown"]) + problems["more"] == problems["count"]
    assert 10_000 == len(document["hold"]["shown"]) + document["hold"]["more"]


def test_as_documented(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema that is published describes it, empty and full."""
    schema = schema_of("client")
    jsonschema.validate(bench.document, schema)
    worst_case(bench, monkeypatch)
    jsonschema.validate(bench.document, schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bench.document | {"further": 1}, schema)


def test_started(bench: Bench) -> None:
    """A client that has just been started says so, and knows no problem."""
    document = bench.document

    assert ("first_sync", "", False) == (
        document["verdict"]["state"],
        document["verdict"]["command"],
        document["ready"],
    )
    assert (None, None, 0) == (document["hold"], document["sync"]["last_success"], document["problems"]["count"])


def test_what_came(bench: Bench) -> None:
    """Of a two-way client: what came to the source, what was saved, which paths were in conflict. Of a mirror: null."""
    before = bench.document["two_way"]
    kept = KeptConflict(RelPath(b"notes.txt"), "replica", "keep-both", RelPath(b"notes.conflict-x.txt"), 1.0)
    bench.board.update(two_way=TwoWayTotals(5, 700, 30, 12, (kept,)))
    two_way = bench.document["two_way"]
    shown = two_way["conflicts"].pop("shown")

    assert before is None
    assert {
        "received_changes": 5,
        "received_bytes": 700,
        "saved_bytes": 30,
        "conflicts": {"count": 12, "more": 11},
    } == two_way
    assert [("notes.txt", "replica", "keep-both", "notes.conflict-x.txt")] == [tuple(shown[0].values())[:4]]


@pytest.mark.case("I28")
def test_what_to_do(bench: Bench) -> None:
    """A problem comes with the command that says more, which a shell takes as it stands."""
    path = RelPath(b"two words\n")
    bench.metrics.set("dirsync_problems", 1, kind=ProblemKind.UNREADABLE)
    bench.board.update(problems=(Problem(path, ProblemKind.UNREADABLE, "cannot be read"),), problem_count=1)
    problems = bench.document["problems"]

    assert [
        {
            "path": "two words\\x0a",
            "kind": "unreadable",
            "message": "cannot be read",
            "command": "dirsync-client explain $'two words\\x0a'",
        }
    ] == problems["shown"]
    assert [("unreadable", 1)] == [(kind["kind"], kind["count"]) for kind in problems["kinds"]]


@pytest.mark.case("K09")
def test_no_path_or_secret_of_the_host() -> None:
    """Of the settings only those are shown that are no path and no secret."""
    bench = Bench(source="/secret/source", state_dir="/secret/state", token_file="/secret/token", ignore="secret.txt")
    text = bench.sent.decode()
    bench.page.close()

    assert "secret" not in text
    assert "4KiB" in text


def test_without_names() -> None:
    """Where the agent requires a token, names of files are not for everybody who reaches the port: counts are."""
    bench = Bench(agent_token_file="token")
    path = RelPath(b"private")
    bench.metrics.set("dirsync_problems", 1, kind=ProblemKind.UNREADABLE)
    bench.board.update(
        hold=Hold("abc", Guard.DELETE_COUNT, (Delete(path, None),), "Held: private", 0, "private"),
        outage="private cannot be written",
        problems=(Problem(path, ProblemKind.UNREADABLE, "private cannot be read"),),
        problem_count=1,
        untracked=1,
        untracked_named=(Untracked(path, UntrackedKind.FIFO),),
        two_way=TwoWayTotals(1, 1, 1, 1, (KeptConflict(path, "replica", "keep-both", path, 1.0),)),
    )
    get_logger().warning(Event.CONFLICT_KEPT, path=path, winner="replica", resolution="keep-both", kept_as=path)
    get_logger().info(Event.FILE_SYNCED, path=path, strategy="whole")
    text, document = bench.sent.decode(), bench.document
    bench.board.update(hold=None)
    without_hold = bench.sent.decode()
    bench.page.close()

    assert "private" not in text + without_hold
    assert (1, 1, 1) == (document["problems"]["count"], document["hold"]["paths"], document["untracked"]["count"])
    assert (1, 1) == (document["two_way"]["conflicts"]["count"], document["two_way"]["conflicts"]["more"])
    assert not document["names_shown"]


def test_close_ends_listening() -> None:
    """A page that is closed hears of nothing more."""
    bench = Bench()
    bench.page.close()
    get_logger().info(Event.SYNC_STARTED)

    assert [] == bench.document["events"]["shown"]
