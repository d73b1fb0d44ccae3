"""The race of a directory with a link that leads out of the root, against the programs as they run."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path

import pytest

from dirsync.v1 import replica_service_pb2
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.faults.crashes import untouched
from tests.support.faults.flipper import flipping
from tests.support.inside.deltas import copied, copy_content, move, rebuilt, signature
from tests.support.peers.operations import (
    batch,
    commit,
    delete,
    digest,
    directory,
    file,
    link,
    make_directory,
    put,
    put_link,
    seen,
    set_metadata,
)
from tests.support.peers.wire import REPLICA, Wire
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import build, equal, look

pytestmark = pytest.mark.programs

BUDGETS = [pytest.param(2.0, id="short"), pytest.param(15.0, id="long", marks=pytest.mark.faults)]
"""Seconds."""
SECRET = b"secret" * 2000
BASIS = b"basis " * 2000
KINDS = {"put_file", "put_symlink", "make_directory", "set_metadata", "move", "copy_content", "delete", "delta"}
REFUSABLE = KINDS - {"delete"}
"""What is not there counts as deleted."""
PATIENCE = 15.0
"""More seconds that a busy machine gets until every kind was both applied and refused."""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What must be neither touched nor disclosed, and a link to it beside."""
    outside = tmp_path / "outside"
    names = [
        "secret",
        "basis",
        *(f"{kind}-{number}" for kind in ("put", "link", "moved", "copied") for number in range(20)),
    ]
    build(outside, {**dict.fromkeys(names, SECRET), **{f"directory-{number}/secret": SECRET for number in range(20)}})
    (tmp_path / "link").symlink_to(outside)
    return outside


def round_of(number: Callable[[], int], turn: int) -> list[pb.PushChangesRequest]:
    """Every kind of operation below ``p``; each path is made, changed and removed again."""
    at = {kind: f"p/{kind}-{turn % 20}".encode() for kind in ("put", "link", "moved", "copied", "directory")}
    small, changed, shorter = file(b"put"), file(b"put", 0o600), BASIS[:4096] * 2
    changed.mtime_ns += 1
    return [
        batch(
            put(number(), at["put"], b"put"),
            set_metadata(number(), at["put"], seen(small)),
            move(number(), at["put"], at["moved"], changed),
            put_link(number(), at["link"], b"target"),
            make_directory(number(), at["directory"]),
            copy_content(number(), at["copied"], BASIS),
        ),
        *rebuilt(number(), b"p/basis", BASIS, shorter, copied(0), copied(0)),
        batch(
            copy_content(number(), b"p/basis", BASIS, seen(file(shorter))),
            delete(number(), at["moved"], seen(changed)),
            delete(number(), at["link"], seen(link(b"target"))),
            delete(number(), at["directory"], seen(directory())),
            delete(number(), at["copied"], seen(file(BASIS))),
        ),
        commit(rescan=turn % 3 == 0),
    ]


def kinds(messages: list[pb.PushChangesRequest]) -> dict[str, set[int]]:
    """The numbers of the operations of some messages, by their kinds."""
    found: dict[str, set[int]] = {kind: set() for kind in KINDS}
    for message in messages:
        for operation in message.batch.operations:
            found[str(operation.WhichOneof("operation"))].add(operation.number)
        if message.HasField("begin"):
            found["delta"].add(message.begin.number)
    return found


def _saw_both(applied: Counter[str], refused: Counter[str]) -> bool:
    return (+applied).keys() >= KINDS and (+refused).keys() >= REFUSABLE


def told(wire: Wire, session: bytes) -> str:
    """Everything that the server discloses of the replica to any caller."""
    deep = replica_service_pb2.VerifyContentRequest(namespace="default", deep=True)
    every = replica_service_pb2.ListEntriesRequest(namespace="default", recursive=True)
    answers = [
        wire.list(session, b"", b"p"),
        wire.call(REPLICA + "VerifyContent", deep),
        wire.call(REPLICA + "ListEntries", every),
    ]
    return repr([answer.messages for answer in answers] + signature(wire, session, digest(SECRET))[0])


@pytest.mark.case("I22", "I21")
@pytest.mark.parametrize("seconds", BUDGETS)
def test_server(pair: Pair, outside: Path, seconds: float) -> None:
    """A server that is asked for every kind of operation acts inside the replica or not at all."""
    server = pair.server()
    number = count(1).__next__
    with Wire(server.address, seconds=seconds + 2 * PATIENCE) as wire:
        session = wire.open_session().session_id
        push = wire.push(session)
        first = [make_directory(number(), b"p"), put(number(), b"p/basis", BASIS), put(number(), b"kept", BASIS)]
        push.send(batch(*first), commit()).receive()
        before, applied, refused, heard = untouched(outside), Counter[str](), Counter[str](), ""
        with flipping(pair.replica / "p", outside.parent / "link"):
            end = time.monotonic() + seconds
            for turn in count():
                now = time.monotonic()
                if now > end and (now > end + PATIENCE or _saw_both(applied, refused)):
                    break
                messages = round_of(number, turn)
                failures = {failure.number for failure in push.send(*messages).receive().failures}
                for kind, numbers in kinds(messages).items():
                    refused[kind] += len(numbers & failures)
                    applied[kind] += len(numbers - failures)
                heard += told(wire, session)
        push.finish()

    assert before == untouched(outside)
    assert "secret" not in heard
    assert hashlib.sha256(SECRET).hexdigest() not in heard
    assert _saw_both(applied, refused), (applied, refused)


@pytest.mark.case("J03", "I22")
@pytest.mark.parametrize("seconds", BUDGETS)
def test_client(pair: Pair, outside: Path, seconds: float) -> None:
    """A client never sends what is outside the source, and never touches it."""
    build(pair.source, {"p/basis": BASIS, "p/below/file": "inside", "kept": "kept"})
    inner = os.open(pair.source / "p", os.O_RDONLY)
    pair.server()
    client = pair.client(rescan_interval="1s", delete_settle="50ms", guard_max_delete_percent=100)
    before, found = untouched(outside), set[tuple[str, str]]()
    with flipping(pair.source / "p", outside.parent / "link"):
        end = time.monotonic() + seconds
        for turn in takewhile(lambda _: time.monotonic() < end, count()):
            descriptor = os.open("basis", os.O_WRONLY | os.O_TRUNC, dir_fd=inner)
            os.write(descriptor, BASIS + str(turn).encode())
            os.close(descriptor)
            with suppress(OSError):
                found |= {(path, entry.content) for path, entry in look(pair.replica).items()}
    os.close(inner)
    until(lambda: equal(pair.source, pair.replica), "the replica to be what the source is")
    client.stop()

    assert before == untouched(outside)
    assert hashlib.sha256(SECRET).hexdigest() not in {content for _, content in found}
    assert not {path for path, _ in found if "secret" in path}
    assert ("p", str(outside)) in found
