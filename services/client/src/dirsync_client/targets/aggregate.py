"""How several targets stand together: one status made of theirs. Pure.

It shows the worst that is the case anywhere, with the name of the target that it is the case at.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from dirsync.tree.problem import Problem
from dirsync_client.report.status import State, Status

_WORST_FIRST = (State.STOPPING, State.STARTING, State.CONNECTING, State.SYNCING, State.LIVE)


def aggregate(statuses: Mapping[str, Status], limit: int) -> Status:
    """The status of all targets, by their names; at most ``limit`` problems are listed.

    What all have of the source (entries, digest, untracked paths, the watcher) is that of the first.
    """
    every = list(statuses.values())
    first = every[0]
    different = [one.replica_digest for one in every if one.replica_digest != first.source_digest]
    problems, count = _problems(every, limit)
    in_sync = all(one.in_sync for one in every)
    return Status(
        state=next((state for state in _WORST_FIRST if any(one.state is state for one in every)), first.state),
        in_sync=in_sync,
        pending=sum(one.pending for one in every),
        oldest_change=_earliest(one.oldest_change for one in every),
        waiting_since=_earliest(one.waiting_since for one in every),
        first_sync_done=all(one.first_sync_done for one in every),
        outage=_first(statuses, lambda one: one.outage),
        not_ready_reason=_first(statuses, lambda one: one.not_ready_reason),
        last_error=_first(statuses, lambda one: one.last_error),
        stalled=_stalled(statuses),
        last_success=_all_equal_since(every),
        entries=max(one.entries for one in every),
        source_digest=next((one.source_digest for one in every if one.source_digest), b""),
        replica_digest=different[0] if different else first.replica_digest,
        hold=next((one.hold for one in every if one.hold is not None), None),
        problems=problems,
        problem_count=count,
        untracked=first.untracked,
        untracked_named=first.untracked_named,
        watch=first.watch,
        cycles=sum(one.cycles for one in every),
        two_way=first.two_way,
    )


def _first(statuses: Mapping[str, Status], of: Callable[[Status], str]) -> str:
    """The first text that is not empty, after the name of its target."""
    return next((f"{name}: {text}" for name, one in statuses.items() if (text := of(one))), "")


def _stalled(statuses: Mapping[str, Status]) -> str:
    """What stands still; where that is the source, no target is to blame."""
    texts = {one.stalled for one in statuses.values()}
    return texts.pop() if len(texts) == 1 else _first(statuses, lambda one: one.stalled)


def _all_equal_since(every: Iterable[Status]) -> float | None:
    """When the target that was equal the longest time ago was; ``None`` if one never was."""
    times = [one.last_success for one in every]
    return None if None in times else min(time for time in times if time is not None)


def _earliest(times: Iterable[float | None]) -> float | None:
    return min((time for time in times if time is not None), default=None)


def _problems(every: Iterable[Status], limit: int) -> tuple[tuple[Problem, ...], int]:
    """The problems of all, those of the source once, and how many there are, at least."""
    shown = dict.fromkeys(problem for one in every for problem in one.problems)
    most = max(one.problem_count for one in every)
    return tuple(islice(shown, limit)), max(len(shown), most)
