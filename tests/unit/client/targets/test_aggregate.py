"""How several targets stand together: the worst that is the case anywhere, with the name of the target."""

from dataclasses import replace

import pytest

from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.report.status import NOT_SYNCED_YET, State, Status, StatusBoard
from dirsync_client.targets.aggregate import aggregate
from dirsync_client.targets.boards import Boards

GOOD = Status(
    state=State.LIVE,
    in_sync=True,
    first_sync_done=True,
    not_ready_reason="",
    last_success=10.0,
    entries=5,
    source_digest=b"s",
    replica_digest=b"s",
)


def together(**statuses: Status) -> Status:
    """All of these."""
    return aggregate(statuses, 10)


def test_all_good() -> None:
    """All in sync is in sync, as each of them says."""
    assert GOOD == replace(together(a=GOOD, b=GOOD), cycles=0)


@pytest.mark.parametrize(
    "bad, field, shown",
    [
        (replace(GOOD, in_sync=False), "in_sync", False),
        (replace(GOOD, state=State.SYNCING), "state", State.SYNCING),
        (replace(GOOD, state=State.CONNECTING), "state", State.CONNECTING),
        (replace(GOOD, pending=3), "pending", 3),
        (replace(GOOD, oldest_change=4.0), "oldest_change", 4.0),
        (replace(GOOD, waiting_since=4.0), "waiting_since", 4.0),
        (replace(GOOD, first_sync_done=False), "first_sync_done", False),
        (replace(GOOD, outage="full"), "outage", "b: full"),
        (replace(GOOD, not_ready_reason=NOT_SYNCED_YET), "not_ready_reason", f"b: {NOT_SYNCED_YET}"),
        (replace(GOOD, last_error="away"), "last_error", "b: away"),
        (replace(GOOD, stalled="stuck"), "stalled", "b: stuck"),
        (replace(GOOD, last_success=None), "last_success", None),
        (replace(GOOD, last_success=3.0), "last_success", 3.0),
        (replace(GOOD, replica_digest=b"other"), "replica_digest", b"other"),
    ],
)
def test_one_bad(bad: Status, field: str, shown: object) -> None:
    """What is the matter with one shows, whichever it is."""
    assert shown == getattr(together(a=GOOD, b=bad, c=GOOD), field)


def test_source_stalls_for_all() -> None:
    """Where the source stands still no target is to blame."""
    stuck = replace(GOOD, stalled="the source does not answer")

    assert "the source does not answer" == together(a=stuck, b=stuck).stalled


def test_problems() -> None:
    """What is wrong with a path of the source is one problem, however many targets there are."""
    source, own = (Problem(RelPath(name), ProblemKind.UNREADABLE, "") for name in (b"source", b"own"))
    one = replace(GOOD, problems=(source,), problem_count=1)
    two = replace(GOOD, problems=(source, own), problem_count=2)

    found = together(a=one, b=two)

    assert ((source, own), 2) == (found.problems, found.problem_count)
    assert 100 == together(a=one, b=replace(two, problem_count=100)).problem_count


def test_lag_is_the_longest() -> None:
    """The lag of all is that of the target that is furthest behind, and what is told to all each is told."""
    boards = Boards({"a": StatusBoard(lambda: 10.0), "b": StatusBoard(lambda: 10.0)})
    boards.by_name["b"].update(oldest_change=7.0)
    boards.update(watch="native")

    assert (3.0, 0.0) == (boards.lag(), boards.by_name["a"].lag())
    assert ["native", "native"] == [status.watch for status in boards.statuses().values()]


def test_the_only_one() -> None:
    """One target without a name is the whole client."""
    board = StatusBoard()
    boards = Boards({"": board})

    assert boards.status is board.status
    assert not boards.are_named
