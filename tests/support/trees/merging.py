"""Carrying out what a merge decided, on trees, as both sides would."""

from collections.abc import Iterable

from dirsync.tree.diff import Change
from dirsync.tree.entry import pack
from dirsync.tree.merge.agreed import newly_agreed
from dirsync.tree.merge.decision import Carry, Conflict, Decision
from dirsync.tree.merge.merge import merge
from dirsync.tree.merge.policy import Policy, Side
from dirsync.tree.tree import Tree


def carry_out(decisions: Iterable[Decision], source: Tree, replica: Tree) -> list[Conflict]:
    """Apply every carry to its side, in order; returns the conflicts.

    Each change says what its side has, and that is checked.
    """
    decided = list(decisions)
    for side, tree in ((Side.SOURCE, source), (Side.REPLICA, replica)):
        changes = [decision.change for decision in decided if isinstance(decision, Carry) and decision.to is side]
        _apply(tree, changes)
    return [decision for decision in decided if isinstance(decision, Conflict)]


def sync(ancestor: Tree, source: Tree, replica: Tree, policy: Policy | None = None) -> list[Conflict]:
    """Merge, carry out, and bring the ancestor up to date; returns the conflicts."""
    conflicts = carry_out(merge(ancestor, source, replica, policy or Policy()), source, replica)
    agree(ancestor, source, replica)
    return conflicts


def agree(ancestor: Tree, source: Tree, replica: Tree) -> None:
    """Bring the ancestor up to date."""
    for path, _, new in newly_agreed(ancestor, source, replica):
        if new is None:
            ancestor.remove(path)
        else:
            ancestor.put(path, pack(new))


def _apply(tree: Tree, changes: list[Change]) -> None:
    seen: set[bytes] = set()
    gone: set[bytes] = set()
    for path, old, new in changes:
        assert path not in seen, "a path is changed once"
        seen.add(path)
        there = tree.get(path)
        parent_went = any(path.startswith(above + b"/") for above in gone)
        if not parent_went:
            assert (there is None) == (old is None)
            if there is not None and old is not None and not old.is_directory:
                assert old == there
        if new is None or (old is not None and old.is_directory and not new.is_directory):
            gone.add(path)
        if new is None:
            tree.remove(path)
        else:
            tree.put(path, pack(new))
