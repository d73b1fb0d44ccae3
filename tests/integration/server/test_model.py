"""Any sequence of operations, in any commits: the server's tree, what is on disk and a simple model stay one."""

import itertools
import shutil
from collections import Counter
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.limits import LIMITS
from dirsync.tree.entry import directory_entry, file_entry, pack
from dirsync.tree.path import RelPath, is_within, split
from dirsync.tree.tree import Tree
from dirsync.v1 import entry_pb2
from dirsync.v1 import replica_service_pb2 as rpb
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.inside.deltas import copied, copy_content, literal, move, rebuilt
from tests.support.peers.operations import (
    MTIME_NS,
    batch,
    commit,
    delete,
    digest,
    directory,
    file,
    make_directory,
    put,
    seen,
)
from tests.support.peers.wire import OK, REPLICA, Push, Wire
from tests.support.running.programs import Server

NAMES = (b"a", b"b", b"c")
PATHS = [b"/".join(names) for depth in (1, 2, 3) for names in itertools.product(NAMES, repeat=depth)]
_places = itertools.count(1)

Model = dict[bytes, bytes | None]
"""Content of the files by their path; of directories none."""


class Step(NamedTuple):
    """What is tried; ``path`` and ``source`` choose among those that make sense then."""

    kind: str
    path: int
    source: int
    label: bytes


steps = st.builds(
    Step,
    st.sampled_from(("put", "put", "directory", "directory", "delete", "move", "move", "exchange", "copy", "delta")),
    st.integers(0, 999),
    st.integers(0, 999),
    st.sampled_from((b"x", b"y", b"z")),
)


class World:
    """A new directory of the replica, and what should be in it."""

    def __init__(self, server: Server, wire: Wire) -> None:
        self.wire = wire
        self.name = b"model-%d" % next(_places)
        self.disk = server.root / self.name.decode()
        self.push: Push = wire.push(wire.open_session().session_id)
        self.numbers = itertools.count(2)
        self.model: Model = {}
        self.staged: set[bytes] = set()
        self.committed: set[bytes] = set()
        self.failing: set[int] = set()
        self.push.send(batch(make_directory(1, self.name)), commit(rescan=True)).receive()

    def at(self, path: bytes) -> bytes:
        """The path in the replica."""
        return self.name + b"/" + path

    def entry(self, path: bytes) -> entry_pb2.Entry | None:
        """What is at a path, as a planner sees it."""
        if path not in self.model:
            return None
        content = self.model[path]
        if content is not None:
            return file(content)
        found = directory()
        found.digest = tree_of(self.below(path)).digest()
        return found

    def below(self, path: bytes) -> Model:
        """What is below a directory, by the path from there."""
        return {name[len(path) + 1 :]: what for name, what in self.model.items() if name.startswith(path + b"/")}

    def can_hold(self, path: bytes) -> bool:
        """Whether there is a directory for the path."""
        parent = split(RelPath(path))[0]
        return not parent or (parent in self.model and self.model[parent] is None)

    def content(self, label: bytes) -> bytes:
        """Content that no other world has."""
        return (self.name + label) * 700

    def crowded(self, content: bytes) -> bool:
        """Whether one more file of this content might be one more than is remembered."""
        return Counter(self.model.values())[content] >= LIMITS.max_content_paths

    def do(self, step: Step) -> None:
        """Send it, if a correct client could, and note what it should do."""
        number = next(self.numbers)
        match step.kind:
            case "put" | "copy" | "delta":
                place = [path for path in PATHS if self.can_hold(path) and self.model.get(path, b"") is not None]
                if place:
                    self.bring(number, step, place[step.path % len(place)])
            case "directory":
                place = [path for path in PATHS if self.can_hold(path) and path not in self.model]
                if place:
                    path = place[step.path % len(place)]
                    self.send(make_directory(number, self.at(path)))
                    self.model[path] = None
            case "delete":
                leaves = [path for path in sorted(self.model) if not self.below(path)]
                if leaves:
                    path = leaves[step.path % len(leaves)]
                    self.send(delete(number, self.at(path), seen(self.entry(path))))
                    del self.model[path]
            case _:
                self.rename(number, step)

    def bring(self, number: int, step: Step, path: bytes) -> None:
        """A file comes to a path, by way of a put, a copy or a delta."""
        content, old, there = self.content(step.label), self.model.get(path), self.entry(path)
        if self.crowded(content) and old != content:
            return
        if step.kind == "delta":
            if old is None or old not in self.committed:
                return
            content = old[:4096] + b"changed" + old[4096:]
            pieces = (copied(0), literal(b"changed"), *([copied(1, len(old) // 4096)] if len(old) > 4096 else []))
            self.push.send(*rebuilt(number, self.at(path), old, content, *pieces))
        elif step.kind == "copy":
            self.send(copy_content(number, self.at(path), content, seen(there)))
            if content not in self.staged | self.committed:
                self.failing.add(number)
                return
        else:
            self.send(put(number, self.at(path), content, seen(there)))
        self.staged.add(content)
        self.model[path] = content

    def rename(self, number: int, step: Step) -> None:
        """Something goes elsewhere, or two things change places."""
        if not self.model:
            return
        source = sorted(self.model)[step.source % len(self.model)]
        places = [*self.model, *PATHS]
        path = places[step.path % len(places)]
        if is_within(RelPath(path), RelPath(source)) or is_within(RelPath(source), RelPath(path)):
            return
        moving, there = self.entry(source), self.entry(path)
        assert moving is not None
        exchange = step.kind == "exchange"
        if exchange and there is None:
            return
        if not exchange and there is not None and (self.model[path] is None or self.model[source] is None):
            return
        self.send(move(number, self.at(source), self.at(path), moving, there, exchange=exchange))
        if not self.can_hold(path):
            self.failing.add(number)
            return
        taken, replaced = self.take(source), self.take(path)
        self.model.update({path + name: what for name, what in taken.items()})
        if exchange:
            self.model.update({source + name: what for name, what in replaced.items()})

    def take(self, path: bytes) -> Model:
        """Remove what is at a path and below it. Returns it by the rest of its path."""
        names = [name for name in self.model if is_within(RelPath(name), RelPath(path))]
        return {name[len(path) :]: self.model.pop(name) for name in names}

    def send(self, operation: pb.Operation) -> None:
        """One operation, in a batch of its own."""
        self.push.send(batch(operation))

    def check(self) -> None:
        """Commit, and compare all there is."""
        committed = self.push.send(commit()).receive()
        listed = self.wire.call(REPLICA + "ListEntries", rpb.ListEntriesRequest(path=self.name, recursive=True))
        entries = [e for page in listed.as_messages(rpb.ListEntriesResponse) for e in page.entries]
        rescanned = self.push.send(commit(rescan=True)).receive()

        assert self.failing == {failure.number for failure in committed.failures}
        assert self.model == {
            bytes(path.relative_to(self.disk)): None if path.is_dir() else path.read_bytes()
            for path in self.disk.rglob("*")
        }
        assert {path: None if what is None else digest(what) for path, what in self.model.items()} == {
            e.path[len(self.name) + 1 :]: None if e.entry.kind == entry_pb2.KIND_DIRECTORY else e.entry.digest
            for e in entries
        }
        assert committed.root_digest == rescanned.root_digest
        self.failing.clear()
        self.staged.clear()
        self.committed = {what for what in self.model.values() if what is not None}


def tree_of(model: Model) -> Tree:
    """The model as a tree of ours, for its digest."""
    tree = Tree()
    for path in sorted(model):
        content = model[path]
        if content is None:
            tree.put(RelPath(path), pack(directory_entry(0o755)))
        else:
            what = file_entry(mode=0o644, size=len(content), mtime_ns=MTIME_NS, digest=digest(content))
            tree.put(RelPath(path), pack(what))
    return tree


@settings(max_examples=60)
@given(commits=st.lists(st.lists(steps, min_size=5, max_size=20), min_size=1, max_size=3))
def test_model(server: Server, wire: Wire, commits: list[list[Step]]) -> None:
    """Moves, exchanges, puts, copies, deltas and deletes, whatever their order."""
    world = World(server, wire)
    for batch_of_steps in commits:
        for step in batch_of_steps:
            world.do(step)
        world.check()
    status = world.push.finish()[1]
    # The next world's looks should not have to go through this one.
    shutil.rmtree(world.disk)

    assert OK == status
