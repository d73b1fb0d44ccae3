"""Playing changes onto a tree, and the overwrites of a plan for a foreign replica."""

from collections.abc import Iterable, Iterator

from dirsync.tree.diff import Change
from dirsync.tree.entry import pack
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.plan import MakeDirectory, Operation
from dirsync.tree.tree import Tree


def apply(tree: Tree, changes: Iterable[Change]) -> None:
    """Play ``changes`` onto ``tree``.

    Raises:
        KeyError: a change's parent is no directory of the tree.
    """
    for path, _, new in changes:
        if new is None:
            tree.remove(path)
        else:
            tree.put(path, pack(new))


def set_apart(steps: Iterable[Operation], overwrites: list[Operation]) -> Iterator[Operation]:
    """Yield the immediate steps that only add; collect those that change what is there, or need that first.

    Steps come parents before children, as :meth:`dirsync.tree.plan.Plan.immediate` yields them.
    """
    replaced: RelPath | None = None
    for step in steps:
        if step.expected is None and (replaced is None or not is_within(step.path, replaced)):
            yield step
            continue
        overwrites.append(step)
        if step.expected is not None and isinstance(step, MakeDirectory):
            replaced = step.path
