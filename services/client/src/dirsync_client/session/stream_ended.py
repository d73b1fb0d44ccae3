"""How a stream of a session ends: by the server, by the network, or by a bug."""

from typing import NamedTuple


class StreamEnded(NamedTuple):
    """The stream is over; whatever was not settled is unknown."""

    error: Exception | None
