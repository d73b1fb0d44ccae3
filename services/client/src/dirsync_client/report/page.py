"""The client's status page."""

from dirsync.runtime.http.page import Page, Table
from dirsync.tree.path import escape
from dirsync_client.report.status import Status, StatusBoard


def _untracked(status: Status) -> str:
    named = ", ".join(f"{escape(path)} ({kind.sentence})" for path, kind in status.untracked_named)
    return f"{status.untracked}: {named}" if named else str(status.untracked)


def status_page(board: StatusBoard, server: str, namespace: str) -> Page:
    """What a person wants to know of a client."""
    status = board.status
    facts = {
        "in sync": "yes" if status.in_sync else "no",
        "ready": status.not_ready_reason or "yes",
        "state": status.state.value,
        "server": f"{server}, namespace {namespace}",
        "entries": str(status.entries),
        "pending": str(status.pending),
        "lag": f"{board.lag():.1f} s",
        "watching": status.watch,
        "untracked": _untracked(status),
    }
    if status.stalled:
        facts["standing still"] = status.stalled
    if status.last_error:
        facts["last error"] = status.last_error
    tables = []
    if status.hold is not None:
        hold = status.hold
        rows = [(hold.id, hold.guard.value, str(len(hold.operations)), hold.message)]
        tables.append(Table("Held", ("id", "guard", "paths", "what to do"), rows))
    if status.problems:
        found = [(escape(problem.path), problem.kind.value, problem.message) for problem in status.problems]
        tables.append(Table("Problems", ("path", "kind", "what happened"), found))
    return Page("dirsync client", facts, tables)
