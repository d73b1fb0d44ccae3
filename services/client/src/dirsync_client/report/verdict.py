"""How a client stands in one word and one sentence, and what a person can do about it. Pure."""

from dirsync.runtime.page.document import Verdict
from dirsync.runtime.page.shorten import shorten
from dirsync.tree.guards.hold import Hold
from dirsync.tree.problem import ProblemKind
from dirsync_client.report.status import State, Status

STATES = {
    "in_sync": "both sides are equal",
    "syncing": "changes are on their way",
    "first_sync": "the first sync since the start is under way",
    "held": "a guard holds deletes until they are approved",
    "problems": "some paths, or all, cannot be synced",
    "server_lost": "there is no connection to the server",
    "stalled": "the source or the server does not answer, or the client makes no progress",
    "stopping": "the client ends",
}
"""The states of a client, in the words of the documentation."""

ADVICE = {
    ProblemKind.UNREADABLE: "Let the client's user read it, or ignore it (IGNORE).",
    ProblemKind.CHANGING: "Nothing; it is tried again. If it never rests, ignore it (IGNORE).",
    ProblemKind.VANISHED: "Nothing; it is looked at again.",
    ProblemKind.RESERVED_NAME: "Rename it in the source, or ignore it (IGNORE).",
    ProblemKind.NAME_TOO_LONG: "Shorten the name, or ignore it (IGNORE).",
    ProblemKind.PATH_TOO_LONG: "Shorten the path, or ignore it (IGNORE).",
    ProblemKind.COLLISION: "Rename one of the two: the replica's file system cannot tell them apart.",
    ProblemKind.REFUSED: "See what is in the way at the replica, and whether the server's user may write there.",
    ProblemKind.STORAGE: "Free space on the replica's disk, or see why it fails.",
    ProblemKind.LIMIT: "Raise the limit of the server that the message names, or ignore the path (IGNORE).",
    ProblemKind.UNSUPPORTED: "Upgrade the older side, or ignore the path (IGNORE).",
}
"""What to do about each kind of problem. All of them are tried again by themselves."""


def verdict(status: Status, *, names: bool = True) -> Verdict:
    """The worst that is the case; ``names``: whether the text may name a path."""
    if status.stalled:
        return _say("stalled", status.stalled, "Nothing is known to be in sync until it answers.", _LOOK)
    if status.state is State.STOPPING:
        return _say("stopping", "The client sends what is there and ends.")
    if status.last_error:
        return _say(
            "server_lost",
            status.last_error,
            "The client tries again every few seconds. See that the server runs and that SERVER names it; there:",
            "dirsync-server health --ready",
        )
    if status.hold is not None:
        advice = "Nothing of it is deleted. Make the source what it should be, or release the deletes:"
        return _say("held", hold_reason(status.hold, names=names), advice, approve(status.hold.id))
    if status.outage:
        cause = f": {status.outage}" if names else "."
        return _say("problems", f"Nothing can be synced{cause}", "It goes on once the cause is gone.", _LOOK)
    if status.in_sync:
        return _say("in_sync", "Both sides have the same root digest.")
    if not status.first_sync_done:
        return _say("first_sync", _progress(status))
    if status.problem_count:
        return _problems(status)
    return _say("syncing", f"{_paths(status.pending)} known to differ; they are on their way.")


def hold_reason(hold: Hold, *, names: bool) -> str:
    """Why it is held; the paths and the command stand beside it."""
    return f"{hold.reason}." if names else f"{_paths(len(hold.operations))} held by the guard {hold.guard}."


def approve(hold_id: str) -> str:
    """The command that releases a hold."""
    return f"dirsync-client approve {hold_id}"


_LOOK = "dirsync-client status"


def _say(state: str, text: str, advice: str = "", command: str = "") -> Verdict:
    return Verdict(state=state, text=shorten(text), advice=advice, command=command)


def _progress(status: Status) -> str:
    if status.state in (State.STARTING, State.CONNECTING) or not status.entries:
        return "The source is being read, or the server is being connected to."
    equal = max(0, status.entries - status.pending)
    return f"{equal:,} of {status.entries:,} entries are at the replica."


def _problems(status: Status) -> Verdict:
    others = max(0, status.pending - status.problem_count)
    rest = "everything else is" if others == 0 else f"{_paths(others)} on their way"
    return _say("problems", f"{_paths(status.problem_count)} not synced; {rest}.", "This names them all:", _LOOK)


def _paths(count: int) -> str:
    return "1 path is" if count == 1 else f"{count:,} paths are"
