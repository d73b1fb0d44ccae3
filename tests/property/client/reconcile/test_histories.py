"""What holds of the reconciler in every history, whatever order its work is done in."""

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dirsync.tree.entry import covered
from dirsync.tree.path import RelPath
from dirsync.tree.plan import PutFile
from dirsync.wire.push.results import CONTENT_NOT_FOUND
from dirsync_client.reconcile.commands import Command, HashFile, Transmit, WakeAt
from dirsync_client.reconcile.path_states import BUSY, Phase
from tests.characterise.histories import History, Shape, Work, controlled
from tests.characterise.play import Clock, MakeClient, Play
from tests.characterise.reconciled import Reconciled
from tests.support.inside.fake_server import FakeServer

EXAMPLES = 16
SHARE_OF_CUTS = 0.1
MOST_CUTS = 10
seeds = st.integers(1000, 1_000_000)


class Checked(Reconciled):
    """Looks at the table after each call."""

    def __init__(self, source: Path, state: Path, server: FakeServer, shape: Shape, clock: Clock) -> None:
        super().__init__(source, state, server, shape, clock)
        self.told: list[object] = []

    def execute(self, commands: list[Command]) -> None:
        """Check, and go on."""
        self.told += map(_described, commands)
        self._check_phases()
        self._check_waiting()
        super().execute(commands)

    def _check_phases(self) -> None:
        """A path has one phase."""
        table = self.reconciler._context.table
        found = [(path, phase) for phase in Phase for path in table.paths(phase)]

        assert len(found) == len(table) == len(dict(found))
        assert all(table.phase(path) is phase is not Phase.IDLE for path, phase in found)
        assert not table.paths(Phase.COMPARING)

    def _check_waiting(self) -> None:
        """A path waits for something that is under way or will be tried again, and nothing waits in a circle."""
        table = self.reconciler._context.table
        on_their_way = self.reconciler._routes._on_their_way
        for start, state in table.states(Phase.BLOCKED):
            assert state.waits_for is not None
            seen, key = {start}, state.waits_for
            while (next_state := table.get(RelPath(key))) is not None and next_state.phase is Phase.BLOCKED:
                assert key not in seen
                seen.add(RelPath(key))
                assert next_state.waits_for is not None
                key = next_state.waits_for
            assert key in on_their_way or table.phase(RelPath(key)) in BUSY | {Phase.FAILED}, (start, key)


class PromptPlay(Play):
    """Takes each answer before anything more is sent."""

    def _work(self, order: Sequence[Work], amount: int) -> bool:
        return super()._work((Work.ANSWER, *(work for work in order if work is not Work.ANSWER)), amount)


class CutPlay(Play):
    """Loses the connection now and then, with whatever is under way at that moment."""

    def __init__(self, history: History, place: Path, make: MakeClient) -> None:
        super().__init__(history, place, make)
        self._rolls = random.Random(history.seed)
        self._cuts = 0

    def _work(self, order: Sequence[Work], amount: int) -> bool:
        if self._rolls.random() < SHARE_OF_CUTS and self._cuts < MOST_CUTS:
            self._cuts += 1
            client = self.client
            assert isinstance(client, Checked)
            client.cut(self._hints.pop(0) if self._hints else ())
        return super()._work(order, amount)


@contextmanager
def _played(seed: int, play: type[Play] = Play) -> Iterator[tuple[History, Checked]]:
    """A history that was played to its end."""
    with controlled(), tempfile.TemporaryDirectory() as place:
        history = History(seed, Path(place))
        played = play(history, Path(place), Checked)
        result = played.run()
        client = played.client
        assert isinstance(client, Checked)
        assert result.equal or result.problems or client.state[1] or not history.shape.deletes
        yield history, client


@given(seeds)
@settings(max_examples=EXAMPLES, deadline=None)
def test_ends(seed: int) -> None:
    """Once the server has answered everything, both sides are equal, or a problem or a hold says why not."""
    _check_end(seed, Play)


@given(seeds)
@settings(max_examples=EXAMPLES, deadline=None)
def test_ends_after_cuts(seed: int) -> None:
    """So it is if sessions are lost on the way there."""
    _check_end(seed, CutPlay)


def _check_end(seed: int, play: type[Play]) -> None:
    with _played(seed, play) as (history, client):
        in_sync, held, problems = client.state
        view = client.reconciler.view

        assert in_sync or held or problems
        assert not view.is_working
        assert view.replica_digest == history.server.tree.digest()
        left = {phase for phase, count in view.phases.items() if count}
        assert left <= {Phase.HELD, Phase.FAILED, Phase.BLOCKED}
        assert problems or Phase.BLOCKED not in left


@given(seeds)
@settings(max_examples=EXAMPLES, deadline=None)
def test_content_is_there(seed: int) -> None:
    """No operation destroys content that one on its way still needs: no copy and no move fails for lack of it.

    The basis of a delta may be gone: a file that was renamed and changed too is made from what it was elsewhere, and
    what takes its place there may be quicker. Then it is sent whole.
    """
    with _played(seed, PromptPlay) as (history, _):
        if history.shape.faults or history.shape.tampers:
            return
        refused = [step for step, failure in history.server.refused if failure.reason == CONTENT_NOT_FOUND]
        lost = [step for step in refused if not isinstance(step, PutFile)]

        assert [] == lost


@given(seeds)
@settings(max_examples=EXAMPLES // 4, deadline=None)
def test_same_again(seed: int) -> None:
    """The same events give the same commands."""
    with _played(seed) as (_, one), _played(seed) as (_, other):
        assert one.told == other.told


def _described(command: Command) -> object:
    """A command without what two runs cannot have in common: inodes and times of change."""
    match command:
        case Transmit(operation=operation, planned=planned, choice=choice):
            return operation, choice, None if planned is None else covered(planned)
        case HashFile(path=path, size=size):
            return path, size
        case WakeAt(time=time):
            return time
        case _:
            return type(command), getattr(command, "path", None)
