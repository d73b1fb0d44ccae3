"""``dirsync-client plan`` of a two-way client: what would go which way, and what is in conflict."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from dirsync.endpoint.source.source import Source
from dirsync.fs.index.index import Index
from dirsync.fs.read.hashing import Digester
from dirsync.tree.entry import Record
from dirsync.tree.merge.decision import Carry, Conflict, Decision, ReadFirst, Unreadable
from dirsync.tree.merge.merge import merge
from dirsync.tree.merge.policy import Policy, Side
from dirsync.tree.path import RelPath, escape, unescape
from dirsync.tree.plan import OPERATION_NAMES, PutFile, operation
from dirsync.tree.problem import Problem, ProblemKind
from dirsync.tree.tree import Tree
from dirsync_client.agreed_tree import file_name
from dirsync_client.commands.outline import show
from dirsync_client.transfer.hasher import hash_file

_ARROWS: Final = {Side.REPLICA: "->", Side.SOURCE: "<-"}


class Direction(NamedTuple):
    """One line: an operation, and the side that it changes."""

    to: str
    operation: str
    path: str
    bytes: int
    """Bytes of the file, most of which may be there already."""


class TwoWayPlan(NamedTuple):
    """What a sync would do."""

    operations: list[Direction]
    conflicts: list[Conflict]
    problems: list[Problem]

    def as_data(self) -> dict[str, Any]:
        """For programs."""
        conflicts = [
            {
                "path": escape(conflict.path),
                "winner": conflict.winner.value,
                "resolution": conflict.resolution.value,
                "kept_as": None if conflict.kept_as is None else escape(conflict.kept_as),
            }
            for conflict in self.conflicts
        ]
        problems = [{"path": escape(p.path), "kind": p.kind.value, "message": p.message} for p in self.problems]
        operations = [line._asdict() for line in self.operations]
        return {"operations": operations, "conflicts": conflicts, "problems": problems}

    def print(self, *, everything: bool) -> None:
        """For people: an arrow to the replica, or back, for each operation."""
        arrows = {side.value: arrow for side, arrow in _ARROWS.items()}
        told = [
            (line.operation, unescape(line.path), f"{arrows[line.to]} {line.operation:<15}{line.path}")
            for line in self.operations
        ]
        show(told, everything=everything)
        for conflict in self.conflicts:
            print(f"conflict: {_sentence(conflict)}")
        for problem in self.problems:
            print(f"problem: {problem.message}")
        there = sum(line.to == Side.REPLICA.value for line in self.operations)
        here = len(self.operations) - there
        print(f"{there} operations at the replica, {here} at the source, {len(self.conflicts)} conflicts")


def plan_two_way(source: Source, replica: Tree, state_dir: Path, replica_id: str, policy: Policy) -> TwoWayPlan:
    """What a sync would do, now that both sides are known. Files of the source are read where that decides."""
    ancestor = Tree(source.tree.attributes)
    index = Index.open(state_dir, file_name(replica_id), read_only=True)
    index.load(ancestor)
    index.close()
    problems = dict(source.problems)
    digester = Digester(source.root)
    while True:
        decisions = list(merge(ancestor, source.tree, replica, policy, protected=problems))
        unread = [decision.path for decision in decisions if isinstance(decision, ReadFirst)]
        if not unread:
            break
        for path in unread:
            found = hash_file(digester, path)
            if isinstance(found, bytes):
                source.tree.put(path, Record(found))
            else:
                problems[path] = found or Problem(path, ProblemKind.CHANGING, f"{escape(path)} changes")
    conflicts = [decision for decision in decisions if isinstance(decision, Conflict)]
    unreadable = [decision.path for decision in decisions if isinstance(decision, Unreadable)]
    told = [*problems.values(), *map(_unreadable, unreadable)]
    return TwoWayPlan(list(_directions(decisions)), conflicts, told)


def _directions(decisions: list[Decision]) -> Iterator[Direction]:
    for decision in decisions:
        if isinstance(decision, Carry):
            step = operation(decision.change)
            size = step.entry.size if isinstance(step, PutFile) else 0
            yield Direction(decision.to.value, OPERATION_NAMES[type(step)], escape(step.path), size)


def _sentence(conflict: Conflict) -> str:
    kept = "is not kept" if conflict.kept_as is None else f"is kept as {escape(conflict.kept_as)}"
    return f"{escape(conflict.path)}: the version of the {conflict.winner.value} gets the name, the other {kept}"


def _unreadable(path: RelPath) -> Problem:
    return Problem(path, ProblemKind.UNREADABLE, f"the server cannot read {escape(path)} at the replica")
