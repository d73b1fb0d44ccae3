"""When a client is ready, and why it is not."""

from typing import Any

import pytest

from dirsync.tree.guards.hold import Guard, Hold
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.lifecycle.readiness import MAX_WAITING_SECONDS, not_ready_reason, outage
from dirsync_client.report.status import Status

NOW = 1000.0
P = RelPath(b"p")
HOLD = Hold("abc", Guard.DELETE_COUNT, (), "too many")
DONE: dict[str, Any] = {"first_sync_done": True}


@pytest.mark.parametrize(
    "status, expected",
    [
        pytest.param(Status(), "the first sync is not done", id="start"),
        pytest.param(Status(last_error="refused"), "refused", id="no-server"),
        pytest.param(Status(outage="the disk is full"), "the disk is full", id="first-sync-without-space"),
        pytest.param(Status(**DONE), "", id="done"),
        pytest.param(Status(stalled="the source hangs", **DONE), "the source hangs", id="stalled"),
        pytest.param(
            Status(problems=(Problem(P, ProblemKind.UNREADABLE, "no"),), oldest_change=0.0, **DONE), "", id="problem"
        ),
        pytest.param(Status(last_error="refused", **DONE), "the server is lost: refused", id="lost-server"),
        pytest.param(Status(outage="full", **DONE), "nothing can be synced: full", id="full-disk"),
        pytest.param(Status(waiting_since=NOW - MAX_WAITING_SECONDS, **DONE), "", id="not-too-long"),
        pytest.param(
            Status(waiting_since=NOW - MAX_WAITING_SECONDS - 1, **DONE), "the oldest change waits for 301 s", id="lag"
        ),
        pytest.param(Status(hold=HOLD, **DONE), f"a guard holds deletes: dirsync-client approve {HOLD.id}", id="hold"),
        pytest.param(Status(hold=HOLD), f"a guard holds deletes: dirsync-client approve {HOLD.id}", id="first-hold"),
    ],
)
def test_reason(status: Status, expected: str) -> None:
    """Ready once everything that can be synced was synced, unless something stops all of it."""
    assert expected == not_ready_reason(status, NOW)


@pytest.mark.parametrize("kind", ProblemKind)
def test_one_path_is_no_outage(kind: ProblemKind) -> None:
    """A problem of one path stops no other, but a full disk stops all, and so does an unreadable source."""
    one = outage([Problem(P, kind, "message")])
    root = outage([Problem(P, ProblemKind.UNREADABLE, "another"), Problem(ROOT, kind, "message")])

    assert ("message" if kind is ProblemKind.STORAGE else "") == one
    assert "message" == root
