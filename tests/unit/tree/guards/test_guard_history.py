"""What makes up for what: entries that come, and removals that are noticed."""

from dataclasses import replace

import pytest

from dirsync import limits
from dirsync.tree.guards import history as history_module
from dirsync.tree.guards.history import History
from tests.unit.tree.builders import path_of


def came(history: History, now: float, first: int, count: int) -> None:
    """So many entries came, from this number on."""
    for number in range(first, first + count):
        history.came(now, path_of(f"n{number}"))


def noticed(history: History, now: float, first: int, count: int, held_since: float | None = None) -> None:
    """So many removals were noticed."""
    for number in range(first, first + count):
        history.noticed(now, path_of(f"n{number}"), held_since)


def made_up(history: History) -> int:
    """For how many of all removals something came."""
    return history.made_up_for(history.pending)


@pytest.mark.parametrize("gone, come, expected", [(5, 3, 3), (3, 5, 3), (0, 5, 0), (5, 0, 0)])
def test_one_for_one(gone: int, come: int, expected: int) -> None:
    """An entry makes up for one removal at most."""
    history = History(0.0, 100)
    noticed(history, 1.0, 0, gone)
    came(history, 2.0, 50, come)

    assert expected == made_up(history)


@pytest.mark.parametrize("later, expected", [(59.0, 3), (63.0, 0)])
def test_window(later: float, expected: int) -> None:
    """It has to come within the window, in either order."""
    after, before = History(0.0, 100), History(0.0, 100)
    noticed(after, 0.0, 0, 3)
    came(after, later, 50, 3)
    came(before, 0.0, 50, 3)
    noticed(before, later, 0, 3)

    assert (expected, expected) == (made_up(after), made_up(before))


def test_what_came_goes_again() -> None:
    """What made up for a removal, or would, and goes again makes up for nothing."""
    history = History(0.0, 100)
    noticed(history, 1.0, 0, 5)
    came(history, 2.0, 50, 5)
    noticed(history, 3.0, 50, 2)

    assert 3 == made_up(history)
    came(history, 3.0, 60, 2)
    assert 5 == made_up(history)


def test_what_came_before_goes_again() -> None:
    """The same where it came before the removal."""
    history = History(0.0, 100)
    came(history, 1.0, 50, 5)
    noticed(history, 2.0, 0, 3)
    noticed(history, 3.0, 50, 5)

    assert 0 == made_up(history)


def test_what_came_is_no_replacement_for_its_like() -> None:
    """The rest of what came lately does not make up for the part of it that goes."""
    history = History(0.0, 0)
    came(history, 0.0, 0, 100)
    noticed(history, 5.0, 0, 60)

    assert 0 == made_up(history)


def test_removals_that_are_over() -> None:
    """What came for removals that are not to be done any more is not kept for others."""
    history = History(0.0, 100)
    noticed(history, 1.0, 0, 5)
    came(history, 1.0, 50, 5)
    history.keep([path_of("n0")])
    noticed(history, 1.5, 10, 4)

    assert (1, 1) == (made_up(history), history.replaced)
    assert 5 == len(history.pending)


def test_replaced_counts_once() -> None:
    """While old and new are at the replica the tree is not larger, and it has not shrunk when the old is gone."""
    history = History(0.0, 41)
    noticed(history, 1.0, 0, 40)
    came(history, 2.0, 50, 36)
    history.acknowledged(2.0, 77)
    assert (41, 0) == (history.largest(2.0), history.missing(2.0))
    for number in range(40):
        history.deleted(path_of(f"n{number}"))
    history.acknowledged(3.0, 37, 40)

    assert (41, 4, 0) == (history.largest(3.0), history.missing(3.0), history.replaced)


def test_new_before_old_counts_once() -> None:
    """The same where the new was there first."""
    history = History(0.0, 41)
    came(history, 2.0, 50, 36)
    history.acknowledged(2.0, 77)
    noticed(history, 4.0, 0, 40)
    history.acknowledged(5.0, 77)

    assert (41, 36) == (history.largest(5.0), history.replaced)
    for number in range(40):
        history.deleted(path_of(f"n{number}"))
    history.acknowledged(6.0, 37, 40)
    assert (41, 4) == (history.largest(6.0), history.missing(6.0))


def test_transient() -> None:
    """What came after something was held and goes is told from what was there before."""
    history = History(0.0, 100)
    came(history, 1.0, 0, 1)
    came(history, 5.0, 1, 1)
    noticed(history, 6.0, 0, 3, held_since=4.0)

    assert [False, True, False] == [history.pending[path_of(f"n{number}")].transient for number in range(3)]


def test_too_many_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than is remembered makes up for nothing that goes afterwards: nothing could tell what is older."""
    monkeypatch.setattr(history_module, "LIMITS", replace(limits.LIMITS, max_recent_entries=10))
    history = History(0.0, 100)
    came(history, 1.0, 50, 30)
    noticed(history, 2.0, 0, 20)
    assert 0 == made_up(history)
    came(history, 3.0, 80, 20)
    assert 20 == made_up(history)
    history.keep(())
    came(history, 70.0, 110, 5)
    noticed(history, 71.0, 20, 5)

    assert 5 == made_up(history)
    assert len(history._came) <= 30


@pytest.mark.parametrize("pause", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("new_first", [True, False])
@pytest.mark.parametrize("at_start", [True, False])
def test_versions_that_follow_each_other(pause: float, new_first: bool, at_start: bool) -> None:
    """However many versions wait to be removed, the tree has what it had, and is never larger than with two of them."""
    history = History(0.0, 14)
    if not at_start:
        history = History(0.0, 10)
        came(history, 0.0, 0, 4)
        history.acknowledged(0.0, 14)
    now, losses = 1.0, []
    for version in range(1, 21):
        if new_first:
            came(history, now, 4 * version, 4)
            history.acknowledged(now, 14 + 4 * version)
        noticed(history, now, 4 * version - 4, 4)
        if not new_first:
            came(history, now, 4 * version, 4)
            history.acknowledged(now, 14 + 4 * version)
        lasting = len(history.pending) - history.fleeting(history.pending)
        losses.append(lasting - made_up(history) + history.missing_after(now, history.pending))
        now += pause

    assert max(losses) <= 4
    assert history.largest(now) <= 18


def test_of_a_tree_just_copied_each_loss_counts() -> None:
    """What came in no older entry's place is lost if it goes, done or not."""
    history = History(0.0, 41)
    came(history, 1.0, 0, 200)
    history.acknowledged(1.0, 241)
    noticed(history, 6.0, 0, 150)
    assert (150, 150) == (history.fleeting(history.pending), history.missing_after(6.0, history.pending))
    assert 20 == history.missing_after(6.0, [path_of(f"n{number}") for number in range(20)])
    assert 0 == history.missing(6.0)
    for number in range(150):
        history.deleted(path_of(f"n{number}"))
    history.acknowledged(7.0, 91, 150)

    assert (0, 150) == (history.fleeting(history.pending), history.missing(7.0))


def test_fleeting_entries_that_are_there_again() -> None:
    """Removals that are not to be done any more take nothing away."""
    history = History(0.0, 41)
    came(history, 1.0, 0, 200)
    history.acknowledged(1.0, 241)
    noticed(history, 2.0, 0, 150)
    history.keep([path_of("n0")])

    assert (1, 1) == (history.fleeting(history.pending), history.missing_after(2.0, history.pending))


def test_what_came_for_something_is_as_old() -> None:
    """When that is gone: what comes makes up for it as for anything old."""
    history = History(0.0, 41)
    came(history, 1.0, 0, 40)
    noticed(history, 1.5, 100, 40)
    for number in range(100, 140):
        history.deleted(path_of(f"n{number}"))
    history.acknowledged(2.0, 41, 40)
    came(history, 3.0, 50, 36)
    history.acknowledged(3.0, 77)
    noticed(history, 4.0, 0, 40)

    assert (36, 0, 41) == (made_up(history), history.fleeting(history.pending), history.largest(4.0))
