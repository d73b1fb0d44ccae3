"""The door of a service: a caller's credentials come first, and whoever shows wrong ones too often is not heard.

Who may enter is decided by a check that the service brings; the door counts what it refuses. Refusals are alike,
whatever was wrong and whether anything was looked at, so that nobody learns what exists or how close he came.

A caller shares its network with others: NAT, a node with many pods. One of them that guesses must not stop the sync of
another, so a connection that has shown a valid token goes on being heard, with that token and no other. The first wrong
one on it ends that: otherwise whoever gets hold of a connection's address could go on guessing at its token. What the
others have to wait for is a new connection.
"""

from collections import OrderedDict
from collections.abc import Callable
from hmac import compare_digest
from threading import Lock
from typing import TypeVar

import grpc

from dirsync.errors import Unauthenticated
from dirsync.limits import LIMITS
from dirsync.rpc.auth.bearer import Caller, caller_of
from dirsync.rpc.auth.throttle import Attempts
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger

T = TypeVar("T")

REFUSAL = "no valid credentials for what was asked; check the token, and the namespace"
"""What everybody is told who may not enter."""
_CERTIFICATE = b""
"""Stands for the token of a caller who needs none: the certificate is the connection's own."""


class Refused(Unauthenticated):
    """The one refusal."""

    def __init__(self) -> None:
        super().__init__(REFUSAL)


class Unheard(Refused):
    """The same to the caller, who has failed too often; we know that nothing was looked at."""


class Door:
    """Lets callers in. Thread-safe."""

    def __init__(self, attempts: Attempts | None = None) -> None:
        self._attempts = Attempts() if attempts is None else attempts
        self._lock = Lock()
        self._proven: OrderedDict[str, bytes] = OrderedDict()

    def enter(self, context: grpc.ServicerContext, check: Callable[[Caller], T]) -> T:
        """What ``check`` says of the caller; it raises :class:`Refused` for whoever it does not know.

        Raises:
            Refused: by ``check``.
            Unheard: the caller's network has failed too often; ``check`` was not called.
        """
        caller = caller_of(context)
        # One at a time: calls that guess side by side must not all find the last attempt unspent.
        with self._lock:
            if self._attempts.exhausted(caller.network) and not self._is_proven(caller):
                raise Unheard
            try:
                found = check(caller)
            except Refused:
                self._is_proven(caller)
                self._fail(caller)
                raise
            self._prove(caller)
            return found

    def _is_proven(self, caller: Caller) -> bool:
        """Whether the connection has shown what it shows now; where it shows anything else, it has from now on not."""
        proven = self._proven.get(caller.connection)
        if proven is None:
            return False
        if compare_digest(proven, caller.token or _CERTIFICATE):
            return True
        del self._proven[caller.connection]
        return False

    def _prove(self, caller: Caller) -> None:
        self._proven[caller.connection] = caller.token or _CERTIFICATE
        self._proven.move_to_end(caller.connection)
        if len(self._proven) > LIMITS.auth_connections:
            self._proven.popitem(last=False)

    def _fail(self, caller: Caller) -> None:
        if self._attempts.failed(caller.network):
            problem = f"{caller.network} has shown wrong credentials too often and is not heard for a while"
            get_logger().warning(Event.AUTH_REJECTED, reason="RATE_LIMITED", peer=caller.network, problem=problem)
