"""New directories that go as a whole: which ones, with what in them, and what happens while and after they do."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import pytest

from dirsync.limits import LIMITS
from dirsync.tree.entry import UNKNOWN, Kind, Record, file_entry, pack, symlink_entry, unpack, with_content
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.plan import BuildDirectory, CopyContent, MakeDirectory, Operation, PutFile, PutSymlink
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.reconcile.commands import RememberRecords, ReportBuilt, ReportFailed, Sent
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import Disconnected, Settled, SourceChanged
from dirsync_client.reconcile.path_states import Phase
from tests.unit.client.reconcile.harness import Harness
from tests.unit.client.reconcile.model import directory, path, record

FEW = 3


def client() -> Harness:
    """A source with a directory of some files, one of them in a directory of its own, and an empty replica."""
    harness = Harness(Options(at_once=True, min_built_files=FEW))
    for name in ("new", "new/sub"):
        harness.source.tree.put(path(name), directory())
    for name in ("new/a", "new/b", "new/sub/c"):
        harness.write(name, name.encode())
    return harness


def sent(harness: Harness) -> list[Operation]:
    """What waits to be settled."""
    return [transmit.operation for transmit in harness.outgoing]


def below(step: Operation) -> set[str]:
    """What goes with a directory."""
    assert isinstance(step, BuildDirectory)
    return {at.decode() for at, _ in step.below}


def large(content: bytes) -> Record:
    """A file that travels in frames."""
    entry = file_entry(mode=0o644, size=LIMITS.inline_file_bytes + 1, mtime_ns=0)
    return pack(entry._replace(digest=hashlib.sha256(content).digest()))


def test_one_operation() -> None:
    """A directory goes with all that is in it, and both sides are equal when that is settled."""
    harness = client()
    harness.connect(builds=True)
    (step,) = sent(harness)
    harness.run()

    assert (b"new", None, 0o755) == (step.path, step.expected, step.mode if isinstance(step, BuildDirectory) else 0)
    assert {"new/a", "new/b", "new/sub", "new/sub/c"} == below(step)
    assert harness.reconciler.view.in_sync
    assert harness.source.tree.digest() == harness.server.digest()
    assert [5] == [1 + len(c.below) for c in harness.seen if isinstance(c, ReportBuilt)]


def test_parents_come_first() -> None:
    """What holds something comes before it."""
    harness = client()
    harness.connect(builds=True)
    (step,) = sent(harness)
    assert isinstance(step, BuildDirectory)
    known = {step.path}
    for at, below_record in step.below:
        assert at.rpartition(b"/")[0] in known
        known |= {at} if below_record[0] == Kind.DIRECTORY else set()


@pytest.mark.parametrize("why", ["not offered", "few files", "not new"])
def test_step_by_step(why: str) -> None:
    """Where the server does not build, where there is little to build, and where something is there already."""
    harness = client()
    if why == "few files":
        harness.source.tree.remove(path("new/b"))
    if why == "not new":
        harness.server.put(path("new"), directory())
        harness.server.put(path("new/sub"), directory())
    harness.connect(builds=why != "not offered")

    assert not any(isinstance(step, BuildDirectory) for step in sent(harness))
    harness.run()
    assert harness.source.tree.digest() == harness.server.digest()


def test_left_out() -> None:
    """Large files, links, content that the replica has, and what has a problem go their own way when it is there."""
    harness = client()
    tree = harness.source.tree
    tree.put(path("new/large"), large(b"large"))
    tree.put(path("new/link"), pack(symlink_entry(b"a")))
    harness.write("known", b"known")
    harness.server.put(path("known"), record(b"known"))
    harness.write("new/known", b"known")
    tree.put(path("new/bad"), record(b"bad"))
    harness.source.problems[path("new/bad")] = Problem(path("new/bad"), ProblemKind.UNREADABLE, "denied")
    harness.connect(adopted=True, builds=True)
    (step,) = [step for step in sent(harness) if isinstance(step, BuildDirectory)]
    assert {"new/a", "new/b", "new/sub", "new/sub/c"} == below(step)
    harness.settle()
    rest = {step.path.decode(): type(step) for step in sent(harness)}

    assert rest["new/link"] is PutSymlink
    assert rest["new/large"] is PutFile
    assert rest["new/known"] in (PutFile, CopyContent)
    assert "new/bad" not in rest


def test_digests_are_learned() -> None:
    """The source and its index learn what was read of the files; what has changed since is sent after that."""
    harness = client()
    tree = harness.source.tree
    contents = {"new/a": b"new/a", "new/b": b"new/b", "new/sub/c": b"new/sub/c"}
    for name in contents:
        known = tree.record(path(name))
        assert known is not None
        tree.put(path(name), pack(unpack(known)._replace(digest=UNKNOWN)))
    harness.connect(builds=True)
    (transmit,) = harness.outgoing
    step = transmit.operation
    assert isinstance(step, BuildDirectory)
    read = [one._replace(record=_read(one.record, contents.get(one.path.decode()))) for one in step.below]
    harness.write("new/b", b"newer")
    harness.tell(SourceChanged([path("new/b")], harness.now))
    as_sent = Sent(transmit, step._replace(below=read), transmit.choice, transmit.planned)
    harness.outgoing.clear()
    harness._apply(as_sent)
    harness.tell(Settled([as_sent], [], harness.server.digest()))
    remembered = {at for c in harness.seen if isinstance(c, RememberRecords) for at, _ in c.records}

    assert {b"new/a", b"new/sub/c"} == remembered
    assert record(b"new/a") == tree.record(path("new/a"))
    assert [b"new/b"] == [step.path for step in sent(harness)]
    harness.run()
    assert harness.reconciler.view.in_sync


def _read(before: Record, content: bytes | None) -> Record:
    return before if content is None else with_content(before, hashlib.sha256(content).digest())


def test_nothing_is_sent_below_it_meanwhile() -> None:
    """What changes in it is noticed, counts as pending, and goes when it is there."""
    harness = client()
    harness.connect(builds=True)
    harness.write("new/d", b"later")
    harness.tell(SourceChanged([path("new/d")], harness.now))
    view = harness.reconciler.view

    assert [b"new"] == [step.path for step in sent(harness)]
    assert Phase.BUILDING is view.phase(path("new/sub/c"))
    assert 5 == view.pending
    harness.settle()
    assert [b"new/d"] == [step.path for step in sent(harness)]
    harness.run()
    assert view.in_sync


def test_gone_meanwhile() -> None:
    """A directory that leaves the source while it is on its way is removed again."""
    harness = client()
    many("keep", harness)
    harness.connect(builds=True)
    harness.source.tree.remove(path("new"))
    harness.tell(SourceChanged([path("new")], harness.now))
    harness.run()

    assert set(map(path, "keep")) == {at for at, _ in harness.server.walk()}


@pytest.mark.parametrize("outcome", [Outcome.CHANGED, Outcome.MISMATCH, Outcome.LIMIT, Outcome.STORAGE])
def test_refused(outcome: Outcome) -> None:
    """What the server does not take as a whole is made step by step; a full one is asked for no other as a whole."""
    harness = client()
    for name in ("z", "z/a", "z/b", "z/c"):
        harness.source.tree.put(path(name), directory() if name == "z" else record(name.encode()))
    harness.connect(builds=True)
    assert [BuildDirectory, BuildDirectory] == [type(step) for step in sent(harness)]
    harness.settle(outcome)
    after = {step.path.decode(): type(step) for step in sent(harness)}
    harness.source.tree.put(path("y"), directory())
    for name in ("y/a", "y/b", "y/c"):
        harness.write(name, name.encode())
    harness.tell(SourceChanged([path("y")], harness.now))

    assert after["new"] is MakeDirectory
    assert after["new/a"] is PutFile
    prompt = outcome in (Outcome.CHANGED, Outcome.MISMATCH)
    assert prompt == any(step.path == b"y" and isinstance(step, BuildDirectory) for step in sent(harness))
    assert [b"new"] == [c.sent.path for c in harness.seen if isinstance(c, ReportFailed)]
    harness.run()
    assert harness.reconciler.view.in_sync
    assert not harness.reconciler.view.problems


def test_interrupted() -> None:
    """After a connection that was lost in the middle of one, the next session builds none, and the one after does."""
    harness = client()
    harness.connect(builds=True)
    harness.tell(Disconnected())
    harness.outgoing.clear()
    harness.connect(builds=True)
    assert not any(isinstance(step, BuildDirectory) for step in sent(harness))
    harness.tell(Disconnected())
    harness.outgoing.clear()
    harness.connect(builds=True)

    assert [BuildDirectory] == [type(step) for step in sent(harness)]


def many(names: Iterable[str], harness: Harness) -> None:
    """Small files."""
    for name in names:
        harness.write(name, name.encode())


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than goes at once follows in other operations, and in the end all is there."""
    monkeypatch.setattr(
        "dirsync_client.reconcile.directories.builds.LIMITS", replace(LIMITS, max_built_entries=6, max_built_bytes=100)
    )
    harness = client()
    many((f"new/{number}" for number in range(20)), harness)
    for name in ("new/x", "new/y"):
        harness.source.tree.put(path(name), directory())
        many((f"{name}/{number}" for number in range(4)), harness)
    harness.connect(builds=True)
    sizes: list[int] = []
    while harness.outgoing:
        builds = [step for step in sent(harness) if isinstance(step, BuildDirectory)]
        sizes += [len(step.below) for step in builds]
        assert all(sum(unpack(one.record).size for one in step.below) <= 100 for step in builds)
        harness.settle()

    assert max(sizes) <= 6
    assert len(sizes) >= 2
    assert harness.source.tree.digest() == harness.server.digest()


def test_where_a_directory_moves_nothing_is_built() -> None:
    """While a directory is being moved nobody knows yet what comes from elsewhere."""
    harness = client()
    harness.source.renames.moved[path("new/sub")] = RelPath(b"old")
    harness.source.renames.pending.add(path("new/sub"))
    harness.connect(builds=True)

    assert not any(isinstance(step, BuildDirectory) for step in sent(harness))
