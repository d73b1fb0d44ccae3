"""A scan of a whole root at once, with everything that it found."""

from dataclasses import dataclass, field

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.fs.root import Root
from dirsync.fs.scan.rules import DEFAULT_RULES, ScanRules
from dirsync.fs.scan.walk import scan_steps
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.problem import Problem
from dirsync.tree.tree import Tree


@dataclass(slots=True)
class Snapshot:
    """What one scan of a root found."""

    tree: Tree
    problems: dict[RelPath, Problem] = field(default_factory=dict)
    untracked: int = 0
    mounts_changed: set[RelPath] = field(default_factory=set)


def scan_tree(
    root: Root, tree: Tree, rules: ScanRules = DEFAULT_RULES, start: RelPath = ROOT, now: WallNanoseconds = wall_ns
) -> Snapshot:
    """Bring the tree up to date below ``start``, and return what was found there beside entries."""
    snapshot = Snapshot(tree)
    for step in scan_steps(root, tree, rules, (start,), now=now):
        snapshot.problems.update((problem.path, problem) for problem in step.problems)
        snapshot.untracked += step.untracked
        snapshot.mounts_changed.update(step.mounts_changed)
    return snapshot
