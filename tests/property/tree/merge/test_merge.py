"""Both sides end equal, nothing that was written is lost, and nothing that was removed comes back."""

from hypothesis import given
from hypothesis import strategies as st

from dirsync.tree.diff import equal
from dirsync.tree.entry import UNKNOWN, Kind, pack, unpack
from dirsync.tree.merge.decision import Carry
from dirsync.tree.merge.merge import merge
from dirsync.tree.merge.policy import Conflicts, Policy
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.tree import Tree
from tests.property.strategies import paths, perturbed, trees, unread
from tests.support.trees.merging import carry_out, sync

policies = st.builds(Policy, st.sampled_from(Conflicts))
Content = tuple[Kind, bytes]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Tree, Tree, Tree]:
    """What both had, and what each made of it."""
    origin = draw(trees())
    return origin, draw(perturbed(origin)), draw(perturbed(origin))


def contents(tree: Tree) -> dict[RelPath, Content]:
    """What files and links hold, by path."""
    entries = {path: unpack(record) for path, record in tree.walk()}
    return {path: (entry.kind, entry.digest) for path, entry in entries.items() if not entry.is_directory}


@given(histories(), policies)
def test_both_sides_end_equal(history: tuple[Tree, Tree, Tree], policy: Policy) -> None:
    """Carried out, every decision together makes both sides the same, and the ancestor with them."""
    ancestor, source, replica = history
    sync(ancestor, source, replica, policy)

    assert source.digest() == replica.digest() == ancestor.digest()
    assert [] == list(merge(ancestor, source, replica, policy))


@given(histories())
def test_nothing_that_was_written_is_lost(history: tuple[Tree, Tree, Tree]) -> None:
    """Content that a side has and that was not agreed on at that path is at the end at some path."""
    ancestor, source, replica = history
    before = contents(ancestor)
    written = {
        content for side in (source, replica) for path, content in contents(side).items() if before.get(path) != content
    }
    sync(ancestor, source, replica)

    assert written <= set(contents(source).values())


@given(histories(), policies)
def test_what_nobody_touched_stays(history: tuple[Tree, Tree, Tree], policy: Policy) -> None:
    """Where both sides have what was agreed on, they have it afterwards."""
    ancestor, source, replica = history
    untouched = {
        path: content
        for path, content in contents(ancestor).items()
        if contents(source).get(path) == content == contents(replica).get(path)
    }
    sync(ancestor, source, replica, policy)

    assert untouched.items() <= contents(source).items()


@given(histories(), policies)
def test_what_was_removed_does_not_come_back(history: tuple[Tree, Tree, Tree], policy: Policy) -> None:
    """A path that no side has is not there afterwards, and one that a side removed and the other left alone is not."""
    ancestor, source, replica = history
    attributes = source.attributes
    before = set(contents(ancestor))
    gone = {
        path
        for path in before
        if (path not in source and path not in replica)
        or (path not in source and equal(ancestor.get(path), replica.get(path), attributes))
        or (path not in replica and equal(ancestor.get(path), source.get(path), attributes))
    }
    sync(ancestor, source, replica, policy)

    assert not gone & set(contents(source))


@given(histories())
def test_without_an_ancestor_nothing_is_removed(history: tuple[Tree, Tree, Tree]) -> None:
    """All paths and all contents of both sides are there; what was equal is one."""
    _, source, replica = history
    known = {path for side in (source, replica) for path, _ in side.walk()}
    held = {content for side in (source, replica) for content in contents(side).values()}
    sync(Tree(source.attributes), source, replica)

    assert known <= {path for path, _ in source.walk()}
    assert held <= set(contents(source).values())


@given(histories(), st.sampled_from((Conflicts.KEEP_BOTH, Conflicts.NEWEST)))
def test_the_sides_are_treated_alike(history: tuple[Tree, Tree, Tree], conflicts: Conflicts) -> None:
    """With the sides exchanged the outcome is the same tree."""
    ancestor, source, replica = history
    policy = Policy(conflicts)
    ours, theirs = source.copy(), replica.copy()
    carry_out(merge(ancestor, source, replica, policy), source, replica)
    carry_out(merge(ancestor, theirs, ours, policy), theirs, ours)

    assert source.digest() == ours.digest()


@given(histories(), st.data())
def test_an_interrupted_merge_is_completed(history: tuple[Tree, Tree, Tree], data: st.DataObject) -> None:
    """What was carried out before a crash is not undone, and no version is kept twice."""
    ancestor, source, replica = history
    whole = ancestor.copy(), source.copy(), replica.copy()
    sync(*whole)
    decisions = list(merge(ancestor, source, replica, Policy()))
    carry_out(decisions[: data.draw(st.integers(0, len(decisions)))], source, replica)
    sync(ancestor, source, replica)

    assert whole[1].digest() == source.digest() == replica.digest()


@given(histories(), st.data())
def test_merging_by_paths_is_a_part_of_the_whole(history: tuple[Tree, Tree, Tree], data: st.DataObject) -> None:
    """Path by path the sides end equal too."""
    ancestor, source, replica = history
    there = sorted({path for tree in history for path, _ in tree.walk()})
    for _ in range(2):  # a copy under a conflict name may come between
        for path in data.draw(st.permutations(there)):
            carry_out(merge(ancestor, source, replica, Policy(), (path,)), source, replica)
    sync(ancestor, source, replica)

    assert source.digest() == replica.digest()
    assert [] == list(merge(ancestor, source, replica, Policy()))


@given(histories(), st.data())
def test_what_was_not_read_is_decided_later(history: tuple[Tree, Tree, Tree], data: st.DataObject) -> None:
    """Files of the source that were not read are waited for where it matters; the end is the same."""
    ancestor, source, replica = history
    whole = ancestor.copy(), source.copy(), replica.copy()
    sync(*whole)
    scanned = data.draw(unread(source))
    decisions = list(merge(ancestor, scanned, replica, Policy()))
    carry_out(decisions, scanned, replica)
    carried = {decision.change.path for decision in decisions if isinstance(decision, Carry)}
    for path, record in list(scanned.walk()):
        entry, known = unpack(record), source.get(path)
        if entry.digest == UNKNOWN and entry.kind is Kind.FILE and known is not None:
            scanned.put(path, pack(known))
            if path in carried:
                replica.put(path, pack(known))
    sync(ancestor, scanned, replica)

    assert whole[1].digest() == scanned.digest() == replica.digest()


@given(histories(), policies, st.lists(paths, max_size=3))
def test_paths_with_a_problem_are_left_alone(
    history: tuple[Tree, Tree, Tree], policy: Policy, protected: list[RelPath]
) -> None:
    """Neither they, nor what is below them, nor the directories above them are removed or replaced."""
    ancestor, source, replica = history
    decisions = list(merge(ancestor, source, replica, policy, protected=protected))
    changes = [decision.change for decision in decisions if isinstance(decision, Carry)]

    assert not [change for change in changes if any(is_within(change.path, path) for path in protected)]
    removed = [
        c.path for c in changes if c.old is not None and c.old.is_directory and not (c.new and c.new.is_directory)
    ]
    assert not [path for path in removed if any(is_within(at, path) for at in protected)]
