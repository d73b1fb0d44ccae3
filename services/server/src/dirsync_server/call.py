"""One call as the APIs see it, whatever carries it: who may use which replica, and whether the caller still waits.

:meth:`dirsync_server.tenancy.authority.Authority.call` makes it of a gRPC context. A test or a simulation makes it of
its replicas::

    call = Call(authorize=replicas.__getitem__)
"""

from collections.abc import Callable
from typing import NamedTuple

from dirsync.endpoint.replica import Replica
from dirsync.fs.read.hashing import Cancelled


def _always_allowed(_namespace: str) -> Callable[[], None]:
    return _do_nothing


def _never() -> bool:
    return False


def _do_nothing() -> None:
    return


def _forget(_ended: Callable[[], None]) -> None:
    return


class Call(NamedTuple):
    """What one call brings with it besides its messages."""

    authorize: Callable[[str], Replica]
    """Returns the replica of a namespace if the caller may use it, and raises an error of ours otherwise."""
    recheck: Callable[[str], Callable[[], None]] = _always_allowed
    """Returns a cheap check for a call that goes on: it raises once the caller may not use the namespace any more."""
    cancelled: Cancelled = _never
    """Whether the caller has gone; asked now and then during long work."""
    end: Callable[[], object] = _do_nothing
    """Ends the call from another thread, for example because a newer session took over."""
    on_end: Callable[[Callable[[], None]], None] = _forget
    """Has a function called, from any thread, when the call has ended in whatever way; at once if it has."""
    traceparent: str = ""
    """The caller's span, as the metadata of the call names it; empty: none."""
