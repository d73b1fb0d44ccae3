"""A handler that fails for a bug of ours: the caller learns that, and nothing else; the log tells the rest."""

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from dirsync.errors import NotFound
from dirsync.rpc.service import generic_handler
from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.log import logging
from dirsync.wire.descriptors import REPLICA_SERVICE, methods
from tests.support.peers.wire import OK, REPLICA, Wire

SECRET = "/srv/of/another/tenant"
UNARY, STREAM = "GetStatus", "ListEntries"


def fail(_request: object, _context: grpc.ServicerContext) -> bytes:
    """A bug whose text names a file."""
    raise FileNotFoundError(2, "No such file", SECRET)


def fail_late(_request: object, _context: grpc.ServicerContext) -> Iterator[bytes]:
    """The same after a first answer."""
    yield b"first"
    raise RuntimeError(SECRET)


def refuse(_request: object, _context: grpc.ServicerContext) -> bytes:
    """An error of ours."""
    raise NotFound("nothing there")


@pytest.fixture
def log() -> io.StringIO:
    """What is logged."""
    stream = io.StringIO()
    logging.configure("server", LogLevel.INFO, LogFormat.JSON, stream=stream)
    return stream


def serve(**handlers: Any) -> "tuple[grpc.Server, str]":
    """A server with these handlers; the others refuse."""
    table = {method.name: refuse for method in methods(REPLICA_SERVICE)} | handlers
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((generic_handler(REPLICA_SERVICE, table),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


@pytest.mark.case("I29")
def test_internal_error(log: io.StringIO) -> None:
    """Neither the text nor the stack of an unexpected error reaches the caller, and the log has both, once."""
    server, address = serve(**{UNARY: fail, STREAM: fail_late})
    with Wire(address) as wire:
        answers = [wire.call(REPLICA + name) for name in (UNARY, STREAM)]
    server.stop(None).wait()
    events = [json.loads(line) for line in log.getvalue().splitlines()]

    assert [[], [b"first"]] == [answer.messages for answer in answers]
    assert {("INTERNAL", "INTERNAL", "dirsync")} == {answer.status[:3] for answer in answers}
    for answer in answers:
        assert SECRET not in answer.status.message
        assert SECRET.encode() not in answer.status.details
        assert "Error" not in answer.status.message
    assert ["library.message"] * 2 == [event["event"] for event in events]
    assert [f"{REPLICA}{name} failed" for name in (UNARY, STREAM)] == [event["message"] for event in events]
    assert all(SECRET in event["exception"] and "Traceback" in event["exception"] for event in events)


def test_error_of_ours(log: io.StringIO) -> None:
    """Positive control: an error of ours tells the caller what it says, and nothing of it is logged here."""
    server, address = serve()
    with Wire(address) as wire:
        status = wire.call(REPLICA + UNARY).status
    server.stop(None).wait()

    assert OK != status
    assert ("NOT_FOUND", "nothing there") == (status.code, status.message)
    assert "" == log.getvalue()
