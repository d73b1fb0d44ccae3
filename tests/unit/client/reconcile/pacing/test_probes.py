"""Failed paths are tried from time to time; when one of them succeeds, the others are at once."""

import pytest

from dirsync.limits import LIMITS, MIB
from dirsync.tree.entry import pack
from dirsync.tree.outcome import Outcome
from dirsync.tree.path import RelPath
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.reconcile.commands import ProbeSource
from dirsync_client.reconcile.context import Options
from tests.unit.client.reconcile.harness import Harness, paths
from tests.unit.client.reconcile.model import entry, path

FILES = [f"f{number}" for number in range(40)]
STEP = 0.25


def failing(outcome: Outcome, seconds: float, files: dict[str, bytes]) -> tuple[Harness, list[RelPath]]:
    """A sync of which everything fails for so long, and what was sent after its first seconds."""
    sync = Harness(Options())
    sync.connect()
    for name, content in files.items():
        sync.write(name, content)
    sync.change(*files)
    sent: list[RelPath] = []
    for number in range(int(seconds / STEP)):
        sent += paths(sync.outgoing) if number * STEP > 10 else []
        sync.settle(*[outcome] * len(sync.outgoing))
        sync.wait(STEP)
        sync.look()
    return sync, sent


@pytest.mark.parametrize("outcome", [Outcome.STORAGE, Outcome.LIMIT])
def test_space(outcome: Outcome) -> None:
    """One small file is tried every few seconds, the others with growing pauses; then all go."""
    sync, sent = failing(outcome, 100, {**dict.fromkeys(FILES, b"some content"), "small": b"s"})

    assert 25 <= sent.count(path("small")) <= 40
    assert len(sent) <= 40 + 4 * len(FILES)
    assert not sync.reconciler.view.is_changing

    for _ in range(int(5 / STEP)):
        sync.run()
        sync.wait(STEP)
        sync.look()

    assert sync.reconciler.view.in_sync


def test_nothing_seems_to_change() -> None:
    """While only a probe is under way nothing is known to change; a change beside it is one."""
    sync, _ = failing(Outcome.STORAGE, 60, {"a": b"a"})
    while not sync.outgoing:
        sync.wait(STEP)
        sync.look()
    probing = sync.reconciler.view.is_changing
    sync.write("b", b"b")
    sync.change("b")

    assert (False, True) == (probing, sync.reconciler.view.is_changing)


def test_a_large_file_is_tried_rarely() -> None:
    """What is sent for nothing is bounded: a large file waits longer."""
    size = 100 * MIB
    sync = Harness(Options())
    sync.source.tree.put(path("large"), pack(entry(b"large")._replace(size=size)))
    sync.connect()
    sent = 0
    for _ in range(int(600 / STEP)):
        sent += len(sync.outgoing) * size
        sync.settle(*[Outcome.STORAGE] * len(sync.outgoing))
        sync.wait(STEP)
        sync.look()

    assert sent <= 600 * LIMITS.probe_bytes_per_second + 6 * size


class TestSource:
    """What could not be read at the source is opened from time to time."""

    def unreadable(self, *names: str) -> Harness:
        """These could not be read, a while ago."""
        sync = Harness(Options())
        sync.connect()
        for name in names:
            sync.source.problems[path(name)] = Problem(path(name), ProblemKind.UNREADABLE, "closed")
        sync.wait(60.0)
        return sync

    def probed(self, sync: Harness) -> list[tuple[RelPath, ...]]:
        """What was opened so far."""
        return [command.paths for command in sync.seen if isinstance(command, ProbeSource)]

    def test_in_turn(self) -> None:
        """Of many paths, a few each time, and each in its turn."""
        names = [f"d{number}" for number in range(3 * LIMITS.probe_paths)]
        sync = self.unreadable(*names)
        for _ in range(3):
            sync.wait(LIMITS.probe_seconds)
        probed = self.probed(sync)

        assert {path(name) for name in names} == {at for paths_at_once in probed for at in paths_at_once}
        assert all(len(at_once) <= LIMITS.probe_paths for at_once in probed)

    def test_wakes(self) -> None:
        """It wakes by itself for that, and only while there is something to open."""
        sync = self.unreadable("d")

        assert sync.wake_at == sync.now + LIMITS.probe_seconds

        sync.source.problems.clear()
        sync.wait(LIMITS.probe_seconds)

        assert sync.wake_at is None
