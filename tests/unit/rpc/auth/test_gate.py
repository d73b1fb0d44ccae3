"""The gate itself; what it does for a server is tested with a server."""

import threading
from typing import Any, cast

import grpc
import pytest

from dirsync.rpc.auth.bearer import Caller
from dirsync.rpc.auth.gate import AuthGate, InvalidCredentials, RateLimited
from dirsync.rpc.auth.throttle import AuthThrottle


class Call:
    """A call as far as the gate looks at one."""

    def __init__(self, connection: str = "ipv4:192.0.2.1:1000", token: str = "") -> None:
        self._connection = connection
        self._metadata = [("authorization", f"Bearer {token}")] if token else []

    def peer(self) -> str:
        """Where it comes from."""
        return self._connection

    def invocation_metadata(self) -> list[tuple[str, str]]:
        """Its headers."""
        return self._metadata

    def auth_context(self) -> dict[str, Any]:
        """No certificate."""
        return {}


def call(connection: str = "ipv4:192.0.2.1:1000", token: str = "") -> grpc.ServicerContext:
    """A call."""
    return cast("grpc.ServicerContext", Call(connection, token))


def refuse(_known: object, _caller: Caller) -> None:
    """No caller is known."""
    raise InvalidCredentials


def test_slow_credentials_delay_nobody_else() -> None:
    """While one call waits for its file system, another is authenticated."""
    gate, waiting, released = AuthGate(), threading.Event(), threading.Event()

    def slow() -> str:
        waiting.set()
        assert released.wait(10)
        return "slow"

    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(gate.authenticate(call(), slow, lambda known, _: known)))
    thread.start()
    assert waiting.wait(10)
    found.append(gate.authenticate(call(), lambda: "fast", lambda known, _: known))
    released.set()
    thread.join()

    assert ["fast", "slow"] == found


@pytest.mark.case("K04")
def test_calls_in_parallel_share_the_last_attempts() -> None:
    """Calls that all fetched the credentials before any of them was checked get no more checks than are left."""
    gate, together = AuthGate(AuthThrottle(burst=2, refill_seconds=1000)), threading.Barrier(5, timeout=10)
    ends: list[type[InvalidCredentials]] = []

    def guess(number: int) -> None:
        try:
            gate.authenticate(call(f"ipv4:192.0.2.1:{number}", "wrong"), together.wait, refuse)
        except InvalidCredentials as error:
            ends.append(type(error))

    threads = [threading.Thread(target=guess, args=(1000 + number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (2, 3) == (ends.count(InvalidCredentials), ends.count(RateLimited))


def test_the_limited_fetch_nothing() -> None:
    """A call of a network without attempts costs no look at a file."""
    gate = AuthGate(AuthThrottle(burst=1, refill_seconds=1000))
    with pytest.raises(InvalidCredentials):
        gate.authenticate(call(), int, refuse)
    fetched: list[int] = []

    with pytest.raises(RateLimited):
        gate.authenticate(call(), lambda: fetched.append(1), refuse)
    assert [] == fetched
