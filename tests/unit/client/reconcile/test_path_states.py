"""The table of paths: one phase each, and only the transitions that it lists."""

import itertools

import pytest

from dirsync_client.reconcile.path_states import BUSY, TRANSITIONS, InvalidTransition, PathTable, Phase
from tests.unit.client.reconcile.model import path

A, B, C = path("a"), path("b"), path("c")
PAIRS = [(first, then) for first, then in itertools.product(Phase, Phase) if first is not then]


def reach(table: PathTable, phase: Phase) -> None:
    """Bring a path to a phase by transitions that are allowed."""
    if phase is Phase.BLOCKED:
        table.block(A, b"key")
    elif phase is Phase.COMPARING:
        table.to(A, Phase.DIRTY)
        table.take_dirty()
    elif phase is not Phase.IDLE:
        table.to(A, phase)


@pytest.mark.parametrize("first, then", PAIRS)
def test_every_pair(first: Phase, then: Phase) -> None:
    """A transition that is listed is made, any other raises and changes nothing."""
    table = PathTable()
    reach(table, first)
    if then in TRANSITIONS[first]:
        table.to(A, then)

        assert then is table.phase(A)
    else:
        with pytest.raises(InvalidTransition):
            table.to(A, then)

        assert first is table.phase(A)


def test_counts() -> None:
    """The paths in a phase are known, and idle ones are forgotten."""
    table = PathTable()
    table.to(A, Phase.SENDING)
    table.to(B, Phase.SENDING)
    table.to(C, Phase.DIRTY)
    table.to(A, Phase.IDLE)

    assert (2, 1, [B]) == (len(table), table.count((Phase.SENDING,)), list(table.paths(Phase.SENDING)))
    assert table.get(A) is None


@pytest.mark.parametrize("phase", sorted({*BUSY, Phase.FAILED} - {Phase.ESTIMATING}))
def test_release(phase: Phase) -> None:
    """What waits for a path is compared again when nothing is under way there any more."""
    table = PathTable()
    table.to(A, phase)
    table.block(B, A)
    table.block(C, b"another key")
    table.to(A, Phase.DIRTY)

    assert (Phase.DIRTY, Phase.BLOCKED) == (table.phase(B), table.phase(C))


def test_release_by_failure() -> None:
    """What waits for a path that fails is compared again: it may have nothing to wait for any more."""
    table = PathTable()
    table.to(A, Phase.SENDING)
    table.block(B, A)
    table.to(A, Phase.FAILED)

    assert Phase.DIRTY is table.phase(B)


def test_blocked_by_something_else() -> None:
    """A blocked path may wait for another key instead; then only that one releases it."""
    table = PathTable()
    table.block(B, b"first")
    table.block(B, b"second")
    table.release(b"first")
    waiting = table.phase(B)
    table.release(b"second")

    assert (Phase.BLOCKED, Phase.DIRTY) == (waiting, table.phase(B))


def test_what_is_known_stays() -> None:
    """Attempts and probes outlive a comparison, and end with the path's idleness."""
    table = PathTable()
    state = table.to(A, Phase.DIRTY)
    state.attempts, state.probe = 2, b"probe"
    table.take_dirty()
    table.to(A, Phase.SENDING)
    kept = table.get(A)
    table.to(A, Phase.IDLE)

    assert kept is not None
    assert (2, b"probe") == (kept.attempts, kept.probe)
    assert table.get(A) is None


def test_clear() -> None:
    """A session's end makes everything idle that belongs to it, and nothing waits for it any more."""
    table = PathTable()
    table.to(A, Phase.SENDING)
    table.block(B, A)
    table.to(C, Phase.HELD)
    table.clear((*BUSY, Phase.BLOCKED, Phase.DIRTY))
    table.release(A)

    assert (Phase.IDLE, Phase.IDLE, Phase.HELD) == (table.phase(A), table.phase(B), table.phase(C))
