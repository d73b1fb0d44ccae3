"""Trees by hand: what is where, and which digests follow."""

import hashlib
import struct

import pytest

from dirsync.tree.entry import UNKNOWN, Entry, Kind, directory_entry, file_entry, fingerprint_of, pack, unpack
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Attributes, Directory, Tree
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
    """Whoever follows the definition gets the same digest, through a subdirectory and a link."""
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
    """Whoever walks by directory objects gets the same digests as by path."""
    tree = tree_of("d/a=one")
    found = tree.root.children[b"d"]

    assert isinstance(found, Directory)
    assert tree.digest(path_of("d")) == tree.digest_of(found)


def test_unread_content_counts_as_such() -> None:
    """A file nobody has read yet differs from the same file read."""
    tree = tree_of("a=one")
    tree.put(path_of("a"), pack(file_entry(mode=0o644, size=3, mtime_ns=0, digest=UNKNOWN)))

    assert tree_of("a=one").digest() != tree.digest()


def test_entries_are_the_walk_with_digests() -> None:
    """Every path comes as it would by itself, directories with their digests."""
    tree = tree_of("a=1 d/b=2 d/e/l->x")

    assert [(path, tree.get(path)) for path, _ in tree.walk()] == list(tree.entries())
