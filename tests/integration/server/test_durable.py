"""FSYNC=always at the wire: each file is made durable once, before it is published, or the client gets an error."""

import re

import pytest

from tests.support.peers.operations import batch, commit, put
from tests.support.peers.wire import Wire
from tests.support.running.programs import Pair


@pytest.mark.case("A05")
@pytest.mark.needs("strace")
def test_each_file_once(pair: Pair) -> None:
    """A file that could not be made durable is not published, not tried again by itself, and harms no other."""
    trace = pair.place / "trace"
    inject = ["-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "-o", str(trace)]
    server = pair.server(prefix=["strace", "-D", "-f", "-qq", "-y", *inject], fsync="always")
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        files = [put(number, b"f%d" % number, b"%d" % number) for number in (1, 2, 3)]
        first = push.send(batch(*files), commit()).receive()
        again = push.send(batch(put(4, b"f1", b"1")), commit()).receive()
        push.cancel()
    synced = re.findall(r"staged-[0-9a-f-]+", trace.read_text())
    server.kill()  # strace now and then forgets to pass a signal on; nothing is asked of the end here

    assert [(1, "NOT_DURABLE")] == [(failure.number, failure.reason) for failure in first.failures]
    assert [] == list(again.failures)
    assert ["f1", "f2", "f3"] == sorted(path.name for path in server.root.iterdir())
    assert (4, 4) == (len(synced), len(set(synced)))


@pytest.mark.case("A05")
@pytest.mark.needs("strace")
def test_what_could_not_be_made_durable(pair: Pair) -> None:
    """A commit whose directory could not be made durable is not acknowledged, and the next one makes up for it.

    What the first one published is in the tree, so the digest that the next one acknowledges covers it.
    """
    directory = pair.replica / "d"
    directory.mkdir(parents=True)
    trace = pair.place / "trace"
    inject = ["-P", str(directory), "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1", "-o", str(trace)]
    server = pair.server(prefix=["strace", "-D", "-f", "-qq", *inject], fsync="batch")
    with Wire(server.address) as wire:
        push = wire.push(wire.open_session().session_id)
        push.send(batch(put(1, b"d/f", b"1")), commit())
        _, status = push.drain()
        again = wire.push(wire.open_session().session_id)
        answer = again.send(batch(put(1, b"g", b"2")), commit()).receive()
        again.cancel()
    results = re.findall(r"fsync\(.*= (-?\d+)", trace.read_text())
    server.kill()

    assert "NOT_DURABLE" == status.reason
    assert [] == list(answer.failures)
    assert ["-1", "0"] == results
