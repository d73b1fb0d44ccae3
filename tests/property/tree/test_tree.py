"""Trees by machine: however one came about, its digest is that of what is in it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from dirsync.tree.entry import Entry, Record, directory_entry, pack, unpack
from dirsync.tree.options import Attributes
from dirsync.tree.path import InvalidPath, RelPath, components, escape, is_within, parse_path, split, unescape
from dirsync.tree.tree import Tree
from tests.property import strategies
from tests.property.strategies import entries, paths, plant, trees

if TYPE_CHECKING:
    from dirsync.tree.directory import Directory


def rebuilt(content: dict[RelPath, Entry], attributes: Attributes | None = None) -> Tree:
    """A tree made from scratch, in another order."""
    tree = Tree(attributes)
    for path in sorted(content, key=lambda path: (len(components(path)), path[::-1])):
        tree.put(path, pack(content[path]))
    return tree


def content_of(tree: Tree) -> dict[RelPath, Entry]:
    """Everything in a tree."""
    return {path: unpack(record) for path, record in tree.walk()}


def below(content: dict[RelPath, Entry], path: RelPath) -> dict[RelPath, Entry]:
    """What is at a path and below it, relative to it."""
    return {RelPath(other[len(path) :]): entry for other, entry in content.items() if is_within(other, path)}


def without(content: dict[RelPath, Entry], path: RelPath) -> dict[RelPath, Entry]:
    """Everything else."""
    return {other: entry for other, entry in content.items() if not is_within(other, path)}


def at(path: RelPath, branch: dict[RelPath, Entry]) -> dict[RelPath, Entry]:
    """What :func:`below` gave, at a path."""
    return {RelPath(path + rest): entry for rest, entry in branch.items()}


class AnyEdits(RuleBasedStateMachine):
    """A tree and a dictionary go through the same edits; digests are asked for at any moment, of any directory."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = Tree()
        self.model: dict[RelPath, Entry] = {}
        self.taken: tuple[Record | Directory, dict[RelPath, Entry]] | None = None
        """A node that is in no tree, and its content."""

    @rule(path=paths, entry=entries)
    def put(self, path: RelPath, entry: Entry) -> None:
        """Put an entry, making parents."""
        plant(self.tree, path, entry)
        self.model = content_of(self.tree)
        assert entry == self.model[path]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """Remove what is there."""
        path = data.draw(st.sampled_from(sorted(self.model)))
        self.tree.remove(path)
        self.model = without(self.model, path)

    @rule(path=paths)
    def take(self, path: RelPath) -> None:
        """Detach what is there, if anything is."""
        node = self.tree.take(path)
        if node is None:
            assert path not in self.model
            return
        self.taken = node, below(self.model, path)
        self.model = without(self.model, path)

    @precondition(lambda self: self.taken)
    @rule(path=paths)
    def graft(self, path: RelPath) -> None:
        """Put what was detached anywhere, whatever happened since."""
        assert self.taken is not None
        node, branch = self.taken
        if not self.is_directory(split(path)[0]):
            with pytest.raises(KeyError):
                self.tree.graft(path, node)
            return
        self.tree.graft(path, node)
        self.taken, self.model = None, without(self.model, path) | at(path, branch)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), path=paths)
    def move(self, data: st.DataObject, path: RelPath) -> None:
        """Move what is there anywhere; where that cannot be, nothing has changed."""
        source = data.draw(st.sampled_from(sorted(self.model)))
        if is_within(path, source) or is_within(source, path):
            with pytest.raises(ValueError, match="lies within"):
                self.tree.move(source, path)
        elif not self.is_directory(split(path)[0]):
            with pytest.raises(KeyError):
                self.tree.move(source, path)
        else:
            self.tree.move(source, path)
            branch = below(self.model, source)
            self.model = without(without(self.model, source), path) | at(path, branch)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), other=paths)
    def exchange(self, data: st.DataObject, other: RelPath) -> None:
        """Exchange two nodes; where that cannot be, nothing has changed."""
        path = data.draw(st.sampled_from(sorted(self.model)))
        if is_within(path, other) or is_within(other, path):
            with pytest.raises(ValueError, match="lies within"):
                self.tree.exchange(path, other)
        elif other not in self.model:
            with pytest.raises(KeyError):
                self.tree.exchange(path, other)
        else:
            self.tree.exchange(path, other)
            one, two = below(self.model, path), below(self.model, other)
            self.model = without(without(self.model, path), other) | at(path, two) | at(other, one)

    @rule(path=paths)
    def ask(self, path: RelPath) -> None:
        """Ask for one digest, which brings only that part up to date."""
        if self.tree.directory(path) is not None:
            self.tree.digest(path)

    @rule()
    def copy(self) -> None:
        """Go on with a copy, up to date or not."""
        self.tree = self.tree.copy()

    def is_directory(self, path: RelPath) -> bool:
        """Whether the model has a directory there."""
        return not path or (path in self.model and self.model[path].is_directory)

    @invariant()
    def content(self) -> None:
        """The tree holds what the model holds, in order."""
        assert self.model == content_of(self.tree)
        assert len(self.model) == len(self.tree)
        assert sorted(self.model, key=components) == [path for path, _ in self.tree.walk()]

    def teardown(self) -> None:
        """The digest is that of a tree made from scratch, and so is that of every directory."""
        fresh = rebuilt(self.model)

        assert fresh.digest() == self.tree.digest()
        assert list(fresh.entries()) == list(self.tree.entries())


TestAnyEdits = AnyEdits.TestCase


@given(trees(), strategies.attributes)
def test_copy_under_other_attributes_is_as_rebuilt(tree: Tree, attributes: Attributes) -> None:
    """What counts can be changed with a copy, wherever the original's digests stand."""
    expected = rebuilt(content_of(tree), attributes).digest()

    assert expected == tree.copy(attributes).digest()
    tree.digest()
    assert expected == tree.copy(attributes).digest()


@given(trees())
def test_digest_of_every_directory_is_as_rebuilt(tree: Tree) -> None:
    """Every directory's digest is that of its content alone."""
    content = content_of(tree)
    for path in (path for path, entry in content.items() if entry.is_directory):
        below = {
            RelPath(other[len(path) + 1 :]): entry
            for other, entry in content.items()
            if other != path and is_within(other, path)
        }

        assert rebuilt(below, tree.attributes).digest() == tree.digest(path)


@given(st.binary() | st.lists(st.sampled_from((b".", b"..", b"", b"a", b"\0", b"/"))).map(b"/".join))
def test_path_is_clean_or_refused(raw: bytes) -> None:
    """Whatever bytes come, a path is what it was and cannot climb, or it is refused."""
    try:
        path = parse_path(raw)
    except InvalidPath:
        return

    assert raw == path
    assert path.find(b"\0") == -1
    assert not {b"", b".", b".."} & set(components(path))


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_escaped_name_is_one_harmless_line(raw: bytes) -> None:
    """Whatever the name, its text is printable, of one line, and can be parsed back."""
    text = escape(raw)

    assert text.isprintable()
    assert len(text.splitlines()) <= 1
    assert raw == unescape(text)


@given(rows=st.dictionaries(paths, entries, max_size=15), kept=strategies.attributes, path=paths, entry=entries)
def test_filled_at_once(rows: dict[RelPath, Entry], kept: Attributes, path: RelPath, entry: Entry) -> None:
    """A tree that is filled at once is the one that is put entry by entry, also for what is changed afterwards."""
    single, whole = Tree(kept), Tree(kept)
    orphans = []
    for at_path, each in sorted(rows.items()):
        try:
            single.put(at_path, pack(each))
        except KeyError:
            orphans.append(at_path)
    left_out = whole.fill((at_path, pack(each)) for at_path, each in sorted(rows.items()))
    assert (orphans, content_of(single)) == (left_out, content_of(whole))
    for tree in (single, whole):
        plant(tree, path, entry)

    assert (len(single), single.root.entries) == (len(whole), whole.root.entries)
    assert (content_of(single), single.digest()) == (content_of(whole), whole.digest())


def test_filling_that_breaks_off() -> None:
    """What came before an error is in the tree, which counts it."""
    directory = pack(directory_entry(0o755))

    def rows() -> Iterator[tuple[RelPath, Record]]:
        yield RelPath(b"a"), directory
        yield RelPath(b"a/b"), directory
        raise OSError(5, "broken")

    tree = Tree()
    with pytest.raises(OSError, match="broken"):
        tree.fill(rows())

    assert [b"a", b"a/b"] == [path for path, _ in tree.walk()]
    assert (2, 2, rebuilt(content_of(tree)).digest()) == (len(tree), tree.root.entries, tree.digest())
