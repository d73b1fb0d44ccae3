"""``approve`` against an agent of any mood: what it reports, and what it notes for the next run."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from dirsync.errors import DirsyncError, NotFound, Unavailable
from dirsync.rpc.service import generic_handler
from dirsync.runtime.config.addresses import Address
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.guards.approvals import Released
from dirsync.wire.agent.approve import encode_approved
from dirsync.wire.descriptors import AGENT_SERVICE
from dirsync_client.agent.unix_socket import UnixSocket
from dirsync_client.commands.agent.approve import approve
from dirsync_client.settings import ClientSettings
from tests.support.running.ports import free_port

HOLD = "0123456789abcdef"
Answer = Callable[[], bytes]


def settings(state_dir: Path) -> ClientSettings:
    """Settings under which nobody listens at the address."""
    return ClientSettings.model_validate({"state_dir": state_dir, "listen": Address("127.0.0.1", free_port())})


@contextmanager
def agent(state_dir: Path, answer: Answer) -> Iterator[None]:
    """An agent at the socket that has this answer to an approval."""
    server = grpc.server(ThreadPoolExecutor(1))
    handlers = dict.fromkeys(
        ("GetStatus", "SyncNow", "ListProblems", "WatchEvents", "ApproveHold", "ExplainPath"), lambda *_: answer()
    )
    server.add_generic_rpc_handlers((generic_handler(AGENT_SERVICE, handlers, lambda *_: None),))
    with UnixSocket(state_dir) as socket:
        server.add_insecure_port(socket.target)
        server.start()
        yield
        server.stop(0).wait()


def fails(error: DirsyncError) -> Answer:
    """An answer that is an error."""

    def answer() -> bytes:
        raise error

    return answer


def noted(state_dir: Path) -> list[str]:
    """What is approved for the next run."""
    return os.listdir(state_dir / "approvals") if (state_dir / "approvals").exists() else []


def test_released(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the agent released is reported."""
    with agent(tmp_path, lambda: encode_approved(Released(3))):
        code = approve(settings(tmp_path), Namespace(hold_id=HOLD, target=None))

    assert (ExitCode.DONE, "released 3 paths\n", []) == (code, capsys.readouterr().out, noted(tmp_path))


def test_unknown(tmp_path: Path) -> None:
    """A hold that the agent does not know is a failure."""
    with agent(tmp_path, fails(NotFound("there is no hold", reason="HOLD_NOT_FOUND"))):
        code = approve(settings(tmp_path), Namespace(hold_id=HOLD, target=None))

    assert (ExitCode.FAILED, []) == (code, noted(tmp_path))


def test_busy(tmp_path: Path) -> None:
    """A client that runs and is busy is told as such: nothing is noted for a next run."""
    with (
        agent(tmp_path, fails(Unavailable("the client is busy", reason="AGENT_BUSY"))),
        pytest.raises(Unavailable, match="the client is busy"),
    ):
        approve(settings(tmp_path), Namespace(hold_id=HOLD, target=None))

    assert [] == noted(tmp_path)


def test_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no client runs the approval is noted for the next run."""
    code = approve(settings(tmp_path), Namespace(hold_id=HOLD, target=None))

    assert (ExitCode.DONE, [HOLD]) == (code, noted(tmp_path))
    assert f"no client runs; {HOLD} is approved for the next run" in capsys.readouterr().err
