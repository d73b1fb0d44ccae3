"""Reconcilers of several two-way clients: whatever is done in whichever order, all end equal and nothing is lost."""

import random
from collections import Counter

import pytest

from dirsync.tree.entry import Kind, file_entry, unpack
from dirsync.tree.path import RelPath, ancestors, is_within
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.events import HoldApproved
from tests.property.client.reconcile.two_way import Client, Hub
from tests.property.strategies import plant

NAMES = [b"a", b"b", b"c"]


class World:
    """Clients that are edited, and steps in random order."""

    def __init__(self, seed: int, clients: int) -> None:
        self.chance = random.Random(seed)
        self.hub = Hub()
        self.clients = [Client(self.hub, number, self.chance) for number in range(clients)]
        self.hub.clients = self.clients
        self.count = 0
        self.written: set[bytes] = set()
        """Contents that were written, and that nobody replaced or removed."""

    def play(self, steps: int, *, crashes: bool) -> None:
        """Edits, steps of the clients, and accidents."""
        for _ in range(steps):
            client = self.chance.choice(self.clients)
            what = self.chance.random()
            if what < 0.25:
                self._edit(client)
            elif what < 0.27 and crashes:
                client.crash(lose=self.chance.random() < 0.5)
            elif what < 0.29 and crashes:
                client.reconnect()
            else:
                client.step()

    def rest(self) -> None:
        """Until nothing more is to be done."""
        for turn in range(30):
            for client in self.clients:
                for _ in range(3000):
                    if not client.step():
                        break
                else:
                    raise AssertionError("a client does not come to rest")
            equal = all(client.disk.digest() == self.hub.tree.digest() for client in self.clients)
            if turn > 0 and equal and all(client.told and not client.dirty for client in self.clients):
                return
            for client in self.clients:
                hold = client.reconciler.view.hold
                if hold is not None:
                    client.tell(HoldApproved(hold.id))
                client.rescan()

    def check(self) -> None:
        """All are equal, and everything that was written is there."""
        for client in self.clients:
            assert shown(self.hub.tree) == shown(client.disk)
            assert client.reconciler.view.in_sync
        held = {unpack(record).digest for _, record in self.hub.tree.files()}
        assert self.written <= held

    def _edit(self, client: Client) -> None:
        before = Counter(contents(client.disk))
        match self.chance.randrange(6):
            case 0 | 1 | 2:
                client.edit(self._write)
            case 3 | 4:
                client.edit(self._remove)
            case _:
                client.edit(self._move)
        after = Counter(contents(client.disk))
        # A version may have several names by now; whoever removes one of them removes a version.
        self.written -= {content for content in before if after[content] < before[content]}

    def _path(self) -> RelPath:
        return RelPath(b"/".join(self.chance.choice(NAMES) for _ in range(self.chance.randint(1, 3))))

    def _write(self, tree: Tree) -> list[RelPath]:
        self.count += 1
        digest = b"\x01" + self.count.to_bytes(31, "big")
        path = self._path()
        plant(tree, path, file_entry(mode=0o644, size=1, mtime_ns=self.count * 10**9, digest=digest))
        self.written.add(digest)
        return [*[*ancestors(path)][:-1][::-1], path]

    def _remove(self, tree: Tree) -> list[RelPath]:
        path = self._path()
        tree.remove(path)
        return [path]

    def _move(self, tree: Tree) -> list[RelPath]:
        old, new = self._path(), self._path()
        record = tree.record(old)
        if record is None or is_within(new, old) or is_within(old, new):
            return []
        moved = [(old, record), *(tree.walk(old) if tree.directory(old) else ())]
        tree.remove(old)
        paths = [old]
        for path, found in moved:
            target = RelPath(new + path[len(old) :])
            plant(tree, target, unpack(found))
            paths += [*[*ancestors(target)][:-1][::-1], target]
        return paths


def contents(tree: Tree) -> list[bytes]:
    """What the files of a tree hold."""
    return [unpack(record).digest for _, record in tree.files()]


def shown(tree: Tree) -> dict[str, str]:
    """A tree as it is compared."""
    return {
        path.decode(): unpack(record).kind.name + unpack(record).digest[-4:].hex() * (record[0] == Kind.FILE)
        for path, record in tree.walk()
    }


@pytest.mark.parametrize("crashes", [False, True])
@pytest.mark.parametrize("clients", [1, 2, 3])
def test_all_end_equal(clients: int, crashes: bool) -> None:
    """Whatever happens to each of them."""
    for seed in range(25):
        world = World(seed, clients)
        for _ in range(3):
            world.play(60, crashes=crashes)
            world.rest()
        world.check()


def test_all_end_equal_although_disks_fail() -> None:
    """What could not be received is tried again, and what waits for it is not forgotten."""
    for seed in range(15):
        world = World(seed, 2)
        for client in world.clients:
            client.failing = 0.25
        for _ in range(3):
            world.play(60, crashes=False)
            world.rest()
        world.check()


def test_no_conflict_where_one_works_at_a_time() -> None:
    """A client that is alone with its edits until all rest is never in conflict, not even after a crash."""
    for seed in range(25):
        world = World(seed, 3)
        for _ in range(12):
            client = world.chance.choice(world.clients)
            for _ in range(4):
                world._edit(client)
            if world.chance.random() < 0.3:
                client.crash(lose=False)
            world.rest()
        world.check()
        assert [] == [conflict for client in world.clients for conflict in client.conflicts], seed


def test_a_second_start_does_nothing() -> None:
    """With what was kept, nothing is to be done."""
    world = World(1, 2)
    world.play(200, crashes=False)
    world.rest()
    before = world.hub.tree.digest()
    for client in world.clients:
        client.conflicts.clear()
        client.crash(lose=False)
    world.rest()
    world.check()

    assert before == world.hub.tree.digest()
    assert [] == [conflict for client in world.clients for conflict in client.conflicts]


def test_untouched_ancestor_follows() -> None:
    """When all rest, what is kept is what both sides have."""
    world = World(2, 2)
    world.play(200, crashes=False)
    world.rest()

    for client in world.clients:
        assert shown(world.hub.tree) == shown(client.kept)
