"""Trees by hand: what is where, and which digests follow."""

import hashlib
import struct
from types import SimpleNamespace

import pytest

from dirsync.tree.directory import Directory
from dirsync.tree.entry import UNKNOWN, Entry, Kind, directory_entry, file_entry, fingerprint_of, pack, unpack
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Tree
from tests.unit.tree.builders import entry_of, path_of, put, tree_of

D1 = pack(directory_entry(0o755))
F1 = pack(entry_of("f=one")[1])


def record_hash(name: bytes, entry: Entry) -> int:
    """A record hash as the module's docstring defines it."""
    fixed = struct.pack("<BHQq", entry.kind, entry.mode, entry.size, entry.mtime_ns)
    return int.from_bytes(hashlib.sha256(fixed + entry.digest + name).digest(), "little")


def directory_digest(*children: tuple[bytes, Entry]) -> bytes:
    """A directory's digest as the module's docstring defines it."""
    total = sum(record_hash(name, entry) for name, entry in children) % 2**256
    return hashlib.sha256(struct.pack("<Q", len(children)) + total.to_bytes(32, "little")).digest()


def test_digest_is_as_documented() -> None:
    """An implementation by the definition gets the same digest, through a subdirectory and a link."""
    tree = tree_of("a=one d/:700 d/b=two d/l->b")
    below = directory_digest((b"b", entry_of("b=two")[1]), (b"l", entry_of("l->b")[1]))
    expected = directory_digest((b"a", entry_of("a=one")[1]), (b"d", Entry(Kind.DIRECTORY, 0o700, digest=below)))

    assert (expected, below) == (tree.digest(), tree.digest(path_of("d")))


def test_get_tells_what_is_there() -> None:
    """An entry, a directory's with its digest, or nothing; also below what is no directory."""
    tree = tree_of("d/a=one")

    assert entry_of("a=one")[1] == tree.get(path_of("d/a"))
    assert directory_entry(0o755)._replace(digest=tree.digest(path_of("d"))) == tree.get(path_of("d"))
    assert tree.get(path_of("d/a/x")) is None
    assert tree.get(path_of("x/y")) is None
    assert path_of("d/a") in tree
    assert path_of("d/x") not in tree


def test_record_is_what_was_put() -> None:
    """Records come back as the same objects, a directory's too."""
    tree = Tree()
    tree.put(path_of("d"), D1)
    tree.put(path_of("d/f"), F1)

    assert tree.record(path_of("d")) is D1
    assert tree.record(path_of("d/f")) is F1
    assert tree.record(path_of("x")) is None


def test_directory_keeps_its_children_when_only_it_changes() -> None:
    """A new mode of a directory leaves its content alone."""
    tree = tree_of("d/a=one d/e/b=two")
    put(tree, "d/:700")

    assert tree_of("d/:700 d/a=one d/e/b=two").digest() == tree.digest()
    assert len(tree) == 4


@pytest.mark.parametrize("word", ["d=file", "d->link"])
def test_other_change_of_kind_drops_the_children(word: str) -> None:
    """What takes a directory's place leaves nothing of it, nor does a directory of a file."""
    tree = tree_of("d/a=one d/e/b=two")
    put(tree, word)

    assert (1, tree_of(word).digest()) == (len(tree), tree.digest())
    tree.put(path_of("d"), D1)
    assert (1, tree_of("d/").digest()) == (len(tree), tree.digest())


def test_remove_takes_everything_below() -> None:
    """Removing a directory removes its subtree from counts and digests."""
    tree = tree_of("a=one d/a=one d/e/b=two")
    tree.digest()
    tree.remove(path_of("d"))

    assert (1, tree_of("a=one").digest()) == (len(tree), tree.digest())


@pytest.mark.parametrize("path", ["x", "x/y", "a/b"])
def test_remove_of_nothing_is_nothing(path: str) -> None:
    """Removing what is not there changes nothing, also below a file or nothing."""
    tree = tree_of("a=one")
    tree.remove(path_of(path))

    assert (1, tree_of("a=one").digest()) == (len(tree), tree.digest())


@pytest.mark.parametrize("path", ["x/y", "a/b"])
def test_put_needs_a_directory(path: str) -> None:
    """Where the parent is no directory, putting is a programming error and changes nothing."""
    tree = tree_of("a=one")

    with pytest.raises(KeyError):
        tree.put(path_of(path), F1)
    assert tree_of("a=one").digest() == tree.digest()


def test_root_cannot_be_put_or_removed() -> None:
    """The root is always there: no entry with an empty name ever appears below it."""
    tree = tree_of("a=one")

    with pytest.raises(KeyError):
        tree.put(ROOT, D1)
    with pytest.raises(KeyError):
        tree.remove(ROOT)
    assert (1, [b"a"]) == (len(tree), list(tree.root.children))


@pytest.mark.parametrize("path", ["x", "a"])
def test_only_directories_have_digests_and_children(path: str) -> None:
    """Asking a file or nothing for its digest, children or walk is a programming error."""
    tree = tree_of("a=one")

    with pytest.raises(KeyError):
        tree.digest(path_of(path))
    with pytest.raises(KeyError):
        list(tree.children(path_of(path)))
    with pytest.raises(KeyError):
        list(tree.walk(path_of(path)))


def test_walk_is_in_byte_order_of_names() -> None:
    """Parents before children, siblings by bytes: what a directory holds comes before a sibling that sorts after it."""
    tree = tree_of("b=1 a/z=1 a/b/c=1 a-=1 a.=1")

    assert [b"a", b"a/b", b"a/b/c", b"a/z", b"a-", b"a.", b"b"] == [path for path, _ in tree.walk()]
    assert [b"a/b", b"a/b/c", b"a/z"] == [path for path, _ in tree.walk(path_of("a"))]


def test_children_are_one_level() -> None:
    """Children come by name, with entries, directories with their digests."""
    tree = tree_of("b=1 a/z=1")

    assert [(b"a", tree.get(path_of("a"))), (b"b", tree.get(path_of("b")))] == list(tree.children())


def test_fingerprint_is_no_part_of_a_digest() -> None:
    """Two observations of the same entry are equal trees."""
    tree = Tree()
    tree.put(path_of("f"), pack(unpack(F1), b"inode 7"))

    assert tree_of("f=one").digest() == tree.digest()
    assert fingerprint_of(tree.record(path_of("f")) or F1) == b"inode 7"


def test_attributes_decide_what_counts() -> None:
    """Without modes and times two trees that differ in nothing else are equal."""
    plain = Attributes(mode=False, mtime=False)
    other = Tree(plain)
    other.put(path_of("d"), pack(directory_entry(0o700)))
    other.put(path_of("d/a"), pack(entry_of("a=one:600")[1]._replace(mtime_ns=9)))

    assert tree_of("d/ d/a=one", plain).digest() == other.digest()
    assert tree_of("d/ d/a=one").digest() != other.copy(Attributes()).digest()


@pytest.mark.parametrize(
    "words", ["a=two", "a=one:600", "a->one", "a/", "b=one", "a=one b=one", ""], ids=lambda words: words or "empty"
)
def test_every_difference_shows_in_the_root_digest(words: str) -> None:
    """Content, mode, kind, name and number of entries all count."""
    assert tree_of("a=one").digest() != tree_of(words).digest()


def test_copy_is_independent() -> None:
    """Changing a copy, before or after digests were asked for, leaves the original alone."""
    tree = tree_of("d/a=one d/e/b=two")
    before = tree.digest()
    twin = tree.copy()
    put(twin, "d/e/b=other")
    twin.remove(path_of("d/a"))

    assert (before, 4) == (tree.digest(), len(tree))
    assert tree_of("d/ d/e/b=other").digest() == twin.digest()


def test_move_takes_everything_along() -> None:
    """What is at the source is at the target, with its content, in place of what was there, and nowhere else."""
    tree = tree_of("a/x=one a/e/y=two b/z=three f=four")
    tree.move(path_of("a"), path_of("b/z"))
    tree.move(path_of("f"), path_of("b/z/e/y"))

    assert tree_of("b/z/x=one b/z/e/y=four").digest() == tree.digest()
    assert 5 == len(tree)


def test_exchange() -> None:
    """Two nodes of any kind change places, each with what is below it."""
    tree = tree_of("a/x=one b/c=two")
    tree.exchange(path_of("a"), path_of("b/c"))

    assert tree_of("a=two b/c/x=one").digest() == tree.digest()
    assert 4 == len(tree)


@pytest.mark.parametrize(
    "source, path, error",
    [
        ("a", "a", ValueError),
        ("a", "a/d/new", ValueError),
        ("a/d", "a", ValueError),
        ("", "a", ValueError),
        ("a", "", ValueError),
        ("gone", "b", KeyError),
        ("a", "f/new", KeyError),
        ("a", "gone/new", KeyError),
    ],
)
def test_move_that_cannot_be(source: str, path: str, error: type[Exception]) -> None:
    """Nothing moves into itself, from nowhere, or to where no directory is; nothing has changed then."""
    tree = tree_of("a/d/ f=one")
    before = tree.digest()
    with pytest.raises(error):
        tree.move(path_of(source), path_of(path))

    assert (before, 3) == (tree.digest(), len(tree))


@pytest.mark.parametrize("first, second", [("a", "gone"), ("gone", "a"), ("gone", "gone/x")])
def test_exchange_with_nothing(first: str, second: str) -> None:
    """Both have to be there; nothing has changed otherwise."""
    tree = tree_of("a/d/ f=one")
    before = tree.digest()
    with pytest.raises((KeyError, ValueError)):
        tree.exchange(path_of(first), path_of(second))

    assert (before, 3) == (tree.digest(), len(tree))


def test_taken_node_belongs_to_another_tree() -> None:
    """A branch that was taken can be grafted into another tree, and the first no longer has it."""
    tree, other = tree_of("a/b/x=one c=two"), tree_of("a=three")
    branch = tree.take(path_of("a/b"))
    assert branch is not None
    other.graft(path_of("a"), branch)
    put(other, "a/y=four")

    assert tree_of("a/ c=two").digest() == tree.digest()
    assert tree_of("a/x=one a/y=four").digest() == other.digest()


def test_take_of_nothing() -> None:
    """Where nothing is, nothing is taken; the root cannot be."""
    tree = tree_of("a=one")

    assert tree.take(path_of("x")) is None
    assert tree.take(path_of("a/x")) is None
    with pytest.raises(KeyError):
        tree.take(ROOT)
    with pytest.raises(KeyError):
        tree.graft(ROOT, F1)


def test_paths_below_a_moved_directory_lead_there_and_no_longer_here() -> None:
    """The way that was asked for last is not remembered past a move."""
    tree = tree_of("a/d/x=one b/")
    assert path_of("a/d/x") in tree
    tree.move(path_of("a"), path_of("b/a"))
    put(tree, "b/a/d/y=two")

    assert path_of("a/d/x") not in tree
    assert [b"b", b"b/a", b"b/a/d", b"b/a/d/x", b"b/a/d/y"] == [path for path, _ in tree.walk()]


def test_a_move_costs_the_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory of a thousand files costs no more hashing than an empty one."""
    tree = tree_of("few/ many/ " + " ".join(f"many/d/f{n}=x" for n in range(1000)))
    tree.digest()
    hashed: list[bytes] = []

    def sha256(content: bytes) -> "hashlib._Hash":
        hashed.append(content)
        return hashlib.sha256(content)

    monkeypatch.setattr("dirsync.tree.directory.hashlib", SimpleNamespace(sha256=sha256))
    counts = []
    for name in ("few", "many"):
        hashed.clear()
        tree.move(path_of(name), path_of(f"{name}-moved"))
        tree.digest()
        counts.append(len(hashed))

    assert counts[0] == counts[1] <= 3


def test_two_thousand_levels_are_no_depth() -> None:
    """Nothing recurses: a path of 2,000 components is put, walked, copied, digested and removed."""
    tree = Tree()
    path = ROOT
    for _ in range(2000):
        path = RelPath(path + b"/d" if path else b"d")
        tree.put(path, D1)

    assert len(list(tree.walk())) == len(tree) == 2000
    assert tree.digest() == tree.copy().digest() == tree.copy(Attributes(mtime=False)).digest()
    tree.remove(path_of("d"))
    assert Tree().digest() == tree.digest()


def test_directory_objects_give_digests_without_a_path() -> None:
    """Walking by directory objects finds the same digests as by path."""
    tree = tree_of("d/a=one")
    found = tree.root.children[b"d"]

    assert isinstance(found, Directory)
    assert tree.digest(path_of("d")) == tree.digest_of(found)


def test_unread_content_counts_as_such() -> None:
    """A file that has not been read yet differs from the same file read."""
    tree = tree_of("a=one")
    tree.put(path_of("a"), pack(file_entry(mode=0o644, size=3, mtime_ns=0, digest=UNKNOWN)))

    assert tree_of("a=one").digest() != tree.digest()


def test_entries_are_the_walk_with_digests() -> None:
    """Every path comes as it would by itself, directories with their digests."""
    tree = tree_of("a=1 d/b=2 d/e/l->x")

    assert [(path, tree.get(path)) for path, _ in tree.walk()] == list(tree.entries())
