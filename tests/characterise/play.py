"""Plays a history to a client's decisions, and sums up what they came to.

A client is whatever looks at the source, decides, and does the work that it decided on; here it does so in one thread,
piece by piece, in the order that the history says. Time is a number that moves when nothing else is left to do.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from dirsync.tree.path import RelPath
from dirsync.tree.strategy import CHOICES, Choice
from dirsync.tree.tree import Tree
from tests.characterise.histories import History, Shape, Work, snapshot
from tests.support.inside.fake_server import OPERATION_NAMES, FakeServer

_PATIENCE = 100_000
"""Pieces of work after which a client is said not to come to an end."""
_IN_VAIN = 150.0
"""Seconds in which a client only tried again what has a problem: it will not get further than that."""
_APPROVALS = 5
"""How often what is held is approved: an operation that fails is judged, and held, again."""
_LONG = 3600.0
"""Seconds after which a client is said not to come to an end."""


_NUMBERS = (
    "root",
    "equal",
    "held",
    "problems",
    "literal_bytes",
    "hashed_bytes",
    "commits",
    "listings",
    "failed",
)


class Clock:
    """The time, as a number."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


class Client(Protocol):
    """One session of a client."""

    choices: Counter[str]
    """How content came to the replica, and why, of all operations that were applied."""

    @property
    def hashed_bytes(self) -> int:
        """Bytes that were read only to know their digest."""

    def notice(self, paths: Sequence[RelPath]) -> None:
        """The watcher says that something happened at these paths."""

    def look_everywhere(self) -> None:
        """Look at the whole source, and ask the server to look at its side."""

    def available(self) -> Sequence[Work]:
        """Of what kinds work is there."""

    def perform(self, work: Work) -> None:
        """Do one piece of work of this kind."""

    def decide(self) -> None:
        """Let the decisions be made that can be made."""

    def wakeup(self) -> float | None:
        """Seconds until something is due that nothing else would bring about, if anything is."""

    def approve(self) -> bool:
        """Release what is held; whether anything was."""

    @property
    def state(self) -> tuple[bool, int, int]:
        """Whether both sides count as equal, the number of operations that are held, and that of problems."""

    @property
    def source_tree(self) -> Tree:
        """The source, as the client sees it."""

    def close(self) -> None:
        """Close everything."""


class MakeClient(Protocol):
    """Starts a client."""

    def __call__(self, source: Path, state: Path, server: FakeServer, shape: Shape, clock: Clock) -> Client:
        """Look at the source, fetch the replica's tree, and compare them."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a history came to."""

    root: str
    """The replica's root digest, shortened."""
    equal: bool
    """Whether the replica is equal to the source."""
    held: int
    """Operations that are held at the end, before they are approved."""
    problems: int
    literal_bytes: int
    hashed_bytes: int
    commits: int
    listings: int
    failed: int
    operations: Mapping[str, int] = field(default_factory=dict)
    choices: Mapping[str, int] = field(default_factory=dict)

    def encoded(self) -> list[Any]:
        """A row for JSON."""
        return [
            *(getattr(self, name) for name in _NUMBERS),
            [self.operations.get(name, 0) for name in OPERATION_NAMES],
            [self.choices.get(name, 0) for name in _CHOICES],
        ]

    @classmethod
    def decoded(cls, row: list[Any]) -> Self:
        """From such a row."""
        *numbers, operations, choices = row
        return cls(
            **dict(zip(_NUMBERS, numbers, strict=True)),
            operations=_counts(OPERATION_NAMES, operations),
            choices=_counts(_CHOICES, choices),
        )


def _counts(names: Sequence[str], counts: Sequence[int]) -> dict[str, int]:
    return {name: count for name, count in zip(names, counts, strict=True) if count}


def choice_name(choice: Choice) -> str:
    """A choice, as it is counted."""
    return f"{choice.strategy.value} {choice.reason.value}"


_CHOICES = tuple(map(choice_name, CHOICES))


class NoEnd(AssertionError):
    """A client does not come to an end."""


def play(history: History, place: Path, make: MakeClient) -> Result:
    """Play it, and sum up."""
    return Play(history, place, make).run()


class Play:
    """One history with one client."""

    def __init__(self, history: History, place: Path, make: MakeClient) -> None:
        self.history = history
        self._clock = Clock()
        self._hints: list[list[RelPath]] = []
        (place / "state").mkdir()
        self.client = make(history.source, place / "state", history.server, history.shape, self._clock)

    def run(self) -> Result:
        """Play it to its end."""
        try:
            return self._run()
        finally:
            self.client.close()

    def _run(self) -> Result:
        order: Sequence[Work] = tuple(Work)
        self.client.decide()
        if self.history.shape.calm:
            self._finish(order)
        for each in self.history.rounds():
            order = each.order
            self._hints += each.hints
            if each.looks_everywhere:
                self._hints.clear()
                self.client.look_everywhere()
                self.client.decide()
            if each.amount is None:
                self._finish(order)
            else:
                self._work(order, each.amount)
        self._finish(order)
        self.client.look_everywhere()
        self._finish(order)
        _, held, _ = self.client.state
        for _ in range(_APPROVALS):
            if not self.client.approve():
                break
            self._finish(order)
        return self._result(held)

    def _work(self, order: Sequence[Work], amount: int) -> bool:
        """Do so many pieces of work; false if there was no more."""
        for _ in range(amount):
            available = [*self.client.available(), *([Work.NOTICE] if self._hints else [])]
            work = next((work for work in order if work in available), None)
            if work is None:
                return False
            if work is Work.NOTICE:
                self.client.notice(self._hints.pop(0))
            else:
                self.client.perform(work)
            self._clock.now += 0.001
            self.client.decide()
        return True

    def _finish(self, order: Sequence[Work]) -> None:
        """Work until nothing is left to do, however long that takes."""
        start = worked = self._clock.now
        for _ in range(_PATIENCE):
            if self._work(order, 1):
                worked = self._clock.now
                continue
            wait = self.client.wakeup()
            if wait is None or self._clock.now - worked > _IN_VAIN:
                return
            self._clock.now += max(wait, 0.001)
            if self._clock.now - start > _LONG:
                break
            self.client.decide()
        msg = f"seed {self.history.seed}: no end; {self.client.state}"
        raise NoEnd(msg)

    def _result(self, held: int) -> Result:
        client, tally = self.client, self.history.server.tally
        tree, _ = snapshot(self.history.source)
        _, _, problems = client.state
        return Result(
            root=self.history.server.tree.digest().hex()[:16],
            equal=tree.digest() == self.history.server.tree.digest(),
            held=held,
            problems=problems,
            literal_bytes=tally.literal_bytes,
            hashed_bytes=client.hashed_bytes,
            commits=tally.commits,
            listings=tally.listings,
            failed=tally.failed,
            operations=dict(sorted(tally.operations.items())),
            choices=dict(sorted(client.choices.items())),
        )
