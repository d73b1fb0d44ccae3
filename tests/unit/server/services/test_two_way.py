"""Several two-way sessions on one replica: what they agree on, what each is told of the others, and what they share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.errors import OptionsDiffer, SessionSuperseded, SessionUnknown, Unauthenticated
from dirsync.fs.write.modes import ModePolicy
from dirsync.limits import LIMITS
from dirsync.location import Location
from dirsync.tree.entry import is_known
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.path import RelPath
from dirsync.wire.session import OpenRequest, SessionMode, decode_opened, encode_close, encode_open
from dirsync.wire.watch import Report, decode_report, encode_watch, join_reports
from dirsync_server.services.watch import ReplicaWatch
from tests.support.inside.direct import NAMESPACE, Direct, direct, send
from tests.support.peers.operations import (
    ABSENT,
    Inside,
    batch,
    begin,
    commit,
    data,
    delete,
    digest,
    directory,
    end,
    file,
    inner,
    make_directory,
    put,
    section,
    seen,
)

BOTH = SessionMode.TWO_WAY
RULES = TreeOptions(ignore_rules=(b"*.o",))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Direct]:
    """An empty replica."""
    with direct(tmp_path) as server:
        yield server


def watch(server: Direct, session: bytes) -> ReplicaWatch:
    """Watch, and take the first report."""
    watch = server.api.watch_replica(encode_watch(session), server.call)
    (first,) = reports(watch)

    assert ((), False) == (first.changes, first.everything)
    return watch


def reports(watch: ReplicaWatch) -> list[Report]:
    """The report that is due, if any."""
    return list(join_reports(map(decode_report, watch.take()))) if watch.wait(0) else []


def paths(watch: ReplicaWatch) -> list[bytes]:
    """The paths of the report that is due."""
    return [change.path for report in reports(watch) for change in report.changes]


def push(server: Direct, session: bytes, *operations: object) -> object:
    """Commit operations; returns the answer."""
    handler = server.push(session)
    (answer,) = send(handler, batch(*operations), commit())  # type: ignore[arg-type]
    handler.close()
    return answer


def test_mode_is_granted(server: Direct) -> None:
    """The session has the mode that was asked for, and says so."""
    asked = [OpenRequest(NAMESPACE, "c", "1", TreeOptions(), Location("", ()), mode=mode) for mode in SessionMode]
    granted = [decode_opened(server.api.open_session(encode_open(one), server.call)).mode for one in asked]

    assert list(SessionMode) == granted


@pytest.mark.parametrize(
    "options, word",
    [
        (RULES._replace(ignore_rules=()), "'*.o' only there"),
        (RULES._replace(attributes=Attributes(mtime=False)), "PRESERVE_MTIME"),
        (RULES._replace(attributes=Attributes(mode=False)), "permission bits"),
    ],
    ids=["rules", "times", "modes"],
)
def test_other_options(server: Direct, options: TreeOptions, word: str) -> None:
    """The first session sets the options; one with others is refused, is told which differ, and changes nothing."""
    session = server.open(RULES, "ann", BOTH)
    with pytest.raises(OptionsDiffer) as refused:
        server.open(options, "bob", BOTH)

    assert ("OPTIONS_DIFFER", True) == (refused.value.reason, word in str(refused.value))
    assert RULES == server.replica.options
    assert [] == server.list(session)

    server.open(RULES, "bob", BOTH)
    for one in server.sessions.writers(NAMESPACE):
        server.api.close_session(encode_close(one.id), server.call)
    server.open(options, "bob", BOTH)

    assert options == server.replica.options


def test_own_options_may_change(server: Direct) -> None:
    """A client that is alone opens again with other options; nobody else relies on the old ones."""
    server.open(RULES, "ann", BOTH)
    server.open(TreeOptions(), "ann", BOTH)

    assert TreeOptions() == server.replica.options


def test_policy_counts(tmp_path: Path) -> None:
    """What the server's policy does not allow differs from nothing: both get the same."""
    with direct(tmp_path) as server:
        server.replica.policy = server.replica.policy._replace(modes=ModePolicy.fixed(0o600, 0o700))
        server.open(TreeOptions(Attributes(mode=True)), "ann", BOTH)
        server.open(TreeOptions(Attributes(mode=False)), "bob", BOTH)

        assert 2 == len(server.sessions.writers(NAMESPACE))


def test_commits_are_reported_to_others(server: Direct) -> None:
    """Others are told the paths and what is there, the committing session only the digest, which is that of its ack."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    watches = [watch(server, ann), watch(server, bob)]
    answer = push(server, ann, make_directory(1, b"d"), put(2, b"d/f", b"content"))
    (mine,), (theirs,) = (reports(one) for one in watches)
    moment = server.replica.state.moment([RelPath(b"d"), RelPath(b"d/f")])

    assert ((), False) == (mine.changes, mine.everything)
    assert moment.found == [tuple(change) for change in theirs.changes]
    assert {answer.root_digest} == {mine.root_digest, theirs.root_digest}  # type: ignore[attr-defined]
    assert (2, 2) == (mine.entries, theirs.entries)
    assert [[], []] == [reports(one) for one in watches]


def test_built_directories_are_reported(server: Direct) -> None:
    """A directory that one session has built as a whole is reported with all that is in it."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    watching = watch(server, bob)
    handler = server.push(ann)
    send(handler, section(1, b"new", Inside(b"a", b"one"), inner(b"sub"), Inside(b"b", b"two", 2)), commit())
    handler.close()
    (report,) = reports(watching)

    assert [b"new", b"new/a", b"new/sub", b"new/sub/b"] == [change.path for change in report.changes]
    assert server.replica.root_digest() == report.root_digest


def test_what_is_gone_is_reported(server: Direct) -> None:
    """A path where nothing is any more is reported without an entry."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    push(server, ann, put(1, b"a", b"x"), put(2, b"b", b"x"))
    watching = watch(server, bob)
    push(server, ann, delete(3, b"a", seen(file(b"x"))))
    (report,) = reports(watching)

    assert [(b"a", None)] == [tuple(change) for change in report.changes]


def test_reports_say_what_is(server: Direct) -> None:
    """Several commits before a report is read are one report, of what is there when it is read."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    watching = watch(server, bob)
    push(server, ann, put(1, b"a", b"one"))
    push(server, ann, put(2, b"a", b"two", seen(file(b"one"))), put(3, b"b", b"x"))
    (report,) = reports(watching)

    assert [b"a", b"b"] == [change.path for change in report.changes]
    assert server.replica.state.get(RelPath(b"a")) == report.changes[0].entry
    assert server.replica.root_digest() == report.root_digest


def test_directories_come_first(server: Direct) -> None:
    """Paths are reported in byte order, whatever changed first: a directory before what is in it."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    push(server, ann, make_directory(1, b"d"), put(2, b"d/f", b"x"))
    watching = watch(server, bob)
    push(server, ann, delete(3, b"d/f", seen(file(b"x"))), delete(4, b"d", seen(directory())))
    push(server, ann, put(5, b"a", b"x"), make_directory(6, b"d"), put(7, b"d/f", b"y"))

    assert [b"a", b"d", b"d/f"] == paths(watching)


def test_refused_operations_are_not_reported(server: Direct) -> None:
    """What was not applied has changed nothing."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    push(server, ann, put(1, b"a", b"x"))
    watching = watch(server, bob)
    answer = push(server, ann, put(2, b"a", b"y", ABSENT))

    assert [2] == [failure.number for failure in answer.failures]  # type: ignore[attr-defined]
    assert [] == paths(watching)


def test_nothing_is_overwritten_unseen(server: Direct) -> None:
    """Of two sessions that change one path the second is told what the first has put there, and both go on."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    mine, theirs = server.push(ann), server.push(bob)
    (first,) = send(mine, batch(put(1, b"a", b"ann")), commit())
    (second,) = send(theirs, batch(put(1, b"a", b"bob")), commit())
    (third,) = send(theirs, batch(put(2, b"a", b"bob", seen(file(b"ann")))), commit())
    mine.close()
    theirs.close()

    assert [] == list(first.failures)
    assert ["CHANGED"] == [failure.reason for failure in second.failures]
    assert first.root_digest == second.root_digest
    assert [] == list(third.failures)
    assert b"bob" == (server.place / "a").read_bytes()


def test_edits_by_hand_are_reported_to_all(server: Direct) -> None:
    """What a scan finds is nobody's own: the session that asked for it is told, too, with the digest of the content."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    watches = [watch(server, ann), watch(server, bob)]
    (server.place / "a").write_bytes(b"by hand")
    handler = server.push(ann)
    send(handler, commit(rescan=True))
    handler.close()
    found = [reports(one) for one in watches]

    assert [[b"a"], [b"a"]] == [[change.path for change in one.changes] for (one,) in found]
    assert all(is_known(one.changes[0].entry.digest) for (one,) in found if one.changes[0].entry)
    assert {server.replica.root_digest()} == {one.root_digest for (one,) in found}


def test_reports_are_bounded(server: Direct) -> None:
    """A session that does not read is told afterwards that everything may be different."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    watching = watch(server, bob)
    replica = server.replica
    replica.changes.publish([RelPath(b"%d" % number) for number in range(LIMITS.max_reported_changes + 1)], ann)
    (report,) = reports(watching)

    assert ((), True) == (report.changes, report.everything)
    assert replica.root_digest() == report.root_digest


def test_a_failed_commit_loses_track(server: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a commit fails as a whole, nobody knows what of it is there: everything may be different."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    watching = watch(server, bob)
    monkeypatch.setattr(server.replica, "commit_done", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        push(server, ann, put(1, b"a", b"x"))
    (report,) = reports(watching)

    assert report.everything


def test_the_end(server: Direct) -> None:
    """The stream is over when it is closed, and when its session is; a new session watches anew."""
    session = server.open(client="ann", mode=BOTH)
    watching = watch(server, session)
    watching.close()

    assert not watching.wait()
    assert 0 == server.replica.changes.subscribers

    again = watch(server, session)
    newer = server.open(client="ann", mode=BOTH)
    server.replica.changes.lose()
    with pytest.raises(SessionSuperseded):
        again.take()
    again.close()
    last = watch(server, newer)
    server.api.close_session(encode_close(newer), server.call)
    with pytest.raises(SessionUnknown):
        last.take()
    last.close()


def test_the_end_of_the_session_ends_the_call(tmp_path: Path) -> None:
    """A session that is superseded or closed ends the call of its stream."""
    ended: list[int] = []
    with direct(tmp_path, end=lambda: ended.append(1)) as server:
        watch(server, server.open(client="ann", mode=BOTH))
        newer = server.open(client="ann", mode=BOTH)
        watch(server, newer)
        server.api.close_session(encode_close(newer), server.call)

    assert [1, 1] == ended


@pytest.mark.case("K07")
def test_a_token_that_is_removed(server: Direct) -> None:
    """No report goes to a caller who may not use the namespace any more."""
    session = server.open(client="ann", mode=BOTH)
    allowed = [True]

    def check() -> None:
        if not allowed[0]:
            raise Unauthenticated("no")

    watching = server.api.watch_replica(encode_watch(session), server.call._replace(recheck=lambda _name: check))
    watching.take()
    allowed.clear()
    allowed.append(False)
    with pytest.raises(Unauthenticated):
        watching.take()
    watching.close()


def test_uploads_of_fellows(server: Direct) -> None:
    """A session that opens takes over the open uploads of its own client, and leaves those of the others alone."""
    ann, bob = server.open(client="ann", mode=BOTH), server.open(client="bob", mode=BOTH)
    handlers = [server.push(ann), server.push(bob)]
    for name, handler in zip((b"ann", b"bob"), handlers, strict=True):
        opening = begin(1, name, 6)
        opening.begin.upload_id = name.ljust(16, b".")
        send(handler, opening, data(1, b"con"))
    server.open(client="ann", mode=BOTH)
    kept = [one.id for one in server.replica.uploads.listing()]
    (answer,) = send(handlers[1], data(1, b"ten"), end(1, digest(b"conten")), commit())
    handlers[1].close()

    assert [b"ann".ljust(16, b".")] == kept
    assert ([], [1]) == (list(answer.failures), list(answer.files))
    assert b"conten" == (server.place / "bob").read_bytes()
