"""A client asks whether a file would be taken: the answer is that of the file itself, and nothing is changed."""

import os
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import MIB
from dirsync.v1 import sync_service_pb2 as pb
from tests.support.faults.privileges import without_ownership
from tests.support.peers.operations import ABSENT, batch, commit, file, make_directory, put, seen
from tests.support.peers.serving import Bench
from tests.support.peers.wire import Wire
from tests.support.running.programs import Pair
from tests.support.trees.trees import look

STORAGE, REFUSED, LIMIT = pb.OUTCOME_STORAGE, pb.OUTCOME_REFUSED, pb.OUTCOME_LIMIT


def ask(number: int, path: bytes, size: int = 1000, expected: pb.Expected = ABSENT) -> pb.Operation:
    """Ask for a file of this size, whose content nobody has read yet."""
    entry = file(b"")
    entry.size, entry.digest = size, b""
    return pb.Operation(number=number, path=path, expected=expected, try_file=pb.Operation.TryFile(entry=entry))


@pytest.mark.parametrize("there", [None, b"former"])
def test_taken(bench: Bench, there: bytes | None) -> None:
    """What would be taken counts as applied, again and again, and leaves no trace."""
    if there is not None:
        bench.apply(put(2, bench.at("f"), there))
    before = look(bench.server.root)
    expected = seen(None if there is None else file(there))
    failures = bench.apply(*(ask(number, bench.at("f"), 10 * MIB, expected) for number in range(3, 6)))

    assert [] == failures
    assert before == look(bench.server.root)


def test_refused(bench: Bench) -> None:
    """What is in the way, a directory that is absent, and what is not as expected are told."""
    os.mkfifo(bench.place / "fifo")
    bench.apply(put(2, bench.at("f"), b"f"))
    failures = bench.apply(
        ask(3, bench.at("fifo")),
        ask(4, bench.at("absent/f")),
        ask(5, bench.at("f")),
    )

    assert [
        (3, REFUSED),
        (4, pb.OUTCOME_CHANGED),
        (5, pb.OUTCOME_CHANGED),
    ] == [(failure.number, failure.outcome) for failure in failures]
    assert file(b"f") == failures[2].current


@pytest.mark.parametrize(
    "settings,outcome",
    [
        ({"quota_bytes": "1MiB"}, LIMIT),
        ({"max_file_size": "1MiB"}, LIMIT),
        ({"quota_entries": 2}, LIMIT),
        ({"min_free_bytes": 1 << 60}, STORAGE),
    ],
)
def test_limits(pair: Pair, settings: dict[str, Any], outcome: int) -> None:
    """Limits and the disk refuse it as they refuse the file."""
    server = pair.server(**{"min_free_bytes": 0, **settings})
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        push.send(batch(make_directory(1, b"d"), make_directory(2, b"e")), commit()).receive()
        (failure,) = push.send(batch(ask(3, b"f", 2 * MIB)), commit()).receive().failures

    assert outcome == failure.outcome


@pytest.mark.privileged
def test_directory_of_another_user(pair: Pair) -> None:
    """A directory in which the server may not write refuses it, as it refuses the file."""
    place = Path(pair.replica, "d")
    place.mkdir(parents=True)
    place.chmod(0o555)
    os.chown(place, 65534, 65534)
    server = pair.server(prefix=without_ownership())
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        (asked,) = push.send(batch(ask(1, b"d/f")), commit()).receive().failures
        (sent,) = push.send(batch(put(2, b"d/f", b"content")), commit()).receive().failures
        place.chmod(0o777)
        allowed = push.send(batch(ask(3, b"d/f")), commit()).receive().failures

    assert (REFUSED, sent.outcome) == (asked.outcome, REFUSED)
    assert [] == list(allowed)
