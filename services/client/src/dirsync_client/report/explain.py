"""Explains one path to a person: what both sides have there, and what that means."""

from enum import StrEnum
from typing import NamedTuple

from dirsync.endpoint.source.source import Source
from dirsync.fs.failure import PathFailure
from dirsync.tree.diff import equal
from dirsync.tree.entry import Entry
from dirsync.tree.path import RelPath, ancestors
from dirsync.tree.problem import Problem
from dirsync_client.reconcile.path_states import BUSY, Phase
from dirsync_client.reconcile.view import View
from dirsync_client.report.travels import Travel, Travels


class PathStanding(StrEnum):
    """How one path stands; the values are those of the wire and of JSON."""

    EQUAL = "equal"
    PENDING = "pending"
    HELD = "held"
    PROBLEM = "problem"
    IGNORED = "ignored"
    UNTRACKED = "untracked"
    KEPT = "kept"
    """Only the replica has it, and ``DELETE=never`` keeps it there."""
    ABSENT = "absent"
    UNKNOWN = "unknown"
    """There has been no session yet, so nobody knows what the replica has."""


class Explanation(NamedTuple):
    """What there is to say of one path."""

    path: RelPath
    standing: PathStanding
    message: str
    """A sentence for people."""
    source: Entry | None
    replica: Entry | None
    """As the client knows it, also of a path that is left out: then nothing is known."""
    rule: bytes = b""
    """The ignore rule that leaves it out."""
    travel: Travel | None = None
    """How the replica got what it has there, if that is remembered."""


_PHASES = {
    Phase.DIRTY: "it changed and is about to be compared",
    Phase.COMPARING: "it changed and is about to be compared",
    Phase.BLOCKED: "it waits for another path that is on its way",
    Phase.DOOMED: "it is to be removed at the replica, after DELETE_SETTLE without another delete",
    Phase.LEAVING: "the replica has it no more: it is to be removed here, after DELETE_SETTLE without another delete",
    Phase.PACED: "it is written all the time, so it is sent again after a pause",
}


def explain(path: RelPath, source: Source, view: View, travels: Travels) -> Explanation:
    """All that is known of ``path``. The engine's thread only; looks at the source."""
    here, there = source.tree.get(path), view.replica_entry(path)

    def found(standing: PathStanding, message: str, rule: bytes = b"") -> Explanation:
        return Explanation(path, standing, message, here, there, rule, travels.last(path))

    try:
        left_out = source.why_left_out(path)
    except PathFailure as failure:
        return found(PathStanding.PROBLEM, str(failure))
    if left_out is not None:
        standing = PathStanding.IGNORED if left_out.kind is None else PathStanding.UNTRACKED
        return found(standing, left_out.sentence(path), left_out.rule)
    problem = _problem(path, source, view)
    if problem is not None:
        return found(PathStanding.PROBLEM, problem.message)
    held = next((at for at in (path, *ancestors(path)) if view.phase(at) is Phase.HELD), None)
    if held is not None and view.hold is not None:
        return found(PathStanding.HELD, f"hold {view.hold.id}: {view.hold.message}")
    return found(*_compared(path, here, there, view))


def _problem(path: RelPath, source: Source, view: View) -> Problem | None:
    above = (source.problems[at] for at in (path, *ancestors(path)) if at in source.problems)
    return view.problem_at(path) or next(above, None)


def _compared(path: RelPath, here: Entry | None, there: Entry | None, view: View) -> tuple[PathStanding, str]:
    phase = view.phase(path)
    if phase in BUSY:
        return PathStanding.PENDING, "it is being read, sent or received"
    if phase in _PHASES:
        return PathStanding.PENDING, _PHASES[phase]
    if here is None and there is None:
        return PathStanding.ABSENT, "neither side has it"
    if not view.was_connected:
        return PathStanding.UNKNOWN, "there has been no session with the server yet"
    if view.keeps_deleted and here is None:
        return PathStanding.KEPT, "it left the source, and DELETE=never keeps it at the replica"
    if equal(here, there, view.attributes) and (here is None or there is None or here.digest == there.digest):
        return PathStanding.EQUAL, "both sides have the same"
    if here is not None and there is not None and here.is_directory and there.is_directory:
        return PathStanding.PENDING, "something in it differs"
    return PathStanding.PENDING, "it differs, and will be compared when the server is connected"
