"""Whether a client does what people use it for, and if not, why. Pure.

A path that cannot be synced is a problem, which status and metrics name; the others are synced, so the client is ready.
It is not ready before everything that can be synced has been synced once, while something stands still, while a guard
holds something, while there is no server, and while nothing can be synced: the source itself cannot be read, or the
replica's disk is full or failing.
"""

from collections.abc import Iterable
from typing import Final

from dirsync.tree.path import ROOT
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.report.status import NOT_SYNCED_YET, Status

MAX_WAITING_SECONDS: Final = 300.0
"""A client of whose changes one has waited for longer than this is not ready."""


def outage(problems: Iterable[Problem]) -> str:
    """The problem that stops all syncing, in words; empty if none does."""
    return next((p.message for p in problems if p.path == ROOT or p.kind is ProblemKind.STORAGE), "")


def not_ready_reason(status: Status, now: float) -> str:
    """Why a client is not ready, in words; empty if it is.

    ``now``: seconds by the monotonic clock.
    """
    if status.stalled:
        return status.stalled
    waiting = 0.0 if status.waiting_since is None else now - status.waiting_since
    if status.hold is not None:
        return f"a guard holds deletes: dirsync-client approve {status.hold.id}"
    if not status.first_sync_done:
        return status.last_error or status.outage or NOT_SYNCED_YET
    if status.last_error:
        return f"the server is lost: {status.last_error}"
    if status.outage:
        return f"nothing can be synced: {status.outage}"
    if waiting > MAX_WAITING_SECONDS:
        return f"the oldest change waits for {waiting:.0f} s"
    return ""
