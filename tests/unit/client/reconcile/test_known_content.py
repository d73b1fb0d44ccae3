"""What the client believes the replica to have."""

import hashlib
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dirsync.limits import LIMITS
from dirsync.tree.entry import Entry, directory_entry, file_entry, pack, symlink_entry
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.known_content import KnownContent

LARGE = LIMITS.inline_file_bytes + 1


def file(name: str, size: int = 1) -> Entry:
    """A file whose content is known by ``name``."""
    return file_entry(mode=0o644, size=size, mtime_ns=0, digest=hashlib.sha256(name.encode()).digest())


def tree(**entries: Entry) -> Tree:
    """A replica with these in a directory."""
    tree = Tree()
    tree.put(RelPath(b"d"), pack(directory_entry(0o755)))
    for name, entry in entries.items():
        tree.put(RelPath(b"d/" + name.encode()), pack(entry))
    return tree


def test_filled_once() -> None:
    """Before it is filled nothing is known; then what the tree has, until the tree is said to be wrong."""
    contents = KnownContent()
    replica = tree(a=file("a"), b=file("b", LARGE))
    before = contents.has(file("a").digest)
    contents.fill(replica)
    replica.put(RelPath(b"later"), pack(file("later")))
    contents.fill(replica)
    filled = [contents.has(file(name).digest) for name in ("a", "b", "later")]
    contents.clear()
    cleared = contents.has(file("a").digest)
    contents.fill(replica)

    assert (False, [True, True, False], False) == (before, filled, cleared)
    assert contents.has(file("later").digest)


def test_what_does_not_count() -> None:
    """Links, directories, empty files and files that have not been read are no content."""
    contents = KnownContent()
    link, empty, unread = symlink_entry(b"t"), file("empty", 0), file_entry(mode=0, size=LARGE, mtime_ns=0)
    contents.fill(tree(link=link, empty=empty, unread=unread))
    for entry in (link, empty, directory_entry(0o755)):
        contents.put(entry)

    assert not any(contents.has(entry.digest) for entry in (link, empty, unread))
    assert 0 == contents.of_size(LARGE)


def test_sizes() -> None:
    """Large files are counted by their size; small ones are not, because reading them costs next to nothing."""
    contents = KnownContent()
    contents.fill(tree(a=file("a", LARGE), b=file("b", LARGE), c=file("c", LARGE - 1)))
    contents.remove(file("a", LARGE))

    assert (1, 0, True) == (contents.of_size(LARGE), contents.of_size(LARGE - 1), contents.any_large)
    contents.remove(file("b", LARGE))
    assert (0, False) == (contents.of_size(LARGE), contents.any_large)


def test_refuted() -> None:
    """What the server does not have is gone under every name, and is there again when it was sent again."""
    contents = KnownContent()
    contents.fill(tree(a=file("x"), b=file("x")))
    contents.refute(file("x").digest)
    refuted = contents.has(file("x").digest)
    contents.put(file("x"))

    assert not refuted
    assert contents.has(file("x").digest)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.sampled_from((1, LARGE)))))
def test_counts(steps: list[tuple[bool, str, int]]) -> None:
    """However often content comes and goes, it is there as long as one file has it; nothing is owed."""
    contents, model = KnownContent(), Counter[tuple[str, int]]()
    contents.fill(Tree())
    for comes, name, size in steps:
        if comes:
            contents.put(file(f"{name}{size}", size))
            model[name, size] += 1
        elif model[name, size]:
            contents.remove(file(f"{name}{size}", size))
            model[name, size] -= 1

    assert [count > 0 for count in model.values()] == [contents.has(file(f"{n}{s}").digest) for n, s in model]
    assert sum(count for (_, size), count in model.items() if size == LARGE) == contents.of_size(LARGE)
