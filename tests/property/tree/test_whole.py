"""What is taken over for a whole directory at once is what single steps give."""

from hypothesis import given
from hypothesis import strategies as st

from dirsync.endpoint.content_index import ContentIndex
from dirsync.tree.diff import diff
from dirsync.tree.directory import directory_of, hashes_of, record_hash
from dirsync.tree.entry import UNKNOWN, Kind, Record, digest_of, directory_entry, pack, unpack, with_content
from dirsync.tree.options import Attributes
from dirsync.tree.path import RelPath, is_within, join, split
from dirsync.tree.tree import Tree
from tests.property.strategies import trees

TOP = RelPath(b"top")


@given(trees())
def test_a_directory_made_at_once(tree: Tree) -> None:
    """A node that is made of all records is what putting each of them makes."""
    below = [(join(TOP, at), record) for at, record in tree.walk()]
    top = pack(directory_entry(0o755))
    whole, single = Tree(tree.attributes), Tree(tree.attributes)
    whole.graft(TOP, directory_of(TOP, top, below, hashes_of(below, tree.attributes)))
    for at, record in ((TOP, top), *below):
        single.put(at, record)

    assert single.digest() == whole.digest()
    assert len(single) == len(whole)
    assert list(single.walk()) == list(whole.walk())


@given(trees())
def test_digests_learned_at_once(tree: Tree) -> None:
    """Files whose digests become known, one directory after the other."""
    counted = None if tree.attributes == Attributes() else tree.attributes
    unread = tree.copy()
    found: dict[RelPath, list[tuple[bytes, Record, int]]] = {}
    for at, record in list(tree.files()):
        unread.put(at, pack(unpack(record)._replace(digest=UNKNOWN)))
        parent, name = split(at)
        found.setdefault(parent, []).append((name, record, record_hash(name, record, counted)))
    unread.digest()
    for parent, files in found.items():
        unread.learn(parent, files)

    assert tree.digest() == unread.digest()
    assert list(tree.walk()) == list(unread.walk())


@given(trees())
def test_content_known_at_once(tree: Tree) -> None:
    """The index of content is the same, whether it is told of one file or of all."""
    single, whole = ContentIndex(), ContentIndex()
    for at, record in tree.walk():
        single.add(at, record)
    whole.add_all(tree.walk())

    for _, record in tree.walk():
        assert single.find(digest_of(record)) == whole.find(digest_of(record))


@given(trees(), trees(), st.data())
def test_what_goes_as_a_whole(replica: Tree, source: Tree, data: st.DataObject) -> None:
    """Only directories that the replica has not are asked for; below those that go as a whole nothing comes."""
    source = source.copy(replica.attributes)
    asked: dict[RelPath, bool] = {}

    def whole(path: RelPath, _: object) -> bool:
        assert path not in asked
        return asked.setdefault(path, data.draw(st.booleans()))

    found = list(diff(replica, source, whole=whole))
    taken = [path for path, goes in asked.items() if goes]
    rest = [
        change
        for change in diff(replica, source)
        if not any(is_within(change.path, path) and change.path != path for path in taken)
    ]

    assert all(replica.record(path) is None and source.directory(path) is not None for path in asked)
    assert rest == found


@given(st.binary(min_size=32, max_size=32))
def test_the_digest_of_a_record(digest: bytes) -> None:
    """A record with another digest is otherwise the same."""
    record = pack(directory_entry(0o755)._replace(kind=Kind.FILE, size=5, mtime_ns=-7), b"fingerprint")
    changed = with_content(record, digest)

    assert unpack(record)._replace(digest=digest) == unpack(changed)
    assert changed.endswith(b"fingerprint")
