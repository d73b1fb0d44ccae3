"""Whoever follows a replica by its reports knows it: whatever others and people at the server do, in any order.

A follower does what the protocol says: it applies the changes of a report, and lists the directories whose digests
differ from its own then. It must end with the replica's tree, and must list nothing where paths were reported.
"""

import itertools
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.endpoint.changes import feed
from dirsync.endpoint.changes.dirty_paths import DirtyPaths
from dirsync.limits import LIMITS
from dirsync.tree.entry import Entry, pack
from dirsync.tree.path import ROOT, RelPath, is_within, join, split
from dirsync.tree.tree import Tree
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import encode_entry
from dirsync.wire.session import SessionMode
from dirsync.wire.watch import Report, decode_report, encode_watch, join_reports
from tests.support.inside.deltas import move
from tests.support.inside.direct import Direct, direct, send
from tests.support.peers.operations import batch, commit, delete, make_directory, put, seen

CLIENTS = ("ann", "bob", "eve")
NAMES = (b"a", b"b", b"c")
PATHS = [RelPath(b"/".join(names)) for depth in (1, 2, 3) for names in itertools.product(NAMES, repeat=depth)]
FEW = replace(LIMITS, max_reported_changes=3)
"""So few that reports often say everything."""


class Step(NamedTuple):
    """What happens: who does it, what, and where; ``rest`` chooses what is needed besides."""

    who: int
    kind: str
    where: int
    rest: int


kinds = (
    "replace",
    "put",
    "put",
    "directory",
    "delete",
    "move",
    "hand",
    "hand directory",
    "hand delete",
    "hand move",
    "read",
    "read",
    "reopen",
)
steps = st.lists(
    st.builds(Step, st.integers(0, 2), st.sampled_from(kinds), st.integers(0, 38), st.integers(0, 38)), max_size=25
)


class Follower:
    """What one client knows of the replica."""

    def __init__(self, server: Direct, client: str) -> None:
        self.server = server
        self.client = client
        self.session = server.open(client=client, mode=SessionMode.TWO_WAY)
        self.watch = server.api.watch_replica(encode_watch(self.session), server.call)
        self.tree = Tree()
        self.listings = 0
        self.must_list = False
        """Something was reported, or done by the client itself, that does not say what is in a directory."""

    def reopen(self) -> None:
        """Lose the session, and open another one: whatever was not read is lost, so the replica is listed."""
        self.watch.close()
        self.session = self.server.open(client=self.client, mode=SessionMode.TWO_WAY)
        self.watch = self.server.api.watch_replica(encode_watch(self.session), self.server.call)
        self.must_list = True
        self.list(ROOT)

    def apply(self, path: RelPath, entry: Entry | None) -> None:
        """This is at the path."""
        if entry is None:
            if path in self.tree:
                self.tree.remove(path)
        elif not (entry.is_directory and path in self.tree and self.tree.directory(path)):
            self.tree.put(path, pack(entry))

    def read(self) -> None:
        """Take the report that is due, and do what it asks for."""
        while self.watch.wait(0):
            for report in join_reports(map(decode_report, self.watch.take())):
                self.follow(report)

    def follow(self, report: Report) -> None:
        """Apply a report."""
        for path, entry in report.changes:
            known = self.tree.directory(path) is not None
            self.apply(path, entry)
            # What is in a directory that appeared whole is not reported.
            self.must_list |= entry is not None and entry.is_directory and not known
        self.must_list |= report.everything
        if self.tree.digest() != report.root_digest:
            self.list(ROOT)

    def list(self, path: RelPath) -> None:
        """List a directory, and those below it that differ."""
        self.listings += 1
        children = dict(self.server.list(self.session, path))
        for name in [name for name, _ in self.tree.children(path)]:
            if name not in children:
                self.tree.remove(join(path, name))
        for name, entry in children.items():
            child = join(path, name)
            self.apply(child, entry)
            if entry.is_directory and self.tree.digest(child) != entry.digest:
                self.list(child)


class World:
    """A replica, its followers, and what they do."""

    def __init__(self, server: Direct) -> None:
        self.server = server
        self.followers = [Follower(server, name) for name in CLIENTS]
        self.numbers = itertools.count(1)
        for follower in self.followers:
            follower.read()

    def entry(self, path: RelPath) -> Entry | None:
        """What is at a path."""
        return self.server.replica.state.get(path)

    def there(self, at: int) -> RelPath | None:
        """One of the paths where something is."""
        return choose([path for path in PATHS if self.entry(path)], at)

    def free(self, at: int) -> RelPath | None:
        """One of those where something may be put."""
        tree = self.server.replica.state
        return choose([path for path in PATHS if tree.directory(split(path)[0]) and not self.entry(path)], at)

    def do(self, step: Step) -> None:
        """Do it, if it makes sense."""
        follower = self.followers[step.who]
        if step.kind == "read":
            follower.read()
        elif step.kind == "reopen":
            follower.reopen()
        elif step.kind.startswith("hand"):
            self.by_hand(step)
        else:
            follower.read()  # a client plans by what it knows
            for operation in self.operations(step):
                self.commit(follower, operation)

    def operations(self, step: Step) -> Sequence[pb.Operation]:
        """What a client sends."""
        number, path, free = next(self.numbers), self.there(step.where), self.free(step.rest)
        entry = self.entry(path) if path else None
        if step.kind == "put" and free:
            return [put(number, free, b"%d" % step.where)]
        if step.kind == "directory" and free:
            return [make_directory(number, free)]
        if not path or not entry:
            return []
        if step.kind == "replace" and not entry.is_directory:
            return [put(number, path, b"%d" % step.rest, seen(encode_entry(entry)))]
        if step.kind == "delete" and not (entry.is_directory and self.server.replica.children(path)):
            return [delete(number, path, seen(encode_entry(entry)))]
        if step.kind == "move" and free and not is_within(free, path):
            return [move(number, path, free, encode_entry(entry))]
        return []

    def commit(self, follower: Follower, operation: pb.Operation) -> None:
        """Commit it; the client knows what it has done."""
        handler = self.server.push(follower.session)
        (answer,) = send(handler, batch(operation), commit())
        handler.close()

        assert [] == list(answer.failures)

        paths = [RelPath(operation.path)]
        if operation.HasField("move"):
            paths.append(RelPath(operation.move.source))
            follower.must_list = True
        for path in paths:
            follower.apply(path, self.entry(path))

    def by_hand(self, step: Step) -> None:
        """Somebody edits the files, and the server looks."""
        there, free = self.there(step.where), self.free(step.rest)
        place = self.server.place
        if step.kind == "hand" and free:
            (place / free.decode()).write_bytes(b"by hand %d" % step.where)
        elif step.kind == "hand directory" and free:
            (place / free.decode() / "a").mkdir(parents=True)
            (place / free.decode() / "a" / "b").write_bytes(b"deep")
        elif step.kind == "hand delete" and there:
            path = place / there.decode()
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif step.kind == "hand move" and there and free and not is_within(free, there):
            (place / there.decode()).rename(place / free.decode())
        self.server.replica.scanner.look([path for path in (there, free) if path])


def choose(paths: Sequence[RelPath], at: int) -> RelPath | None:
    """One of the paths, if there is any."""
    return paths[at % len(paths)] if paths else None


def follow(happens: list[Step]) -> World:
    """Let it happen, and read to the end."""
    with tempfile.TemporaryDirectory() as place, direct(Path(place)) as server:
        world = World(server)
        for step in happens:
            world.do(step)
        for follower in world.followers:
            follower.read()
        expected = list(server.replica.tree.entries())

        for follower in world.followers:
            assert expected == list(follower.tree.entries())
            assert server.replica.root_digest() == follower.tree.digest()
            assert follower.must_list or not follower.listings

            follower.watch.close()
        return world


@settings(max_examples=40, deadline=None)
@given(steps)
def test_followers_know_the_replica(happens: list[Step]) -> None:
    """Every follower ends with the replica's tree, and lists only where a report cannot say all."""
    follow(happens)


@settings(max_examples=20, deadline=None)
@given(steps)
def test_followers_who_are_told_little(happens: list[Step]) -> None:
    """So does one for whom there is hardly any room."""
    with patch.object(feed, "DirtyPaths", lambda: DirtyPaths(FEW)):
        follow(happens)
