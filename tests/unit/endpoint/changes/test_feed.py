"""Who is told of which change, and when."""

import threading

import pytest

from dirsync.endpoint.changes.dirty_paths import Dirty
from dirsync.endpoint.changes.feed import ChangeFeed
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath

A, B = RelPath(b"a"), RelPath(b"b")


def test_others_are_told() -> None:
    """Whoever made a change is told only that there was one; everybody else is told where."""
    feed = ChangeFeed()
    ann, bob = feed.subscribe(b"ann"), feed.subscribe(b"bob")
    feed.publish([A], b"ann")

    assert (True, Dirty()) == (ann.wait(0), ann.take())
    assert (True, Dirty((A,))) == (bob.wait(0), bob.take())

    feed.publish([B])

    assert [Dirty((B,))] * 2 == [ann.take(), bob.take()]


def test_nothing_before_and_after() -> None:
    """What changed before the subscription, or after its end, is not told."""
    feed = ChangeFeed()
    feed.publish([A])
    subscription = feed.subscribe(b"ann")

    assert not subscription.wait(0)

    feed.unsubscribe(subscription)
    feed.publish([A])

    assert not subscription.wait()
    assert 0 == feed.subscribers


def test_losing_everything() -> None:
    """If it is unknown what changed, all are told that anything may have, whoever did it."""
    feed = ChangeFeed()
    ann = feed.subscribe(b"ann")
    feed.lose()

    assert Dirty(everything=True) == ann.take()


def test_no_path_is_no_change() -> None:
    """A commit that changed nothing wakes nobody."""
    feed = ChangeFeed()
    ann = feed.subscribe(b"ann")
    feed.publish([])

    assert not ann.wait(0)


def test_slow_subscriber() -> None:
    """One who takes nothing costs no more than the bound, and is told afterwards that everything may be different."""
    feed = ChangeFeed()
    slow, quick = feed.subscribe(b"slow"), feed.subscribe(b"quick")
    for number in range(LIMITS.max_reported_changes + 10):
        feed.publish([RelPath(b"%d" % number)])

        assert 1 == len(quick.take().paths)

    assert Dirty(everything=True) == slow.take()


@pytest.mark.parametrize("wake", ["change", "end"])
def test_waking(wake: str) -> None:
    """A change and the end both wake the one who waits."""
    feed = ChangeFeed()
    subscription = feed.subscribe(b"ann")
    woken: list[bool] = []
    thread = threading.Thread(target=lambda: woken.append(subscription.wait(20)))
    thread.start()
    if wake == "change":
        feed.publish([A])
    else:
        subscription.end()
    thread.join()

    assert [wake == "change"] == woken


def test_first_subscription_is_noticed() -> None:
    """Whoever looks for edits hears of each subscription after it counts."""
    feed = ChangeFeed()
    counts: list[int] = []
    feed.on_subscribed = lambda: counts.append(feed.subscribers)
    feed.subscribe(b"ann")
    feed.subscribe(b"bob")

    assert [1, 2] == counts
