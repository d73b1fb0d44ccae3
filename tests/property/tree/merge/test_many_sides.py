"""Several clients of one replica, each with an ancestor of its own, in any order and with lost ancestors."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dirsync.tree.entry import file_entry, pack, unpack
from dirsync.tree.merge.policy import Policy
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.tree import Tree
from tests.property.strategies import paths, plant
from tests.support.trees.merging import sync

CLIENTS = 3
clients = st.integers(0, CLIENTS - 1)


class Clients(RuleBasedStateMachine):
    """Edits at the clients, and syncs of one client at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.replica = Tree()
        self.sources = [Tree() for _ in range(CLIENTS)]
        self.ancestors = [Tree() for _ in range(CLIENTS)]
        self.remembered = [Tree() for _ in range(CLIENTS)]
        self.written: set[bytes] = set()
        """Every content that somebody wrote and nobody replaced or removed since."""
        self.count = 0

    def held(self, tree: Tree) -> Counter[bytes]:
        """The contents of a tree."""
        return Counter(unpack(record).digest for _, record in tree.files())

    def edit(self, client: int, tree: Tree) -> None:
        """Replace what a client has; what it has not any more was removed by its owner."""
        before, after = self.held(self.sources[client]), self.held(tree)
        self.written -= {content for content in before if after[content] < before[content]}
        self.sources[client] = tree

    @rule(client=clients, path=paths)
    def write(self, client: int, path: RelPath) -> None:
        """Write a file with content that no other has."""
        self.count += 1
        digest = b"\x01" + self.count.to_bytes(31, "big")
        tree = self.sources[client].copy()
        plant(tree, path, file_entry(mode=0o644, size=1, mtime_ns=self.count * 10**9, digest=digest))
        self.edit(client, tree)
        self.written.add(digest)

    @rule(client=clients, path=paths)
    def remove(self, client: int, path: RelPath) -> None:
        """Remove what is there."""
        tree = self.sources[client].copy()
        tree.remove(path)
        self.edit(client, tree)

    @rule(client=clients, old=paths, new=paths)
    def move(self, client: int, old: RelPath, new: RelPath) -> None:
        """Rename a file or a directory."""
        tree = self.sources[client].copy()
        record = tree.record(old)
        if record is None or is_within(new, old) or is_within(old, new):
            return
        moved = [(old, record), *(tree.walk(old) if tree.directory(old) else ())]
        tree.remove(old)
        for path, entry in moved:
            plant(tree, RelPath(new + path[len(old) :]), unpack(entry))
        self.edit(client, tree)

    @rule(client=clients)
    def sync(self, client: int) -> None:
        """A client merges with the replica."""
        policy = Policy(client=f"c{client}")
        self.remembered[client] = self.ancestors[client].copy()
        sync(self.ancestors[client], self.sources[client], self.replica, policy)

    @rule(client=clients)
    def crash(self, client: int) -> None:
        """A client loses what it last wrote of its ancestor."""
        self.ancestors[client] = self.remembered[client].copy()

    @rule(client=clients)
    def forget(self, client: int) -> None:
        """A client loses its state."""
        self.ancestors[client] = Tree()

    @invariant()
    def nothing_is_lost(self) -> None:
        """What was written is somewhere."""
        held = self.held(self.replica)
        for tree in self.sources:
            held += self.held(tree)
        assert self.written <= held.keys()

    def teardown(self) -> None:
        """All sync until nothing changes: they are equal, and a last round does nothing."""
        for _ in range(CLIENTS + 2):
            for client in range(CLIENTS):
                self.sync(client)
        before = self.replica.digest()
        for client in range(CLIENTS):
            assert before == self.sources[client].digest()
            assert [] == sync(self.ancestors[client], self.sources[client], self.replica)
        assert before == self.replica.digest()
        assert self.written <= self.held(self.replica).keys()


TestClients = Clients.TestCase


@given(st.lists(st.tuples(paths, paths), max_size=5))
def test_a_file_that_all_removed_stays_away(edits: list[tuple[RelPath, RelPath]]) -> None:
    """Whatever else happens, and in whichever order the others learn of it."""
    replica, sources, ancestors = Tree(), [Tree(), Tree()], [Tree(), Tree()]
    name = RelPath(b"gone")
    sources[0].put(name, pack(file_entry(mode=0o644, size=1, mtime_ns=0, digest=b"\x01" * 32)))
    for _ in range(2):
        for client in range(2):
            sync(ancestors[client], sources[client], replica)
    sources[0].remove(name)
    for number, (one, other) in enumerate(edits):
        entry = file_entry(mode=0o644, size=1, mtime_ns=number, digest=number.to_bytes(32, "big"))
        for client, path in enumerate((one, other)):
            plant(sources[client], path, entry._replace(mtime_ns=2 * number + client, digest=bytes([client + 2]) * 32))
            sync(ancestors[client], sources[client], replica)
    for client in (0, 1, 0, 1):
        sync(ancestors[client], sources[client], replica)

    assert name not in sources[0]
    assert name not in sources[1]
    assert name not in replica
