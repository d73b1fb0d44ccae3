"""Directories that come in sections: made out of sight, published whole or not at all."""

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dirsync.endpoint.quota import Quota
from dirsync.errors import DirsyncError
from dirsync.fs.write.durable import Durability, Fsync
from dirsync.fs.write.modes import ModePolicy
from dirsync.limits import LIMITS
from dirsync.location import Location
from dirsync.tree.options import TreeOptions
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.session import OpenRequest, decode_opened, encode_open
from tests.support.inside.deltas import copy_content
from tests.support.inside.direct import NAMESPACE, QUOTA, Direct, direct, send
from tests.support.peers.operations import (
    MTIME_NS,
    Inside,
    batch,
    commit,
    digest,
    inner,
    make_directory,
    put,
    section,
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Direct]:
    """An empty replica."""
    with direct(tmp_path) as server:
        yield server


def found(place: Path) -> dict[str, bytes | None]:
    """Everything in a directory."""
    return {
        str(path.relative_to(place)): None if path.is_dir() else path.read_bytes() for path in sorted(place.rglob("*"))
    }


def staged(server: Direct) -> list[str]:
    """What lies in staging."""
    return [name for at, _, names in os.walk(server.place.parent) if "staging" in at for name in names]


def outcomes(answer: pb.PushChangesResponse) -> list[tuple[int, int]]:
    """Number and outcome of each failure."""
    return [(failure.number, failure.outcome) for failure in answer.failures]


FIRST = section(1, b"new", Inside(b"a", b"one"), inner(b"sub"), Inside(b"b", b"two", 2), last=False)
REST = section(1, None, Inside(b"c", b"", 2), inner(b"deep", 2), Inside(b"d", b"four", 5))
WHOLE = {
    "new": None,
    "new/a": b"one",
    "new/sub": None,
    "new/sub/b": b"two",
    "new/sub/c": b"",
    "new/sub/deep": None,
    "new/sub/deep/d": b"four",
}


def test_published_whole(server: Direct) -> None:
    """Nothing shows before the commit that follows its last section; then everything does."""
    session = server.open()
    handler = server.push(session)
    (early,) = send(handler, FIRST, batch(put(2, b"beside", b"x")), commit())
    before = found(server.place)
    (answer,) = send(handler, REST, commit())
    handler.close()

    assert ([], [], {"beside": b"x"}) == (list(early.failures), list(early.files), before)
    assert ([], [1]) == (list(answer.failures), list(answer.files))
    assert WHOLE | {"beside": b"x"} == found(server.place)
    assert [] == staged(server)
    assert 8 == answer.entries


def test_as_if_made_one_by_one(server: Direct, tmp_path: Path) -> None:
    """Modes, mtimes, digests and sums are those that single operations give, and a scan finds nothing to repair."""
    handler = server.push(server.open())
    (built,) = send(handler, FIRST, REST, commit())
    server.replica.scanner.rescan()
    handler.close()
    other = tmp_path / "other"
    other.mkdir()
    with direct(other) as single:
        handler = single.push(single.open())
        operations = [make_directory(1, b"new"), put(2, b"new/a", b"one"), make_directory(3, b"new/sub")]
        operations += [put(4, b"new/sub/b", b"two"), put(5, b"new/sub/c", b""), make_directory(6, b"new/sub/deep")]
        (made,) = send(handler, batch(*operations, put(7, b"new/sub/deep/d", b"four")), commit())
        handler.close()

        assert made.root_digest == built.root_digest == server.replica.root_digest()
        assert single.replica.totals()._replace(version=0) == server.replica.totals()._replace(version=0)
    status = (server.place / "new/sub/b").stat()
    assert (0o644, MTIME_NS) == (stat.S_IMODE(status.st_mode), status.st_mtime_ns)


def test_modes_that_deny_their_owner(server: Direct) -> None:
    """Directories that nobody may write are filled first."""
    inside = inner(b"closed", mode=0o555), Inside(b"a", b"x", 1, 0o444), inner(b"deep", 1, 0o511), Inside(b"b", b"y", 3)
    handler = server.push(server.open())
    (answer,) = send(handler, section(1, b"new", *inside, mode=0o500), commit())
    server.replica.scanner.rescan()
    handler.close()
    modes = [stat.S_IMODE((server.place / at).stat().st_mode) for at in ("new", "new/closed", "new/closed/deep")]

    assert ([], [0o500, 0o555, 0o511]) == (list(answer.failures), modes)
    assert 0o444 == stat.S_IMODE((server.place / "new/closed/a").stat().st_mode)
    assert answer.root_digest == server.replica.root_digest()


def test_a_mode_that_comes_late_is_durable(server: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that its owner may not write gets its mode when it is in its place: that is made durable too."""
    touched: list[bytes] = []
    monkeypatch.setattr(Durability, "entries", lambda _, paths: touched.extend(paths))
    handler = server.push(server.open())
    send(handler, section(1, b"new", Inside(b"a", b"x"), mode=0o500), commit())
    handler.close()

    assert {b"", b"new"} == set(touched)


def test_fixed_modes(server: Direct) -> None:
    """PERMISSIONS=fixed holds for everything in it."""
    server.replica.policy = server.replica.policy._replace(modes=ModePolicy.fixed(0o600, 0o711))
    handler = server.push(server.open())
    send(handler, FIRST, REST, commit())
    handler.close()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in server.place.rglob("*") if path.is_file()}
    closed = {stat.S_IMODE(path.stat().st_mode) for path in server.place.rglob("*") if path.is_dir()}

    assert ({0o600}, {0o711}) == (modes, closed)


WRONG = {
    "digest": section(1, b"new", Inside(b"a", b"one"), inner(b"sub")),
    "twice": section(1, b"new", Inside(b"a", b"one"), Inside(b"a", b"two")),
    "directory twice": section(1, b"new", inner(b"a"), inner(b"a")),
    "no parent": section(1, b"none/new", Inside(b"a", b"one")),
    "file as parent": section(1, b"there/new", Inside(b"a", b"one")),
    "there": section(1, b"there", Inside(b"a", b"one")),
    "too large": section(1, b"new", *(Inside(b"%d" % number, bytes(64 * 1024)) for number in range(15))),
}
WRONG["digest"].section.entries = WRONG["digest"].section.entries.replace(digest(b"one"), digest(b"two"))


@pytest.mark.parametrize("what", WRONG)
def test_not_at_all(server: Direct, what: str) -> None:
    """One thing that is wrong fails the directory; what else is committed is there, and nothing is left in staging."""
    if what == "too large":
        server.replica.set_quota(QUOTA._replace(max_bytes=15 * 64 * 1024 - 1))
    handler = server.push(server.open())
    send(handler, batch(make_directory(1, b"dir"), put(2, b"there", b"x")), commit())
    message = pb.PushChangesRequest.FromString(WRONG[what].SerializeToString())
    message.section.number = 3
    (answer,) = send(handler, message, batch(put(4, b"last", b"y")), commit())
    handler.close()
    expected = {
        "digest": pb.OUTCOME_MISMATCH,
        "twice": pb.OUTCOME_REFUSED,
        "directory twice": pb.OUTCOME_REFUSED,
        "too large": pb.OUTCOME_LIMIT,
    }

    assert [(3, expected.get(what, pb.OUTCOME_CHANGED))] == outcomes(answer)
    assert [] == list(answer.files)
    assert {"dir": None, "there": b"x", "last": b"y"} == found(server.place)
    assert [] == staged(server)


@pytest.mark.parametrize(
    "quota", [QUOTA._replace(max_entries=6), QUOTA._replace(max_bytes=9), QUOTA._replace(max_file_size=3)]
)
def test_quotas(tmp_path: Path, quota: Quota) -> None:
    """One entry, or one byte, too many, or one file that is too large: nothing of it is taken."""
    with direct(tmp_path, quota) as server:
        handler = server.push(server.open())
        (answer,) = send(handler, FIRST, REST, commit())
        handler.close()

        assert ([(1, pb.OUTCOME_LIMIT)], {}) == (outcomes(answer), found(server.place))
        assert [] == staged(server)


def test_exactly_what_is_allowed(tmp_path: Path) -> None:
    """The last entry and the last byte still fit."""
    with direct(tmp_path, QUOTA._replace(max_entries=7, max_bytes=10, max_file_size=4)) as server:
        handler = server.push(server.open())
        (answer,) = send(handler, FIRST, REST, commit())
        handler.close()

        assert ([], WHOLE) == (outcomes(answer), found(server.place))


def test_something_came_in_between(server: Direct) -> None:
    """What somebody else put there stays, also an empty directory."""
    handler = server.push(server.open())
    send(handler, FIRST, REST)
    (server.place / "new").mkdir()
    (answer,) = send(handler, commit())
    handler.close()

    assert ([(1, pb.OUTCOME_CHANGED)], {"new": None}) == (outcomes(answer), found(server.place))
    assert [] == staged(server)


def test_the_directory_above_comes_with_it(server: Direct) -> None:
    """What it goes to may be made by the same commit."""
    handler = server.push(server.open())
    (answer,) = send(handler, batch(make_directory(1, b"d")), section(2, b"d/new", Inside(b"a", b"x")), commit())
    handler.close()

    assert ([], b"x") == (outcomes(answer), (server.place / "d/new/a").read_bytes())


def test_dropped_with_its_stream(server: Direct) -> None:
    """A stream that ends in the middle, or before the commit, leaves nothing in staging."""
    session = server.open()
    for messages in ((FIRST,), (FIRST, REST)):
        handler = server.push(session)
        send(handler, *messages)
        assert [] != staged(server)
        handler.close()

        assert ([], {}) == (staged(server), found(server.place))


def test_its_content_can_be_copied(server: Direct) -> None:
    """A copy of content that came in a directory finds it, before the commit and after it."""
    handler = server.push(server.open())
    send(handler, FIRST, REST, batch(copy_content(2, b"copy", b"two")))
    (answer,) = send(handler, commit())
    (after,) = send(handler, batch(copy_content(3, b"again", b"four")), commit())
    handler.close()

    assert ([], []) == (outcomes(answer), outcomes(after))
    assert (b"two", b"four") == ((server.place / "copy").read_bytes(), (server.place / "again").read_bytes())


def test_ignored(server: Direct) -> None:
    """Something that the session ignores, at any depth, fails the directory."""
    handler = server.push(server.open(TreeOptions(ignore_rules=(b"deep/",))))
    (answer,) = send(handler, FIRST, REST, commit())
    handler.close()

    assert ([(1, pb.OUTCOME_REFUSED)], {}) == (outcomes(answer), found(server.place))
    assert "IGNORED" == answer.failures[0].reason


def test_inside_what_does_not_come_before(server: Direct) -> None:
    """An entry in a file, in itself, or in what comes later is no message of a correct client."""
    for parent in (1, 2, 3, 1 << 31):
        handler = server.push(server.open())
        with pytest.raises(DirsyncError) as caught:
            send(handler, section(1, b"new", Inside(b"a", b"x"), Inside(b"b", b"y", parent), inner(b"sub")))

        assert "INVALID_SECTION" == caught.value.reason
        assert ([], {}) == (staged(server), found(server.place))


@pytest.mark.parametrize("limit", ["max_built_entries", "max_built_bytes"])
def test_without_an_end(server: Direct, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Sections that go on and on are bounded, whether or not the directory has failed."""
    monkeypatch.setattr("dirsync_server.ingest.build.LIMITS", replace(LIMITS, max_built_entries=5, max_built_bytes=50))
    handler = server.push(server.open())
    send(handler, section(1, b"new", last=False))
    more = section(1, None, Inside(b"a", b"x" * 30), last=False)
    if limit == "max_built_entries":
        more = section(1, None, inner(b"a"), inner(b"b"), inner(b"b"), last=False)
    send(handler, more)
    with pytest.raises(DirsyncError) as caught:
        send(handler, pb.PushChangesRequest.FromString(more.SerializeToString().replace(b"a\0", b"c\0")))

    assert limit.upper() == caught.value.reason
    assert ([], {}) == (staged(server), found(server.place))


def test_through_a_link(server: Direct) -> None:
    """A link at the path, or above it, is never followed, whoever made it and when."""
    outside = server.place.parent / "outside"
    outside.mkdir()
    (server.place / "link").symlink_to(outside)
    handler = server.push(server.open())
    send(handler, section(1, b"link/new", Inside(b"a", b"x")), section(2, b"link", Inside(b"a", b"x")))
    send(handler, batch(make_directory(3, b"dir")), section(4, b"dir/new", Inside(b"a", b"x")))
    (server.place / "dir").symlink_to(outside)
    (answer,) = send(handler, commit())
    handler.close()

    assert {1, 2, 4} <= {number for number, _ in outcomes(answer)}
    assert [] == os.listdir(outside)
    assert [] == staged(server)


@pytest.mark.parametrize("limit", ["max_built_depth", "max_built_path_bytes"])
def test_deep(server: Direct, limit: str) -> None:
    """What a message does not pay for is bounded: the depth of an entry, and the length of its path."""
    handler = server.push(server.open())
    name = b"d" if limit == "max_built_depth" else b"d" * 250
    deep = [inner(name, number) for number in range(65 if limit == "max_built_depth" else 60)]
    wide = [Inside(b"%d" % number, b"", 60) for number in range(400 if limit == "max_built_path_bytes" else 0)]
    with pytest.raises(DirsyncError) as caught:
        send(handler, section(1, b"new", *deep, *wide))

    assert limit.upper() == caught.value.reason
    assert ([], {}) == (staged(server), found(server.place))


def test_nowhere_near(server: Direct) -> None:
    """A path of very many directories that are not there is not climbed for each of them."""
    handler = server.push(server.open())
    (answer,) = send(handler, section(1, b"d/" * 60_000 + b"new", Inside(b"a", b"x")), commit())
    handler.close()

    assert [(1, pb.OUTCOME_CHANGED)] == outcomes(answer)


def test_a_commit_of_its_own(server: Direct, monkeypatch: pytest.MonkeyPatch) -> None:
    """The entries of a directory count for how much is committed unasked."""
    monkeypatch.setattr("dirsync_server.ingest.upload_store.LIMITS", replace(LIMITS, max_commit_operations=5))
    handler = server.push(server.open())
    (answer,) = send(handler, FIRST, REST)
    handler.close()

    assert ([1], False, WHOLE) == (list(answer.files), answer.requested, found(server.place))


@pytest.mark.parametrize("fsync", Fsync)
def test_offered_where_it_can_be_made_durable(server: Direct, fsync: Fsync) -> None:
    """Under FSYNC=always each file is made durable by itself: sections are not offered, and not taken."""
    server.replica.policy = server.replica.policy._replace(fsync=fsync)
    request = OpenRequest(NAMESPACE, "client", "1", TreeOptions(), Location("", ()))
    opened = decode_opened(server.api.open_session(encode_open(request), server.call))
    handler = server.push(opened.session_id)

    assert (fsync is not Fsync.ALWAYS) == opened.builds_directories
    if fsync is Fsync.ALWAYS:
        with pytest.raises(DirsyncError) as caught:
            send(handler, FIRST)
        assert "STRATEGY_NOT_OFFERED" == caught.value.reason
    else:
        assert [] == list(send(handler, FIRST, REST, commit())[0].failures)
        handler.close()
