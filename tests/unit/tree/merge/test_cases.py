"""The table of docs/two-way.md, and what it cannot show."""

import re
from pathlib import Path

import pytest

from dirsync.tree.entry import UNLISTED, Entry, Kind, pack, unpack, unread_digest
from dirsync.tree.merge.decision import Carry, Conflict, Decision, Pending, ReadFirst, Unreadable
from dirsync.tree.merge.merge import merge
from dirsync.tree.merge.policy import Conflicts, Policy, Side
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from tests.support.trees.merging import agree, sync
from tests.unit.tree.builders import entry_of, path_of, put

DOCUMENT = Path(__file__).parents[4] / "docs" / "two-way.md"
NAME = re.compile(rb"\.conflict-[\w.-]+?-\d{8}T\d{6}Z(-\d+)?")


def documented() -> list[tuple[str, ...]]:
    """The rows of the table of cases."""
    table = DOCUMENT.read_text().partition("\n## Cases\n")[2]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [tuple(cell.strip().replace("`", "") for cell in line.strip("|").split("|")) for line in lines]


def tree_of(words: str) -> Tree:
    """A tree of words as in the tests of trees; ``@5`` is an mtime in seconds."""
    tree = Tree()
    for word in words.split():
        name, _, rest = word.partition("@")
        seconds, colon, mode = rest.partition(":")
        put(tree, name + colon + mode)
        path, entry = entry_of(name + colon + mode)
        if seconds:
            tree.put(path, pack(entry._replace(mtime_ns=int(seconds) * 10**9)))
    return tree


def named(tree: Tree) -> dict[bytes, Entry]:
    """What is in a tree, with conflict names shortened."""
    return {NAME.sub(b".conflict", path): unpack(record) for path, record in tree.walk()}


@pytest.mark.parametrize("row", documented(), ids=lambda row: row[0])
def test_documented_case(row: tuple[str, ...]) -> None:
    """Both sides have what the table says, and merging again does nothing."""
    _, before, ours, theirs, after = row
    ancestor, source, replica = tree_of(before), tree_of(ours), tree_of(theirs)
    sync(ancestor, source, replica)

    assert named(tree_of(after)) == named(source) == named(replica) == named(ancestor)
    assert [] == list(merge(ancestor, source, replica, Policy()))


def test_table_is_read() -> None:
    """A table that is not found would prove nothing."""
    assert len(documented()) > 40


@pytest.mark.parametrize("ours, theirs", [("d/:700", "d/:711"), ("d/:711", "d/:700")])
def test_modes_that_were_never_agreed_on(ours: str, theirs: str) -> None:
    """That both have a directory is agreed on at once; of two modes that nobody agreed on the greater is taken."""
    ancestor, source, replica = Tree(), tree_of(ours), tree_of(theirs)
    agree(ancestor, source, replica)
    sync(ancestor, source, replica)

    assert named(tree_of("d/:711")) == named(source) == named(replica) == named(ancestor)


def decided(before: str, ours: str, theirs: str, policy: Policy | None = None) -> list[Decision]:
    """The decisions about three trees."""
    return list(merge(tree_of(before), tree_of(ours), tree_of(theirs), policy or Policy()))


@pytest.mark.parametrize(
    "conflicts, expected",
    [(Conflicts.SOURCE, "a=2@5"), (Conflicts.REPLICA, "a=3@9"), (Conflicts.NEWEST, "a=3@9")],
)
def test_policy_keeps_one(conflicts: Conflicts, expected: str) -> None:
    """The other policies keep no copy."""
    ancestor, source, replica = tree_of("a=1"), tree_of("a=2@5"), tree_of("a=3@9")
    (conflict,) = sync(ancestor, source, replica, Policy(conflicts))

    assert named(tree_of(expected)) == named(source) == named(replica)
    assert (conflicts, None) == (conflict.resolution, conflict.kept_as)


@pytest.mark.parametrize(
    "conflicts, expected",
    [
        (Conflicts.SOURCE, "d=2@9"),
        (Conflicts.REPLICA, "d/x=3"),
        (Conflicts.NEWEST, "d/x=3 d.conflict=2@9"),
    ],
)
def test_policy_for_a_directory_against_a_file(conflicts: Conflicts, expected: str) -> None:
    """A directory gives way only to a side that is set, with everything in it."""
    ancestor, source, replica = tree_of("d/x=1 d/y=1"), tree_of("d=2@9"), tree_of("d/x=3 d/y=1")
    sync(ancestor, source, replica, Policy(conflicts))

    assert named(tree_of(expected)) == named(source) == named(replica)


def test_conflict_is_told_before_it_is_resolved() -> None:
    """The copy comes first, then the conflict, then what replaces the version that was copied."""
    copies, conflict, replaced = (
        decided("a=1", "a=2@9", "a=3@5")[:2],
        decided("a=1", "a=2@9", "a=3@5")[2],
        decided("a=1", "a=2@9", "a=3@5")[3],
    )

    assert isinstance(conflict, Conflict)
    assert (Side.SOURCE, Conflicts.KEEP_BOTH) == (conflict.winner, conflict.resolution)
    assert {Side.SOURCE, Side.REPLICA} == {copy.to for copy in copies if isinstance(copy, Carry)}
    assert {conflict.kept_as} == {copy.change.path for copy in copies if isinstance(copy, Carry)}
    assert isinstance(replaced, Carry)
    assert (Side.REPLICA, b"a") == (replaced.to, replaced.change.path)


def test_taken_conflict_name_is_numbered() -> None:
    """What already has the name and another content keeps it."""
    ancestor = tree_of("a=1")
    source, replica = tree_of("a=2@9"), tree_of("a=3@5")
    sync(ancestor, source, replica, Policy(client="laptop"))
    for tree, word in ((source, "a=4@9"), (replica, "a=5@5")):
        path, entry = entry_of(word.partition("@")[0])
        tree.put(path, pack(entry._replace(mtime_ns=int(word[-1]) * 10**9)))
    sync(ancestor, source, replica, Policy(client="laptop"))

    names = [b"a", b"a.conflict-laptop-19700101T000005Z", b"a.conflict-laptop-19700101T000005Z-2"]
    assert names == [path for path, _ in source.walk()]


def test_what_gives_way_is_read_before_it_is_removed() -> None:
    """By policy a directory gives way with what is in it: each file goes as what it is known to be."""
    decisions = decided("d=1", "d/a?1 d/b=1", "d=2", Policy(Conflicts.REPLICA))
    carried = [decision.change.path for decision in decisions if isinstance(decision, Carry)]

    assert [path_of("d"), path_of("d/b")] == carried
    assert ReadFirst(path_of("d/a")) in decisions


@pytest.mark.parametrize(
    "before, ours, theirs, expected",
    [
        pytest.param("", "a?1", "a=1", [ReadFirst(path_of("a"))], id="perhaps-equal"),
        pytest.param("a=1", "a?1", "", [ReadFirst(path_of("a"))], id="perhaps-unchanged-and-removed"),
        pytest.param(
            "d/a=1", "d/a?1", "", [Pending(path_of("d")), ReadFirst(path_of("d/a"))], id="in-a-removed-directory"
        ),
        pytest.param("a=1", "a?1", "a/x=1", [ReadFirst(path_of("a"))], id="perhaps-unchanged-against-a-directory"),
    ],
)
def test_reads_what_decides(before: str, ours: str, theirs: str, expected: list[Decision]) -> None:
    """A file that was not read is read where its content decides, and nothing is done there before."""
    assert expected == decided(before, ours, theirs)


@pytest.mark.parametrize(
    "before, ours, theirs",
    [
        pytest.param("", "a?1", "", id="new"),
        pytest.param("a=1", "a?1", "a=1", id="only-the-source-can-have-changed"),
        pytest.param("a=1", "a?2", "", id="changed-for-certain"),
    ],
)
def test_reads_nothing_else(before: str, ours: str, theirs: str) -> None:
    """Where the source's version goes to the replica in any case, it is read while it is sent."""
    (decision,) = decided(before, ours, theirs)

    assert isinstance(decision, Carry)
    assert Side.REPLICA is decision.to


def test_leaves_alone_what_the_server_cannot_read() -> None:
    """A file, and a directory, of the replica of which nothing is known; others beside them are merged."""
    ancestor, source, replica = tree_of("a=1 d/x=1 e/f/x=1 e/y=1"), tree_of("b=1"), tree_of("a=1 d/ e/f/ e/y=1")
    replica.put(path_of("a"), pack(entry_of("a=1")[1]._replace(digest=unread_digest(b""))))
    for path in (path_of("d"), path_of("e/f")):
        replica.put(path, pack(entry_of("d/")[1]._replace(digest=UNLISTED)))
    decisions = list(merge(ancestor, source, replica, Policy()))

    assert {path_of(text) for text in ("a", "d", "e/f")} == {d.path for d in decisions if isinstance(d, Unreadable)}
    assert [b"b", b"e/y"] == [d.change.path for d in decisions if isinstance(d, Carry)]


def test_keeps_a_directory_above_a_problem() -> None:
    """What the other side removed is removed, but for what leads to a path of which nothing is known."""
    ancestor, source, replica = tree_of("d/x=1 d/p/q=1"), tree_of("d/x=1 d/p/q=1"), tree_of("")
    decisions = list(merge(ancestor, source, replica, Policy(), protected={path_of("d/p/q")}))

    assert [path_of("d/x")] == [decision.change.path for decision in decisions if isinstance(decision, Carry)]


def test_deep_trees() -> None:
    """Nothing recurses: a chain of many directories is merged like any other."""
    ancestor, source, replica = Tree(), Tree(), Tree()
    path = RelPath(b"/".join([b"d"] * 3000))
    for depth in range(len(path) // 2 + 1):
        for tree in (ancestor, source):
            tree.put(RelPath(path[: 2 * depth + 1]), pack(Entry(Kind.DIRECTORY, 0o755)))
    sync(ancestor, source, replica)

    assert 0 == len(source) == len(replica) == len(ancestor)


def test_other_attributes_are_refused() -> None:
    """Trees that count different metadata cannot be compared."""
    with pytest.raises(ValueError, match="attributes"):
        list(merge(Tree(), Tree(Attributes(mtime=False)), Tree(), Policy()))
