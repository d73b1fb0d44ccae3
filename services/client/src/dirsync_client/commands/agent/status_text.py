"""What ``status`` prints for people."""

from dirsync.wire.agent.status import AgentStatus, TargetStatus
from dirsync.wire.agent.two_way import TwoWayView


def print_status(found: AgentStatus) -> None:
    """The client, or all of its targets together."""
    overall = found.overall
    rows = {
        "in sync": "yes" if overall.in_sync else "no",
        "ready": "yes" if overall.ready else overall.not_ready_reason,
        "state": overall.state,
        "server": f"{overall.server}, namespace {overall.namespace}",
        "entries": str(found.entries),
        "pending": str(overall.pending),
        "lag": f"{overall.lag_seconds:.1f} s",
        "watching": found.watch,
        "untracked": str(found.untracked),
        "last error": overall.last_error,
    }
    for name, value in rows.items():
        if value:
            print(f"{name:<15}{value}")
    for shown in found.untracked_paths:
        print(f"untracked      {shown.path}: {shown.message}")
    if found.untracked > len(found.untracked_paths):
        print(f"untracked      and {found.untracked - len(found.untracked_paths)} more")
    if found.two_way is not None:
        _print_two_way(found.two_way)
    for hold in overall.holds:
        print(f"held           {hold.id} ({hold.guard}): {hold.message}")


def _print_two_way(totals: TwoWayView) -> None:
    print(
        f"received       {totals.received_changes} changes, {totals.received_bytes} bytes; {totals.saved_bytes} saved"
    )
    for shown in totals.latest_conflicts:
        kept = f"is kept as {shown.kept_as}" if shown.kept_as else "is not kept"
        print(f"conflict       {shown.path}: the version of the {shown.winner} has the name, the other {kept}")
    if totals.conflicts > len(totals.latest_conflicts):
        print(f"conflict       and {totals.conflicts - len(totals.latest_conflicts)} more since the start, in the log")


def print_target(found: TargetStatus) -> None:
    """One line for each, and what keeps it from being in sync."""
    how = "in sync" if found.in_sync else f"{found.state}, {found.pending} pending, lag {found.lag_seconds:.1f} s"
    print(f"{'target':<15}{found.target} ({found.server}, namespace {found.namespace}): {how}")
    for line in dict.fromkeys((found.last_error, found.not_ready_reason)):
        if line:
            print(f"{'':<15}{line}")
    for hold in found.holds:
        print(f"{'':<15}held {hold.id} ({hold.guard}); release it here alone: --target {found.target}")
