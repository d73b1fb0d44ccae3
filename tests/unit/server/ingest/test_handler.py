"""The push stream as a state machine: message in, responses out, in the caller's thread."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dirsync.errors import InvalidMessage, OutOfTurn, SessionSuperseded, SessionUnknown, Unauthenticated
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath
from dirsync_server.call import Call
from tests.support.inside.direct import NAMESPACE, Direct, direct, send
from tests.support.peers.operations import batch, begin, commit, data, digest, end, make_directory, put, with_commit
from tests.support.peers.wire import stream_open


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Direct]:
    """An empty replica."""
    with direct(tmp_path) as server:
        yield server


def test_a_commit_is_answered(server: Direct) -> None:
    """Nothing is answered, and nothing shows, before the commit; then everything is there."""
    session = server.open()
    handler = server.push(session)
    silent = send(handler, batch(put(1, b"a", b"one"), make_directory(2, b"d")), begin(3, b"d/b", 5))
    silent += send(handler, data(3, b"hel"), data(3, b"lo"), end(3, digest(b"hello")))
    before = server.list(session)
    (answer,) = send(handler, commit())
    handler.close()

    assert ([], []) == (silent, before)
    assert (3, [3], True, []) == (answer.settled_number, list(answer.files), answer.requested, list(answer.failures))
    assert [b"a", b"d"] == [name for name, _ in server.list(session)]
    assert b"hello" == (server.place / "d" / "b").read_bytes()
    assert server.replica.totals().root_digest == answer.root_digest


def test_a_commit_with_what_it_commits(server: Direct) -> None:
    """A commit in the message of a batch, or of a file's end, is the same as one that follows."""
    handler = server.push(server.open())
    (small,) = send(handler, with_commit(batch(put(1, b"a", b"one"))))
    (large,) = send(handler, begin(2, b"b", 5), data(2, b"hello"), with_commit(end(2, digest(b"hello"))))
    handler.close()

    assert (1, True, []) == (small.settled_number, small.requested, list(small.failures))
    assert (2, True, [2]) == (large.settled_number, large.requested, list(large.files))
    assert {"a", "b"} == {path.name for path in server.place.iterdir()}


def test_full_and_asked(server: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that fills a commit and asks for one is committed once."""
    monkeypatch.setattr("dirsync_server.ingest.upload_store.LIMITS", replace(LIMITS, max_commit_operations=1))
    handler = server.push(server.open())
    (answer,) = send(handler, with_commit(batch(put(1, b"a", b"one"))))
    handler.close()

    assert answer.requested


def test_no_thread_of_its_own(server: Direct) -> None:
    """Whoever drives the stream does all of its work."""
    threads = set(threading.enumerate())
    handler = server.push(server.open())
    send(handler, batch(put(1, b"a", b"one")), begin(2, b"b", 1), data(2, b"x"), commit())

    assert threads == set(threading.enumerate())

    handler.close()


def test_full_commits_by_itself(server: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many operations that they are committed unasked are answered as not requested."""
    monkeypatch.setattr("dirsync_server.ingest.upload_store.LIMITS", replace(LIMITS, max_commit_operations=2))
    handler = server.push(server.open())
    (answer,) = send(handler, batch(put(1, b"a", b"one")), batch(put(2, b"b", b"two")), batch(put(3, b"c", b"three")))
    handler.close()

    assert (2, False) == (answer.settled_number, answer.requested)
    assert {"a", "b"} == {path.name for path in server.place.iterdir()}


def test_closing_drops_what_was_not_committed(server: Direct) -> None:
    """A stream that ends leaves no trace of what it had staged; its session goes on with another stream."""
    session = server.open()
    handler = server.push(session)
    send(handler, batch(put(1, b"a", b"one")), begin(2, b"b", 10), data(2, b"hello"))
    handler.close()
    handler.close()
    again = server.push(session)
    (answer,) = send(again, batch(put(1, b"c", b"three")), commit())
    again.close()

    assert [] == list(answer.failures)
    assert ["c"] == [path.name for path in server.place.iterdir()]


def test_starts_with_its_session(server: Direct) -> None:
    """Anything else first is out of turn, and so is all that follows an error."""
    handler = server.api.push_changes(server.call)
    with pytest.raises(OutOfTurn):
        send(handler, commit())
    with pytest.raises(OutOfTurn, match="over"):
        send(handler, stream_open(server.open()))


def test_breaking_the_protocol_ends_the_session(server: Direct) -> None:
    """A peer that sends what no correct client sends is not believed again."""
    session = server.open()
    handler = server.push(session)
    with pytest.raises(InvalidMessage):
        handler.receive(b"\xff")

    assert None is server.sessions.writer(NAMESPACE)
    with pytest.raises(SessionUnknown):
        server.push(session)


def test_a_newer_session_fences(tmp_path: Path) -> None:
    """The old stream is told to end, can commit nothing, and ends with the reason."""
    ended: list[str] = []
    with direct(tmp_path, end=lambda: ended.append("old")) as server:
        handler = server.push(server.open())
        send(handler, batch(put(1, b"a", b"one")))
        newer = server.open()
        with pytest.raises(SessionSuperseded):
            send(handler, commit())

        assert ["old"] == ended
        assert [] == list(server.place.iterdir())
        assert newer == server.sessions.use(newer).id


def test_rights_are_checked_with_each_message(server: Direct) -> None:
    """Whoever may not write any more gets no further; the session stays its owner's."""
    allowed = True

    def check() -> None:
        if not allowed:
            raise Unauthenticated("not any more")

    session = server.open()
    handler = server.api.push_changes(Call(server.call.authorize, recheck=lambda _namespace: check))
    send(handler, stream_open(session), batch(put(1, b"a", b"one")))
    allowed = False
    with pytest.raises(Unauthenticated):
        send(handler, commit())

    assert [] == list(server.place.iterdir())
    assert None is not server.sessions.writer(NAMESPACE)
    assert None is server.replica.state.record(RelPath(b"a"))
