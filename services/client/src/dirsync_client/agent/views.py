"""What the engine keeps of itself, as the agent shows it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dirsync.runtime.page.shorten import shorten_path
from dirsync.tree.path import escape
from dirsync.wire.agent.explain import PathExplained, TravelView
from dirsync.wire.agent.hold import HoldView, view_hold
from dirsync.wire.agent.status import TargetStatus
from dirsync.wire.agent.two_way import ConflictView, TwoWayView
from dirsync_client.report.status import Status, TwoWayTotals

if TYPE_CHECKING:
    from dirsync.tree.path import RelPath
    from dirsync_client.report.explain import Explanation
    from dirsync_client.report.travels import Travel


def view_holds(statuses: Iterable[Status]) -> tuple[HoldView, ...]:
    """What is held anywhere; the same deletes at several targets are shown once."""
    return tuple(dict.fromkeys(view_hold(status.hold) for status in statuses if status.hold is not None))


def view_target(named: tuple[str, str, str], status: Status, lag: float, now: float) -> TargetStatus:
    """How a target stands, or all together; ``named`` has its name, its server and its namespace."""
    return TargetStatus(
        *named,
        state=status.state.value,
        in_sync=status.in_sync,
        pending=status.pending,
        lag_seconds=lag,
        last_error=status.stalled or status.last_error,
        seconds_since_success=None if status.last_success is None else now - status.last_success,
        replica_digest=status.replica_digest.hex(),
        holds=view_holds((status,)),
        problems=status.problem_count,
        ready=not status.not_ready_reason,
        not_ready_reason=status.not_ready_reason,
    )


def view_explanation(path: "RelPath", found: "Explanation", now: float) -> PathExplained:
    """What there is to say of a path."""
    return PathExplained(
        path,
        found.standing.value,
        found.message,
        found.source,
        found.replica,
        found.rule,
        None if found.travel is None else _view_travel(found.travel, now),
    )


def _view_travel(travel: "Travel", now: float) -> TravelView:
    return TravelView(
        travel.choice.strategy.value,
        travel.choice.reason.value,
        travel.size,
        travel.literal_bytes,
        max(0.0, now - travel.at),
        "" if travel.former is None else escape(travel.former),
    )


def view_two_way(totals: TwoWayTotals, now: float) -> TwoWayView:
    """What came, and what was in conflict."""
    latest = tuple(
        ConflictView(
            shorten_path(found.path),
            found.winner,
            found.resolution,
            "" if found.kept_as is None else shorten_path(found.kept_as),
            max(0.0, now - found.at),
        )
        for found in totals.latest
    )
    return TwoWayView(totals.received_changes, totals.received_bytes, totals.saved_bytes, totals.conflicts, latest)
