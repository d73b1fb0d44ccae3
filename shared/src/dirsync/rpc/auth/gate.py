"""Authenticates the callers of a service, and limits how often a network may show wrong credentials.

The service brings the check; the gate counts its failures. Every refusal has the same text, whatever was wrong and
whether anything was checked, so that callers learn neither what exists nor how close they came.

Callers share networks: behind NAT, or as pods on one node. A caller that guesses must not stop the sync of another. So
a connection that has shown a valid token is still served with that token while its network is rate-limited. The first
wrong token on the connection ends that; otherwise its address would be a way to guess without limit. Callers without
such a connection wait until the network has attempts again.

Credentials come from files. They are fetched before the gate takes its lock, so a slow file system delays only the
caller that waits for it.
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
from dirsync.rpc.auth.throttle import AuthThrottle
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger

K = TypeVar("K")
T = TypeVar("T")

REFUSAL = "no valid credentials for what was asked; check the token, and the namespace"
"""The text of every refusal."""
_CERTIFICATE = b""
"""Stands for the token of a caller that needs none: the certificate belongs to the connection."""


class InvalidCredentials(Unauthenticated):
    """The caller has shown no valid credentials."""

    def __init__(self) -> None:
        super().__init__(REFUSAL)


class RateLimited(InvalidCredentials):
    """The caller's network has failed too often, so nothing was checked. Callers cannot tell the difference."""


class AuthGate:
    """Authenticates callers. Thread-safe."""

    def __init__(self, throttle: AuthThrottle | None = None) -> None:
        self._throttle = AuthThrottle() if throttle is None else throttle
        self._lock = Lock()
        self._proven: OrderedDict[str, bytes] = OrderedDict()

    def authenticate(
        self, context: grpc.ServicerContext, credentials: Callable[[], K], check: Callable[[K, Caller], T]
    ) -> T:
        """Check the caller of a call.

        Args:
            context: The call.
            credentials: Returns what is valid now. It may read files.
            check: Judges the caller by that, in memory. It raises :class:`InvalidCredentials` for an unknown caller.

        Returns:
            What ``check`` returned.

        Raises:
            InvalidCredentials: raised by ``check``.
            RateLimited: the caller's network has failed too often; neither function was called.
        """
        caller = caller_of(context)
        with self._lock:
            self._require_attempts(caller)
        known = credentials()
        # One check at a time: calls that guess in parallel must not all find the last attempt unspent.
        with self._lock:
            self._require_attempts(caller)
            try:
                found = check(known, caller)
            except InvalidCredentials:
                self._is_proven(caller)
                self._fail(caller)
                raise
            self._prove(caller)
            return found

    def _require_attempts(self, caller: Caller) -> None:
        if self._throttle.exhausted(caller.network) and not self._is_proven(caller):
            raise RateLimited

    def _is_proven(self, caller: Caller) -> bool:
        """Whether the connection has proved the token that it shows; a different token ends the proof."""
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
        if self._throttle.failed(caller.network):
            problem = f"{caller.network} has shown wrong credentials too often; its calls are refused for a while"
            get_logger().warning(Event.AUTH_REJECTED, reason="RATE_LIMITED", peer=caller.network, problem=problem)
