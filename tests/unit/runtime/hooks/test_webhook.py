"""A hook that calls a URL."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from dirsync.runtime.hooks.outcome import Outcome, Result
from dirsync.runtime.hooks.webhook import WebhookHook
from tests.support.peers.receiver import Receiver
from tests.support.running.ports import free_port
from tests.unit.runtime.hooks.runs import PLACE, STATE, run_of


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Who is called."""
    with Receiver() as receiver:
        yield receiver


def call(url: str, statuses: tuple[str, ...] = ("2xx",), timeout: float = 10.0) -> Outcome:
    """Call a URL once."""
    return WebhookHook(url, statuses, timeout).run(PLACE, run_of(b"a"), lambda: False)


def test_call(receiver: Receiver) -> None:
    """A call is a POST of the message, with the root digest as the key by which a repeated one is recognised."""
    outcome = call(f"{receiver.url}/a/b?c=d")

    (made,) = receiver.calls
    assert Outcome(Result.SUCCEEDED) == outcome
    assert ("POST", "/a/b?c=d", ["a"]) == (made.method, made.path, made.message["paths"])
    assert "application/json" == made.headers["content-type"]
    assert STATE.hex() == made.headers["idempotency-key"]


def test_no_path(receiver: Receiver) -> None:
    """A URL without a path means the root."""
    call(receiver.url)
    call(f"{receiver.url}?x=y")

    assert ["/", "/?x=y"] == [made.path for made in receiver.calls]


@pytest.mark.parametrize(
    "status, statuses, succeeds",
    [
        (200, ("2xx",), True),
        (299, ("2xx",), True),
        (304, ("2xx",), False),
        (500, ("2xx",), False),
        (200, ("204",), False),
        (204, ("200", "204"), True),
        (404, ("4xx", "2xx"), True),
    ],
)
def test_statuses(receiver: Receiver, status: int, statuses: tuple[str, ...], succeeds: bool) -> None:
    """The status decides, and the settings say which ones are good."""
    receiver.status = status
    expected = Outcome(Result.SUCCEEDED) if succeeds else Outcome(Result.FAILED, f"it answered with status {status}")

    assert expected == call(receiver.url, statuses)


def test_redirects_are_not_followed(receiver: Receiver) -> None:
    """A redirect is an answer with its status: the message goes to no other place."""
    receiver.status = 307
    receiver.headers = {"Location": f"{receiver.url}/elsewhere"}

    assert Outcome(Result.FAILED, "it answered with status 307") == call(receiver.url)
    assert ["/"] == [made.path for made in receiver.calls]


def test_proxies_are_not_obeyed(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy variables of the environment are there for other programs."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")

    assert Outcome(Result.SUCCEEDED) == call(receiver.url)


def test_nobody_listens() -> None:
    """Who cannot be reached is a failure like another."""
    outcome = call(f"http://127.0.0.1:{free_port()}/")

    assert Result.FAILED is outcome.result
    assert outcome.problem.startswith("it cannot be called: ")


def test_no_answer(receiver: Receiver) -> None:
    """Who does not answer in time is not waited for."""
    receiver.answers.clear()

    assert Outcome(Result.TIMED_OUT, "it did not answer in time") == call(receiver.url, timeout=0.2)


def test_an_answer_that_never_ends() -> None:
    """Who answers a byte at a time is not waited for longer than that."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_drip, args=(server,), daemon=True).start()
        started = time.monotonic()
        outcome = call(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=0.5)

    assert Outcome(Result.TIMED_OUT, "it did not answer in time") == outcome
    assert time.monotonic() - started < 10


def test_no_http() -> None:
    """Who speaks another protocol is a failure like another."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        outcome = call(f"http://127.0.0.1:{server.getsockname()[1]}/")

    assert Result.FAILED is outcome.result


def test_https_needs_a_certificate_that_is_trusted() -> None:
    """A server that the system does not trust is not told anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_greet, args=(server,), daemon=True).start()
        outcome = call(f"https://127.0.0.1:{server.getsockname()[1]}/")

    assert Result.FAILED is outcome.result


def _greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(b"220 mail.example.com ESMTP\r\n")
        connection.recv(1 << 16)


def _drip(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(1 << 16)
        try:
            for _ in range(1000):
                connection.sendall(b"H")
                time.sleep(0.02)
        except OSError:
            return
