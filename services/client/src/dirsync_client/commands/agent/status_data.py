"""What ``status --json`` prints."""

from collections.abc import Sequence
from typing import Any

from dirsync.tree.path import RelPath, escape
from dirsync.wire.agent.status import AgentStatus, TargetStatus
from dirsync.wire.agent.two_way import TwoWayView

Problems = Sequence[tuple[RelPath, str, str]]
"""Path, kind and message of each."""


def status_data(found: AgentStatus, problems: Problems) -> dict[str, Any]:
    """The status of the client, with these problems."""
    data = (
        target_data(found.overall, problems)
        | found._asdict()
        | {
            "untracked_paths": [shown._asdict() for shown in found.untracked_paths],
            "two_way": found.two_way and _two_way_data(found.two_way),
        }
    )
    for name in ("overall", "target", "targets"):
        del data[name]
    if found.targets:
        # Their problems are among those above; --target names those of one.
        data["targets"] = [{**target_data(each, ()), "problems": each.problems} for each in found.targets]
    return data


def target_data(found: TargetStatus, problems: Problems) -> dict[str, Any]:
    """The status of one target, with these problems."""
    return found._asdict() | {
        "holds": [hold._asdict() for hold in found.holds],
        "problems": [{"path": escape(path), "kind": kind, "message": text} for path, kind, text in problems],
        "problem_count": found.problems,
    }


def _two_way_data(totals: TwoWayView) -> dict[str, Any]:
    return totals._asdict() | {"latest_conflicts": [shown._asdict() for shown in totals.latest_conflicts]}
