"""A path in conflict and the copy that it waits for: whichever of them is merged again, neither is forgotten."""

import random

from dirsync.tree.diff import diff
from dirsync.tree.entry import file_entry, pack
from dirsync.tree.merge.decision import Carry
from dirsync.tree.merge.merge import merge
from dirsync.tree.merge.policy import Policy, Side
from dirsync.tree.path import ROOT, RelPath
from dirsync.tree.tree import Tree
from dirsync_client.reconcile.context import Context, Options
from dirsync_client.reconcile.two_way.merging import Merging
from tests.unit.client.reconcile.model import Model

NAMES = [RelPath(b"a.txt"), RelPath(b"b")]
"""The conflict name of one is before it in the order of merging, that of the other one after it."""
POLICY = Policy(client="c")
SEEDS = 60
STEPS = 40


class Pair:
    """A source and a replica, and what was decided about them. Only what a step may have changed is merged again."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.context = Context(Model(), Options(two_way=POLICY))
        self.merging = Merging(self.context, POLICY)
        self.count = 0

    @property
    def source(self) -> Tree:
        """What the source has."""
        return self.context.source.tree

    @property
    def replica(self) -> Tree:
        """What the replica has."""
        return self.context.replica

    def step(self) -> None:
        """One thing happens."""
        match self.chance.randrange(6):
            case 0 | 1:
                self._edit()
            case 2:
                self._receive(fails=False)
            case 3:
                self._receive(fails=True)
            case 4:
                self.merging.decide([self.chance.choice(self._paths())])  # as where one is tried again
            case _:
                self._send()

    def _paths(self) -> list[RelPath]:
        known = {path for tree in (self.source, self.replica) for path, _ in tree.walk()}
        return sorted({*NAMES, *known, *self.merging.incoming})

    def _edit(self) -> None:
        tree, path = self.chance.choice([self.source, self.replica]), self.chance.choice(self._paths())
        if tree.get(path) is not None and self.chance.random() < 0.3:
            tree.remove(path)
        else:
            self.count += 1
            digest = b"\x01" + self.count.to_bytes(31, "big")
            tree.put(path, pack(file_entry(mode=0o644, size=1, mtime_ns=self.count * 10**9, digest=digest)))
        self.merging.decide([path])

    def _receive(self, *, fails: bool) -> None:
        if not self.merging.incoming:
            return
        path = self.chance.choice(sorted(self.merging.incoming))
        incoming = self.merging.incoming[path]
        waited = self.merging.done(path)
        if not fails:
            if incoming.change.new is None:
                self.source.remove(path)
            else:
                self.source.put(path, pack(incoming.change.new))
            if incoming.remote == path:
                self.merging.agreement.settled(path, incoming.change.new)
        self.merging.decide([path] if waited is None else [waited])
        if not fails:
            self.merging.decide([path])

    def _send(self) -> None:
        changes = list(self.merging.outgoing(diff(self.replica, self.source, {})))
        if not changes:
            return
        path, _, new = self.chance.choice(changes)
        if new is None:
            self.replica.remove(path)
        else:
            self.replica.put(path, pack(new))
        self.merging.agreement.settled(path, new)
        self.merging.decide([path])

    def check(self) -> None:
        """Whatever is kept from the dispatcher has something that goes on; whatever is to come is coming."""
        merging = self.merging
        held_back = {path for kept_as, path in merging._waiting.items() if kept_as in merging.incoming}
        assert set(merging._waiting.values()) == held_back, "a path waits for a copy that does not come"
        for path in merging._shielded:
            assert path in merging.incoming or path in held_back, "nothing goes on at a path that is kept back"
        for decision in merge(merging.agreement.tree, self.source, self.replica, POLICY, (ROOT,)):
            if not isinstance(decision, Carry) or decision.to is not Side.SOURCE:
                continue
            path, _, new = decision.change
            if new == self.replica.get(path):  # no copy that only a merge of everything would make
                assert path in merging.incoming or path in held_back, "what is to come was forgotten"


def test_nothing_waits_for_what_does_not_come() -> None:
    """After each of many steps in any order."""
    for seed in range(SEEDS):
        pair = Pair(seed)
        for _ in range(STEPS):
            pair.step()
            pair.check()
