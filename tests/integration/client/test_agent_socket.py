"""The agent's socket in STATE_DIR: for this user alone, wherever it lies, and never in the way of the next client."""

import stat
from pathlib import Path

import pytest

from tests.support.running.ports import free_port
from tests.support.running.programs import Pair

pytestmark = pytest.mark.programs

SOCKET = "agent.sock"


def nobody() -> str:
    """An address without a listener."""
    return f"127.0.0.1:{free_port()}"


def test_life(pair: Pair) -> None:
    """The socket is there while the client runs, for its user alone, and the commands need no address."""
    pair.server()
    client = pair.client()
    socket = Path(str(client.settings["state_dir"])) / SOCKET
    mode = socket.stat().st_mode
    asked = client.command("status", listen=nobody())
    client.stop()

    assert stat.S_ISSOCK(mode)
    assert 0o600 == stat.S_IMODE(mode)
    assert 0 == asked.code
    assert not socket.exists()


def test_killed(pair: Pair) -> None:
    """The socket that a killed client leaves does not answer, and the next client replaces it."""
    pair.server()
    client = pair.client()
    client.kill()
    dead = client.command("status")
    left = (Path(str(client.settings["state_dir"])) / SOCKET).exists()
    again = pair.client()

    assert left
    assert 1 == dead.code
    assert "DIRSYNC_CLIENT_LISTEN" in dead.messages[0]
    assert 0 == again.command("status", listen=nobody()).code


def test_any_path(pair: Pair) -> None:
    """A state directory whose path is too long for a socket, or has characters that URIs escape, has one too."""
    pair.server()
    client = pair.client(state_dir=pair.place / "a b%20#?:" / ("d" * 200) / "e")

    assert 0 == client.command("status", listen=nobody()).code


def test_no_socket(pair: Pair) -> None:
    """Where there can be no socket the log says it, and the commands ask at the address."""
    (pair.place / "client-state" / SOCKET).mkdir(parents=True)
    pair.server()
    client = pair.client()

    assert "the commands ask the agent at its address instead" in client.wait_for("agent.degraded")["reason"]
    assert 0 == client.command("status").code
    assert 1 == client.command("status", listen=nobody()).code
