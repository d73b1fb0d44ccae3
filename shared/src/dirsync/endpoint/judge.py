"""Decides whether an operation may be applied: what is at its paths now, against what its planner saw there. Pure.

The planner sends with each operation what it expects at its paths. The facts are read elsewhere
(:mod:`dirsync.endpoint.apply.facts`); the same facts always give the same judgement. An operation whose result is there
already was applied before and its acknowledgement was lost, so it counts as done.
"""

import enum
from typing import NamedTuple

from dirsync.tree.entry import UNKNOWN, Entry, Kind, is_known
from dirsync.tree.options import Attributes
from dirsync.tree.plan import (
    BuildDirectory,
    CopyContent,
    Delete,
    MakeDirectory,
    Move,
    Operation,
    PutFile,
    PutSymlink,
    SetMetadata,
    TryFile,
)


class Judgement(enum.Enum):
    """What becomes of an operation."""

    APPLY = enum.auto()
    DONE = enum.auto()
    """Its result is there already."""
    CHANGED = enum.auto()
    """Something else than expected is there."""
    NO_PARENT = enum.auto()
    """There is no directory that could hold the path."""
    SOURCE_IN_THE_WAY = enum.auto()
    """What is at the source of a move is not mirrored."""
    IN_THE_WAY = enum.auto()
    """What is at the path is not mirrored."""


class Obstacle(enum.Enum):
    """What is at a path where the tree has nothing."""

    NONE = enum.auto()
    DIRECTORY = enum.auto()
    """A directory that lives through ignored content."""
    OTHER = enum.auto()


class Facts(NamedTuple):
    """What is at one path now."""

    entry: Entry | None
    """What is mirrored there. A directory's digest is needed for a move only."""
    has_parent: bool = True
    """Whether there is a directory that holds the path, or could."""
    obstacle: Obstacle = Obstacle.NONE


def judge(operation: Operation, facts: Facts, attributes: Attributes) -> Judgement:
    """What becomes of an operation on one path; ``attributes`` are those that the session preserves."""
    assert not isinstance(operation, Move), "a move has two paths"
    if not (facts.has_parent or isinstance(operation, Delete)):
        return Judgement.NO_PARENT
    usable = facts.obstacle is Obstacle.DIRECTORY and isinstance(operation, MakeDirectory)
    if facts.obstacle is not Obstacle.NONE and not usable:
        return Judgement.IN_THE_WAY
    if _is_done(operation, facts.entry, attributes):
        return Judgement.DONE
    return Judgement.APPLY if is_expected(operation.expected, facts.entry) else Judgement.CHANGED


def judge_move(move: Move, target: Facts, source: Facts) -> Judgement:
    """What becomes of a move; directories come with their digests, because everything in them is moved."""
    if not target.has_parent:
        return Judgement.NO_PARENT
    if target.obstacle is not Obstacle.NONE:
        return Judgement.IN_THE_WAY
    if source.obstacle is not Obstacle.NONE:
        return Judgement.SOURCE_IN_THE_WAY
    if is_exactly(move.source_expected, source.entry) and _may_be_replaced(move, target.entry):
        return Judgement.APPLY
    return Judgement.DONE if _is_moved(move, target.entry, source.entry) else Judgement.CHANGED


def _may_be_replaced(move: Move, there: Entry | None) -> bool:
    if move.exchange:
        return move.expected is not None and is_exactly(move.expected, there)
    return is_expected(move.expected, there)


def _is_moved(move: Move, there: Entry | None, left: Entry | None) -> bool:
    if not is_exactly(move.source_expected, there):
        return False
    if move.exchange:
        return move.expected is not None and is_exactly(move.expected, left)
    return left is None


def _is_done(operation: Operation, current: Entry | None, attributes: Attributes) -> bool:
    match operation:
        case Delete():
            return current is None
        case PutFile(entry=wanted) | CopyContent(entry=wanted) | PutSymlink(entry=wanted) | SetMetadata(entry=wanted):
            if current is None or not is_known(wanted.digest):
                return False
            return attributes.normalize(current) == attributes.normalize(wanted)
        case MakeDirectory() | BuildDirectory() | Move() | TryFile():
            return False


def is_expected(expected: Entry | None, current: Entry | None) -> bool:
    """Whether what is there is what the planner saw: the same kind and, save of a directory, the same digest."""
    if expected is None or current is None:
        return expected is None and current is None
    return expected.kind is current.kind and (expected.kind is Kind.DIRECTORY or _same_digest(expected, current))


def is_exactly(expected: Entry, current: Entry | None) -> bool:
    """As :func:`is_expected`, a directory's digest included. One that could not be listed is none that was expected."""
    if current is None or expected.kind is not current.kind or (current.is_directory and not is_known(current.digest)):
        return False
    return _same_digest(expected, current)


def _same_digest(expected: Entry, current: Entry) -> bool:
    return expected.digest == current.digest != UNKNOWN
