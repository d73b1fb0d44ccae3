"""A client's state in one word."""

from typing import Any

import pytest

from dirsync.tree.guards.hold import Guard, Hold
from dirsync.tree.problem import ProblemKind
from dirsync_client.report.status import State, Status
from dirsync_client.report.verdict import ADVICE, STATES, verdict

HOLD = Hold("abc", Guard.ROOT_EMPTIED, (), "a message", 0, "the source is empty")
LIVE: dict[str, Any] = {"state": State.LIVE, "first_sync_done": True, "entries": 10}


@pytest.mark.parametrize(
    "status, state, text, command",
    [
        (Status(), "first_sync", "The source is being read", ""),
        (Status(state=State.SYNCING, entries=1500, pending=300), "first_sync", "1,200 of 1,500 entries", ""),
        (Status(in_sync=True, **LIVE), "in_sync", "same root digest", ""),
        (Status(pending=1, **LIVE), "syncing", "1 path is known to differ", ""),
        (Status(pending=2, **LIVE), "syncing", "2 paths are known to differ", ""),
        (Status(pending=3, problem_count=3, **LIVE), "problems", "3 paths are not synced; everything else is", None),
        (Status(pending=4, problem_count=1, **LIVE), "problems", "1 path is not synced; 3 paths are on", None),
        (Status(outage="disk full", problem_count=1, **LIVE), "problems", "Nothing can be synced: disk full", None),
        (Status(hold=HOLD, problem_count=1, **LIVE), "held", "the source is empty", "dirsync-client approve abc"),
        (Status(last_error="refused", hold=HOLD, **LIVE), "server_lost", "refused", "dirsync-server health --ready"),
        (Status(stalled="no answer", last_error="refused", **LIVE), "stalled", "no answer", None),
        (Status(state=State.STOPPING), "stopping", "ends", ""),
    ],
)
def test_states(status: Status, state: str, text: str, command: str | None) -> None:
    """The worst is told, in words, with the command to begin with."""
    found = verdict(status)

    assert (state, "dirsync-client status" if command is None else command) == (found.state, found.command)
    assert text in found.text
    assert bool(found.command) <= bool(found.advice)
    assert state in STATES


def test_every_kind_of_problem_has_advice() -> None:
    """Nobody is left with a problem and no hint."""
    assert set(ProblemKind) == ADVICE.keys()
