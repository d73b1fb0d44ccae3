"""One session, or the attempt to open one, from the decision to connect to its end."""

import enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dirsync_client.receive.reception import Reception
    from dirsync_client.session.link import Link
    from dirsync_client.transfer.opening.on_demand import TransferOnDemand


class Stage(enum.Enum):
    """How far a session is."""

    CLOSED = "closed"
    OPENING = "opening"
    LISTING = "listing"
    OPEN = "open"


class Attempt:
    """What there is of a session."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.stage = Stage.CLOSED
        self.link: Link | None = None
        self.is_early = False
        """It was asked for before the source was scanned, and waits for that."""
        self.early_link: Link | None = None
        """What the server answered meanwhile."""
        self.transfer: TransferOnDemand | None = None
        self.reception: Reception | None = None
        """Of a two-way session."""
        self.opened_at = 0.0
        self.trusted_at: float | None = None
        """When the connection will be known to work, if nothing is settled before: one that carries nothing ends
        earlier."""
        self.progressed = False
        """The server settled something: a session that opens and dies is no progress."""
        self.reported = False
        """The server has reported what the replica is, after it was listed."""
        self.keeps_surplus = False
        """The server has kept uploads that may not be needed any more."""

    def close(self) -> None:
        """End it, as far as it got."""
        if self.reception is not None:
            self.reception.close()
        if self.transfer is not None:
            self.transfer.close()
        for link in (self.early_link, self.link):
            if link is not None:
                link.close()
