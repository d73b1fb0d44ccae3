"""When the replica is listed again because others change it."""

from dirsync_client.reconcile.context import Context, Options
from dirsync_client.reconcile.two_way.listing import PAUSE_SECONDS, Listing
from tests.unit.client.reconcile.model import Model, path, record


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

    def listed(self, content: bytes, *, is_of_a_moment: bool) -> None:
        """The replica was listed, and has this content."""
        self.context.replica.put(path("file"), record(content))
        self.listing.done(is_of_a_moment=is_of_a_moment)


def test_at_once_after_a_report() -> None:
    """And then not again."""
    clock = Clock()
    clock.listing.changed()

    assert clock.listing.take_due()
    clock.listed(b"new", is_of_a_moment=True)
    assert not clock.wait()


def test_soon_after_a_listing() -> None:
    """Not at once: what is to be sent goes out between two of them."""
    clock = Clock()
    clock.listed(b"former", is_of_a_moment=True)
    clock.listing.changed()

    assert not clock.listing.take_due()
    assert clock.wait()


def test_a_report_during_a_listing() -> None:
    """That listing may have begun before the change."""
    clock = Clock()
    clock.listing.changed()
    assert clock.listing.take_due()
    clock.listing.changed()
    clock.listed(b"former", is_of_a_moment=True)

    assert clock.listing.due is not None
    assert clock.wait()


def test_a_mixture_is_listed_again() -> None:
    """Until it is what the server named."""
    clock = Clock()
    clock.listing.changed()
    assert clock.listing.take_due()
    clock.listed(b"mixed", is_of_a_moment=False)
    assert clock.wait()
    clock.listed(b"new", is_of_a_moment=True)
    assert not clock.wait()


def test_it_is_not_listed_for_ever() -> None:
    """Two listings with the same result are believed."""
    clock = Clock()
    clock.listing.changed()
    assert clock.listing.take_due()
    clock.listed(b"new", is_of_a_moment=False)
    assert clock.wait()
    clock.listed(b"new", is_of_a_moment=False)
    assert not clock.wait()
