"""One table of paths, one phase each: the answer to "what is going on at this path?".

Rules:

- A path that is not in the table is :attr:`Phase.IDLE`: nothing is known to differ there.
- The transitions are data (:data:`TRANSITIONS`). One that is not listed raises :class:`InvalidTransition`, because it
  is an error in the reconciler.
- A blocked path waits for a *key*: a path that is busy or has failed, or the probe of a large file that is under way.
  What it waits for is never blocked itself, so waiting cannot go round in a circle.
- A path that stops being busy, or is tried again, releases what waits for it: those paths become dirty.
"""

import enum
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from dirsync.tree.path import RelPath

if TYPE_CHECKING:
    from dirsync.tree.problem import Problem
    from dirsync_client.reconcile.commands import Transmit


class Phase(enum.IntEnum):
    """What is going on at a path. An integer enumeration, because its hash is computed without a Python call."""

    IDLE = 0
    """Nothing is known to differ."""
    DIRTY = 1
    """It has to be compared."""
    PROBING = 2
    """A few bytes of a large file are being read, to tell it from others of its size."""
    HASHING = 3
    """A file is being read, because the replica may have its content."""
    ESTIMATING = 4
    """The part of a file that its basis has is being estimated."""
    SENDING = 5
    """An operation is on its way to the server, or waits for its turn, or for the commit."""
    MOVING = 6
    """A directory is on its way to or from here, with everything in it."""
    BLOCKED = 7
    """It waits for something else: see :attr:`PathState.waits_for`."""
    DOOMED = 8
    """What the replica has here is to be removed, once the guards have judged it."""
    HELD = 9
    """A guard holds the removal until someone approves it."""
    FAILED = 10
    """It has a problem, and is tried again later."""
    COMPARING = 11
    """It is being compared, in the present call."""
    PACED = 12
    """A file that never rests was sent a short time ago, and is sent again later."""
    BUILDING = 13
    """A new directory is on its way to the server, with what is in it."""
    RECEIVING = 14
    """What the replica has here is on its way to the source."""
    LEAVING = 15
    """What the source has here is to be removed, because the replica has not got it any more, once that was judged."""


AT_REPLICA: Final = frozenset(
    {Phase.PROBING, Phase.HASHING, Phase.ESTIMATING, Phase.SENDING, Phase.MOVING, Phase.BUILDING}
)
"""What is under way may change what the replica has, or depends on it: the replica is not listed meanwhile."""
BUSY: Final = AT_REPLICA | {Phase.RECEIVING}
"""Something is under way that will be answered. A busy path is not planned again until then."""
IN_FLIGHT: Final = frozenset({Phase.ESTIMATING, Phase.SENDING, Phase.MOVING, Phase.BUILDING})
"""An operation is decided and not settled."""
UNBOUNDED: Final = frozenset({Phase.BLOCKED, Phase.DOOMED, Phase.PACED, Phase.LEAVING})
"""Any number of paths may be in these; of what is under way there is a limited number."""
REMOVING: Final = frozenset({Phase.DOOMED, Phase.HELD})
LATER: Final = frozenset({Phase.FAILED, Phase.PACED})
"""It is tried again at a time that is set."""

_START: Final = frozenset(Phase) - {Phase.IDLE, Phase.DIRTY, Phase.COMPARING}
"""Where a comparison can lead."""

TRANSITIONS: Final[Mapping[Phase, Collection[Phase]]] = MappingProxyType(
    {
        Phase.IDLE: _START | {Phase.DIRTY},
        Phase.DIRTY: _START | {Phase.IDLE, Phase.COMPARING},
        Phase.COMPARING: _START | {Phase.DIRTY, Phase.IDLE},
        Phase.PROBING: frozenset({Phase.DIRTY, Phase.IDLE}),
        Phase.HASHING: frozenset({Phase.DIRTY, Phase.IDLE, Phase.FAILED, Phase.PACED}),
        Phase.ESTIMATING: frozenset({Phase.SENDING, Phase.IDLE}),
        Phase.SENDING: frozenset({Phase.DIRTY, Phase.IDLE, Phase.FAILED, Phase.PACED}),
        Phase.MOVING: frozenset({Phase.DIRTY, Phase.IDLE}),
        Phase.BUILDING: frozenset({Phase.DIRTY, Phase.IDLE}),
        Phase.RECEIVING: frozenset({Phase.DIRTY, Phase.IDLE, Phase.FAILED}),
        Phase.LEAVING: _START | {Phase.DIRTY, Phase.IDLE},
        Phase.BLOCKED: _START | {Phase.DIRTY, Phase.IDLE},
        Phase.DOOMED: _START | {Phase.DIRTY, Phase.IDLE},
        Phase.HELD: _START | {Phase.DIRTY, Phase.IDLE},
        Phase.FAILED: _START | {Phase.DIRTY, Phase.IDLE},
        Phase.PACED: _START | {Phase.DIRTY, Phase.IDLE},
    }
)
"""Phase to the phases that may follow it. A phase that stays what it is is no transition."""


class InvalidTransition(Exception):
    """A path would go from one phase to another that may not follow it: an error in the reconciler."""


class PathState:
    """What is known of one path that is not idle."""

    __slots__ = (
        "again_since",
        "asks_first",
        "attempts",
        "differs",
        "failed_at",
        "force_whole",
        "misled",
        "paced_since",
        "phase",
        "piecewise",
        "probe",
        "problem",
        "since",
        "transmit",
        "waits_for",
        "wanted",
    )

    def __init__(self, since: float = 0.0) -> None:
        self.phase = Phase.IDLE
        self.since = since
        """When the oldest change here was noticed that is not acknowledged."""
        self.again_since: float | None = None
        """Of a busy path: when the oldest change was noticed that came after what is under way."""
        self.attempts = 0
        """How often an operation at this path failed since the last success."""
        self.failed_at = 0.0
        """Of a failed path: since when."""
        self.misled = False
        """The file could be opened after it had failed, and then not be read."""
        self.asks_first = False
        """The server refused the file: it is asked whether it would take it before its content is sent again."""
        self.piecewise = False
        """The server did not take the directory as a whole: it is made step by step."""
        self.waits_for: bytes | None = None
        """Of a blocked path: the key that it waits for."""
        self.transmit: Transmit | None = None
        """The operation that is under way."""
        self.probe: bytes | None = None
        """What a probe of the file showed."""
        self.wanted: int | None = None
        """Of a file that is read and is new, or had another size before: its size. A file of the replica with this
        size may have its content."""
        self.differs = False
        """The file was seen to differ from the replica's, although its digest is not known."""
        self.force_whole = False
        """The server could not make it from what it has."""
        self.problem: Problem | None = None
        """Of a failed path: why. Of a paced one, if it was rewritten each time that it was read."""
        self.paced_since: float | None = None
        """Of a paced path: since when the replica has not what it has."""


_UNSETTLED: Final = tuple(
    phase for phase in Phase if phase not in (Phase.IDLE, Phase.FAILED, Phase.HELD, Phase.LEAVING)
)
_SINCE: Final = attrgetter("since")
MANY_SEEN: Final = 64
"""Paths of a phase without a bound that are looked at for the oldest change: those that came to it first."""


class PathTable:
    """The states of all paths that are not idle."""

    def __init__(self) -> None:
        self.changed_at = 0.0
        """When what leaves IDLE from now on was noticed, in seconds."""
        self._states: dict[RelPath, PathState] = {}
        self._in_phase: list[dict[RelPath, None]] = [{} for _ in Phase]
        self._waiting: dict[bytes, set[RelPath]] = {}
        """Blocked paths, by the key that they wait for."""

    def __len__(self) -> int:
        """How many paths are not idle."""
        return len(self._states)

    def phase(self, path: RelPath) -> Phase:
        """What is going on at ``path``."""
        state = self._states.get(path)
        return Phase.IDLE if state is None else state.phase

    def get(self, path: RelPath) -> PathState | None:
        """The state of ``path``, or ``None`` where it is idle."""
        return self._states.get(path)

    def is_busy(self, path: RelPath) -> bool:
        """Whether something is under way at ``path``."""
        state = self._states.get(path)
        return state is not None and state.phase in BUSY

    def count(self, phases: Iterable[Phase]) -> int:
        """How many paths are in one of these phases."""
        total = 0
        for phase in phases:  # many times for each change: a loop takes a third of the time that a generator takes
            total += len(self._in_phase[phase])
        return total

    def paths(self, phase: Phase) -> Mapping[RelPath, None]:
        """The paths in a phase, in the order in which they got there. It follows the table."""
        return self._in_phase[phase]

    def busy_paths(self) -> Iterator[RelPath]:
        """The paths at which something is under way."""
        for phase in sorted(BUSY):
            yield from self._in_phase[phase]

    def states(self, phase: Phase) -> Iterator[tuple[RelPath, PathState]]:
        """The paths in a phase with their states."""
        for path in self._in_phase[phase]:
            yield path, self._states[path]

    @property
    def oldest_change(self) -> float | None:
        """When the oldest change was noticed that is still to be settled; what has a problem or is held is not."""
        oldest: float | None = None
        for phase in _UNSETTLED:
            paths = self._in_phase[phase]
            if paths:
                seen = islice(paths, MANY_SEEN) if phase in UNBOUNDED else paths
                since = min(map(_SINCE, map(self._states.__getitem__, seen)))
                oldest = since if oldest is None or since < oldest else oldest
        return oldest

    def acknowledged(self, path: RelPath, phase: Phase, now: float, read_at: float = 0.0) -> PathState:
        """What was under way at ``path`` is at the replica; ``phase`` follows, for what came after it.

        ``read_at``: when its content was read. What was noticed before that is in it.
        """
        state = self.to(path, phase)
        state.since = now if state.again_since is None else max(state.again_since, read_at)
        state.again_since = None
        return state

    def to(self, path: RelPath, phase: Phase) -> PathState:
        """Take ``path`` to ``phase``; it may be there already.

        Raises:
            InvalidTransition: that phase may not follow.
        """
        state = self._states.get(path)
        before = Phase.IDLE if state is None else state.phase
        if phase is before:
            return state or PathState()
        if phase not in TRANSITIONS[before]:
            msg = f"{path!r} cannot go from {before.name} to {phase.name}"
            raise InvalidTransition(msg)
        if state is None:
            state = self._states[path] = PathState(self.changed_at)
        else:
            del self._in_phase[before][path]
            if before is Phase.BLOCKED:
                self._stop_waiting(path, state)
            elif before in LATER:
                state.problem = None
        state.phase = phase
        if phase is Phase.IDLE:
            del self._states[path]
        else:
            self._in_phase[phase][path] = None
        if before in BUSY and phase not in BUSY:
            state.transmit = None
            state.wanted = None
        if before in LATER or (before in BUSY and phase not in BUSY):
            self.release(path)
        return state

    def take_dirty(self) -> list[RelPath]:
        """Begin to compare the dirty paths; those that are still compared at :meth:`end_comparison` are equal."""
        dirty = list(self._in_phase[Phase.DIRTY])
        for path in dirty:
            self.to(path, Phase.COMPARING)
        return dirty

    def end_comparison(self) -> None:
        """Make the compared paths idle for which nothing was found to do."""
        for path in list(self._in_phase[Phase.COMPARING]):
            self.to(path, Phase.IDLE)

    def block(self, path: RelPath, key: bytes) -> None:
        """Let ``path`` wait for ``key``: a busy path, or a probe."""
        state = self._states.get(path)
        if state is not None and state.phase is Phase.BLOCKED:
            self._stop_waiting(path, state)
        else:
            state = self.to(path, Phase.BLOCKED)
        state.waits_for = key
        self._waiting.setdefault(key, set()).add(path)

    def release(self, key: bytes) -> None:
        """Make the paths dirty that wait for ``key``."""
        for path in sorted(self._waiting.get(key, ())):
            self.to(path, Phase.DIRTY)

    def clear(self, phases: Iterable[Phase]) -> None:
        """Make all paths in these phases idle, without releasing what waits for them."""
        for phase in phases:
            for path in list(self._in_phase[phase]):
                state = self._states.pop(path)
                if phase is Phase.BLOCKED:
                    self._stop_waiting(path, state)
            self._in_phase[phase].clear()

    def _stop_waiting(self, path: RelPath, state: PathState) -> None:
        assert state.waits_for is not None
        waiting = self._waiting[state.waits_for]
        waiting.discard(path)
        if not waiting:
            del self._waiting[state.waits_for]
        state.waits_for = None
