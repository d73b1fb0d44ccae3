"""T1: applying the difference produces the other tree, by changes and by steps, in any order that is allowed."""

from collections.abc import Callable, Iterable

from hypothesis import given
from hypothesis import strategies as st

from dirsync.tree.diff import Change, diff, diff_paths
from dirsync.tree.entry import Entry, directory_entry, pack, unpack
from dirsync.tree.path import RelPath, ancestors, components, is_within
from dirsync.tree.plan import BuildDirectory, Delete, MakeDirectory, Move, Operation, Plan, needs_digest
from dirsync.tree.tree import Tree
from tests.property.strategies import pairs, paths, unread
from tests.support.trees.plans import apply


def patched(tree: Tree, changes: Iterable[Change]) -> Tree:
    """A copy with the changes applied."""
    twin = tree.copy()
    apply(twin, changes)
    return twin


def content_of(tree: Tree) -> dict[RelPath, Entry]:
    """Everything in a tree."""
    return {path: unpack(record) for path, record in tree.walk()}


@given(pairs())
def test_applied_difference_is_the_source(pair: tuple[Tree, Tree]) -> None:
    """T1 by digest, and the difference is then nothing."""
    replica, source = pair
    result = patched(replica, diff(replica, source))

    assert source.digest() == result.digest()
    assert [] == list(diff(result, source))


@given(pairs())
def test_difference_is_minimal_and_in_order(pair: tuple[Tree, Tree]) -> None:
    """Each change is a path that really differs, each once, in the order of a walk."""
    replica, source = pair
    normalize = replica.attributes.normalize
    before, after = content_of(replica), content_of(source)
    differing = {
        path
        for path in before.keys() | after.keys()
        if (old := before.get(path)) is None or (new := after.get(path)) is None or normalize(old) != normalize(new)
    }

    assert sorted(differing, key=components) == [change.path for change in diff(replica, source)]


@given(pairs(), st.data())
def test_unread_files_are_changes(pair: tuple[Tree, Tree], data: st.DataObject) -> None:
    """Reading what must be read, and applying what then differs, produces the source."""
    replica, source = pair
    scanned = data.draw(unread(source))
    changes = list(diff(replica, scanned))
    result = patched(replica, changes)

    assert scanned.digest() == result.digest()
    for path, old, new in filter(needs_digest, changes):
        assert old is not None
        assert new is not None
        assert old.size == new.size
        assert replica.get(path) == old


@given(pairs(), st.lists(paths, max_size=4))
def test_difference_of_paths_is_a_part_of_the_whole(pair: tuple[Tree, Tree], asked: list[RelPath]) -> None:
    """By paths come the changes at and below them, and no more than makes them possible, each as in the whole."""
    replica, source = pair
    whole = list(diff(replica, source))
    part = list(diff_paths(replica, source, asked))
    needed = {change for change in whole if any(is_within(change.path, path) for path in asked)}

    assert needed <= set(part)
    assert part == [change for change in whole if change in set(part)]
    result = patched(replica, part)
    assert [] == list(diff_paths(result, source, asked))


@given(pairs(), st.sets(paths, max_size=4))
def test_protected_paths_lose_nothing(pair: tuple[Tree, Tree], protected: set[RelPath]) -> None:
    """Nothing protected is deleted or replaced, nothing above it goes, and the rest is as in the source."""
    replica, source = pair
    result = patched(replica, diff(replica, source, protected))
    after = content_of(result)
    for path, entry in content_of(replica).items():
        above = next((top for top in [path, *ancestors(path)] if top in protected), None)
        if above is None:
            continue
        if above != path:
            assert source.directory(above) is not None or entry == after[path]
            assert replica.directory(above) is None or entry == after[path]
        elif source.directory(path) is None:
            assert entry == after[path]

    assert [] == list(diff(result, source, protected))


@given(pairs(), st.sets(paths, max_size=2))
def test_whatever_is_not_protected_becomes_equal(pair: tuple[Tree, Tree], protected: set[RelPath]) -> None:
    """Protection reaches what is above and below, and no further."""
    replica, source = pair
    result = content_of(patched(replica, diff(replica, source, protected)))
    normalize = replica.attributes.normalize

    def reached(path: RelPath) -> bool:
        return any(is_within(path, other) or is_within(other, path) for other in protected)

    expected = {path: normalize(entry) for path, entry in content_of(source).items() if not reached(path)}

    assert expected == {path: normalize(entry) for path, entry in result.items() if not reached(path)}


def perform(tree: Tree, step: Operation) -> None:
    """What the replica does: check what is expected, then act on one path."""
    there = tree.get(step.path)
    if step.expected is None or there is None:
        assert there is step.expected
    elif step.expected.is_directory:
        assert there.is_directory
    else:
        assert (step.expected.kind, step.expected.digest) == (there.kind, there.digest)
    directory = tree.directory(step.path)
    match step:
        case MakeDirectory():
            tree.put(step.path, pack(directory_entry(step.mode)))
        case Delete():
            assert directory is None or not directory.children
            tree.remove(step.path)
        case Move(exchange=True):
            tree.exchange(step.source, step.path)
        case Move():
            assert directory is None
            tree.move(step.source, step.path)
        case BuildDirectory():
            raise AssertionError(step)
        case _:
            assert directory is None or not directory.children or step.entry.is_directory
            tree.put(step.path, pack(step.entry))


def shuffled(
    steps: list[Operation], data: st.DataObject, comes_before: Callable[[RelPath, RelPath], bool]
) -> list[Operation]:
    """Any order that keeps each path's dependencies."""
    left, order = list(steps), []
    while left:
        ready = [step for step in left if not any(comes_before(other.path, step.path) for other in left)]
        step = data.draw(st.sampled_from(ready))
        left.remove(step)
        order.append(step)
    return order


def is_above(first: RelPath, second: RelPath) -> bool:
    """Whether the first path is a directory on the way to the second."""
    return first != second and is_within(second, first)


@given(pairs())
def test_performed_plan_is_the_source(pair: tuple[Tree, Tree]) -> None:
    """Each step finds what it expects, in the plan's own order, and the result is the source."""
    replica, source = pair
    plan = Plan(diff(replica, source))
    result = replica.copy()
    for step in plan.immediate():
        perform(result, step)
    for step in plan.deletes:
        perform(result, step)

    assert source.digest() == result.digest()


@given(pairs(), st.data())
def test_independent_steps_go_in_any_order(pair: tuple[Tree, Tree], data: st.DataObject) -> None:
    """Within a phase only directories order steps: made before their content, removed after it."""
    replica, source = pair
    plan = Plan(diff(replica, source))
    immediate = list(plan.immediate())
    result = replica.copy()
    for step in shuffled(immediate, data, is_above):
        perform(result, step)
    for step in shuffled(plan.deletes, data, lambda first, second: is_above(second, first)):
        perform(result, step)

    assert source.digest() == result.digest()
