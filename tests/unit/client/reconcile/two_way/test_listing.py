"""When the replica is listed again because others change it."""

from dirsync_client.reconcile.context import Context, Options
from dirsync_client.reconcile.two_way.listing import PAUSE_SECONDS, Listing
from tests.unit.client.reconcile.model import Model

FORMER, NOW, MIXED = b"former", b"now", b"mixed"


class Clock:
    """A listing, and the time."""

    def __init__(self) -> None:
        self.context = Context(Model(), Options())
        self.listing = Listing(self.context)
        self.context.now = 10.0

    def wait(self) -> bool:
        """Let the pause pass; whether the replica is to be listed."""
        self.context.now += PAUSE_SECONDS
        return self.listing.take_due()


def test_at_once_after_a_report() -> None:
    """And then not again."""
    clock = Clock()
    clock.listing.changed(NOW)

    assert clock.listing.take_due()
    clock.listing.done(NOW, FORMER)
    assert not clock.wait()


def test_a_report_is_followed_by_a_listing_whatever_an_answer_says() -> None:
    """The digest of an answer may be older than the report, and equal to what is known."""
    clock = Clock()
    clock.listing.done(FORMER, FORMER)
    clock.listing.changed(NOW)

    assert not clock.listing.take_due()
    assert clock.wait()


def test_a_report_during_a_listing() -> None:
    """That listing may have begun before the change."""
    clock = Clock()
    clock.listing.changed(FORMER)
    assert clock.listing.take_due()
    clock.listing.changed(NOW)
    clock.listing.done(FORMER, FORMER)

    assert clock.listing.due is not None
    assert clock.wait()


def test_a_mixture_is_listed_again() -> None:
    """Until it is what the server named, or nothing changes any more."""
    clock = Clock()
    clock.listing.changed(NOW)
    assert clock.listing.take_due()
    clock.listing.done(MIXED, FORMER)
    assert clock.wait()
    clock.listing.done(NOW, FORMER)
    assert not clock.wait()


def test_an_old_report_does_not_have_it_listed_for_ever() -> None:
    """Two listings with the same result are believed."""
    clock = Clock()
    clock.listing.changed(FORMER)
    assert clock.listing.take_due()
    clock.listing.done(NOW, FORMER[:3])
    assert clock.wait()
    clock.listing.done(NOW, FORMER[:3])
    assert not clock.wait()
