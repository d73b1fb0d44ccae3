"""Uploads whose stream ended: what is kept of them, who may continue it, and for how long."""

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.quota import Quota
from dirsync.errors import RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.path import RelPath
from dirsync.wire.session import KeptUpload
from dirsync_client.transfer.uploads.continuation import upload_id
from tests.support.inside.direct import Direct, direct, send
from tests.support.inside.uploads import Uploader
from tests.support.peers.operations import abort, begin, commit, data, digest, drop_uploads, end

SIZE = 5 * LIMITS.frame_bytes + 1000
CONTENT = random.Random(1).randbytes(SIZE)
QUOTA = Quota(max_file_size=1 << 30, max_bytes=1 << 30, max_entries=1000, min_free_bytes=0)
FILE = RelPath(b"file")
ID, OTHER = bytes(range(16)), bytes(16)
FRAME = 1000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A source with one large file, and room for a server."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "file").write_bytes(CONTENT)
    os.utime(tmp_path / "source" / "file", ns=(1, 1))
    return tmp_path


@pytest.fixture
def uploader(place: Path) -> Iterator[Uploader]:
    """The client."""
    uploader = Uploader(place / "source")
    yield uploader
    uploader.close()


@pytest.fixture
def server(place: Path) -> Iterator[Direct]:
    """The server."""
    with direct(place, QUOTA) as server:
        yield server


def arrived(place: Path) -> bytes:
    """What the replica has."""
    return (place / "replica" / "file").read_bytes()


def staged(place: Path) -> list[str]:
    """What is in the staging directory."""
    staging = place / ".replica.dirsync-staging"
    return os.listdir(staging) if staging.exists() else []


def test_goes_on_where_it_ended(place: Path, server: Direct, uploader: Uploader) -> None:
    """What arrived is not sent again, and the file is read from there on."""
    assert not uploader.session(server, cut_after=4)
    assert [KeptUpload(upload_id(FILE), 3 * LIMITS.frame_bytes, hashlib.sha256(arrived_of(3)).digest())] == [
        *uploader.open(server).kept_uploads
    ]
    assert uploader.session(server)
    assert CONTENT == arrived(place)
    assert uploader.sent_bytes < SIZE + 2000
    assert [] == staged(place)
    assert 0 == server.replica.uploads.count


def arrived_of(frames: int) -> bytes:
    """The content of the first frames."""
    return CONTENT[: frames * LIMITS.frame_bytes]


@pytest.mark.case("A11")
@pytest.mark.parametrize("forgetful", [False, True])
def test_goes_on_after_a_restart(place: Path, uploader: Uploader, forgetful: bool) -> None:
    """The server has kept it though it was started again, and so may the client have been."""
    with direct(place, QUOTA) as server:
        assert not uploader.session(server, cut_after=4)
    if forgetful:
        uploader.forget()
    with direct(place, QUOTA) as server:
        assert [(3 * LIMITS.frame_bytes, b"")] == [
            (kept.size, kept.digest) for kept in server.replica.uploads.listing()
        ]
        assert uploader.session(server)
    assert CONTENT == arrived(place)
    assert uploader.sent_bytes < SIZE + 2000


def test_goes_on_though_the_cut_was_not_noticed(place: Path, server: Direct, uploader: Uploader) -> None:
    """A new session takes over what the stream of the old one has open, and that touches it no more."""
    assert not uploader.session(server, cut_after=3, ends=False)
    assert not uploader.session(server, cut_after=12, ends=False)
    assert uploader.session(server)
    assert CONTENT == arrived(place)
    assert uploader.sent_bytes < SIZE + 4000
    assert [] == staged(place)


@pytest.mark.case("C13")
@pytest.mark.parametrize("cut_after", [7, 8])
def test_whole_files_are_kept_until_they_are_committed(
    place: Path, server: Direct, uploader: Uploader, cut_after: int
) -> None:
    """A file that has ended and is cut off from its commit is not sent again, whatever mode it was given."""
    (place / "source" / "file").chmod(0)
    assert not uploader.session(server, cut_after=cut_after)
    assert uploader.session(server)
    assert CONTENT == arrived(place)
    assert uploader.sent_bytes < SIZE + 2000
    assert 0 == (place / "replica" / "file").stat().st_mode & 0o777


@pytest.mark.parametrize("restarted", [False, True])
def test_a_changed_file_is_sent_from_the_beginning(place: Path, uploader: Uploader, restarted: bool) -> None:
    """What is kept of another content is not continued, whether the client finds out or the server."""
    changed = b"x" + CONTENT[1:]
    with direct(place, QUOTA) as server:
        assert not uploader.session(server, cut_after=4)
        if not restarted:
            (place / "source" / "file").write_bytes(changed)
            assert uploader.session(server)
            assert [] == uploader.failures
    if restarted:
        (place / "source" / "file").write_bytes(changed)
        with direct(place, QUOTA) as server:
            assert not uploader.session(server)
            assert ["UPLOAD_NOT_FOUND"] == uploader.failures
            assert 0 == server.replica.uploads.count
            assert uploader.session(server)
    assert changed == arrived(place)


def test_a_file_that_grew_goes_on(place: Path, server: Direct, uploader: Uploader) -> None:
    """What arrived of it still counts."""
    assert not uploader.session(server, cut_after=4)
    with (place / "source" / "file").open("ab") as file:
        file.write(b"more")
    assert uploader.session(server)
    assert CONTENT + b"more" == arrived(place)
    assert uploader.sent_bytes < SIZE + 2000


def test_a_shorter_file_is_sent_from_the_beginning(place: Path, server: Direct, uploader: Uploader) -> None:
    """More is kept than the file has."""
    assert not uploader.session(server, cut_after=4)
    (place / "source" / "file").write_bytes(CONTENT[:100_000])
    assert uploader.session(server)
    assert CONTENT[:100_000] == arrived(place)


def test_damaged_content_is_never_published(place: Path, uploader: Uploader) -> None:
    """A14: what a crash left of it is compared before it is continued."""
    with direct(place, QUOTA) as server:
        assert not uploader.session(server, cut_after=4)
    kept = place / ".replica.dirsync-staging" / staged(place)[0]
    with kept.open("r+b") as file:
        file.seek(1000)
        file.write(b"damaged")
    with direct(place, QUOTA) as server:
        assert not uploader.session(server)
        assert ["UPLOAD_NOT_FOUND"] == uploader.failures
        assert uploader.session(server)
    assert CONTENT == arrived(place)


def test_a_delta_goes_on(place: Path, server: Direct, uploader: Uploader) -> None:
    """Its literals are not sent again, and its copies neither."""
    assert uploader.session(server)
    new = random.Random(2).randbytes(3 * LIMITS.frame_bytes) + CONTENT[100_001:]
    (place / "source" / "file").write_bytes(new)
    uploader.sent_bytes = 0
    assert not uploader.session(server, cut_after=4, basis=CONTENT)
    assert uploader.session(server, basis=CONTENT)
    assert new == arrived(place)
    assert uploader.sent_bytes < 3 * LIMITS.frame_bytes + 20_000
    assert [] == uploader.failures


def test_is_dropped_when_nothing_is_to_be_continued(place: Path, server: Direct, uploader: Uploader) -> None:
    """A client in sync says so, and the replica shows no trace of us."""
    assert not uploader.session(server, cut_after=4)
    handler = server.push(server.open())
    send(handler, drop_uploads())
    handler.close()
    assert [] == staged(place)
    assert () == server.replica.uploads.listing()


@pytest.mark.case("A14", "I18")
@pytest.mark.parametrize("age, kept", [(0.9, 1), (1.1, 0)])
def test_is_kept_for_some_time(
    place: Path, server: Direct, uploader: Uploader, monkeypatch: pytest.MonkeyPatch, age: float, kept: int
) -> None:
    """After that the janitor removes it, without any client."""
    assert not uploader.session(server, cut_after=4)
    now = server.replica.uploads._now() + int(age * LIMITS.kept_upload_seconds * 1e9)
    monkeypatch.setattr(server.replica.uploads, "_now", lambda: now)
    server.replica.uploads.sweep()
    assert kept == len(staged(place)) == server.replica.uploads.count


def interrupted(server: Direct, *ids: bytes, size: int = FRAME) -> None:
    """One stream that begins an upload for each id, and is cut."""
    for number, upload in enumerate(ids, 1):
        handler = server.push(server.open())
        request = begin(number, b"file-%d" % number, 10 * FRAME)
        request.begin.upload_id = upload
        send(handler, request, data(number, bytes(size)))
        handler.close()


@pytest.mark.case("B11")
def test_gives_way_to_what_is_stored(place: Path) -> None:
    """What is kept counts for the quota, but is dropped before anything is refused because of it."""
    with direct(place, QUOTA._replace(max_bytes=20 * FRAME)) as server:
        interrupted(server, ID, size=9 * FRAME)
        handler = server.push(server.open())
        send(handler, begin(1, b"a", 11 * FRAME), data(1, bytes(11 * FRAME)), end(1, digest(bytes(11 * FRAME))))
        assert 1 == server.replica.uploads.count
        (answer,) = send(handler, begin(2, b"b", 9 * FRAME), data(2, bytes(9 * FRAME)), commit())
        assert [] == list(answer.failures)
        assert 0 == server.replica.uploads.count
        (answer,) = send(handler, abort(2), begin(3, b"c", 10 * FRAME), end(3, bytes(32)), commit())
        assert ["QUOTA_BYTES"] == [failure.reason for failure in answer.failures]
        handler.close()


@pytest.mark.case("I18")
def test_no_more_than_so_many_are_kept(place: Path, server: Direct) -> None:
    """Of more ids than a replica keeps the newest stay."""
    ids = [bytes([number]) * 16 for number in range(LIMITS.max_kept_uploads + 5)]
    interrupted(server, *ids)
    assert set(ids[5:]) == {kept.id for kept in server.replica.uploads.listing()}
    assert LIMITS.max_kept_uploads == len(staged(place))


def continued(server: Direct, upload: bytes, offset: int, prefix: bytes) -> str:
    """What somebody is told who continues an upload; empty if the server takes it."""
    handler = server.push(server.open())
    request = begin(1, b"file", 10 * FRAME)
    request.begin.upload_id, request.begin.offset, request.begin.prefix_digest = upload, offset, prefix
    whole = bytes(10 * FRAME)
    (answer,) = send(handler, request, data(1, whole[offset:]), end(1, digest(whole)), commit())
    handler.close()
    return answer.failures[0].reason if answer.failures else ""


@pytest.mark.case("I19")
@pytest.mark.parametrize(
    "upload, offset, prefix",
    [(OTHER, FRAME, bytes(FRAME)), (ID, FRAME - 1, bytes(FRAME - 1)), (ID, FRAME, bytes(FRAME - 1) + b"x")],
)
def test_what_is_not_kept_is_not_continued(server: Direct, upload: bytes, offset: int, prefix: bytes) -> None:
    """Another id, another offset and other content are all answered alike."""
    interrupted(server, ID)
    assert "UPLOAD_NOT_FOUND" == continued(server, upload, offset, digest(prefix))


def test_what_is_kept_is_continued(place: Path, server: Direct) -> None:
    """The control: the right id, offset and content."""
    interrupted(server, ID)
    assert "" == continued(server, ID, FRAME, digest(bytes(FRAME)))
    assert bytes(10 * FRAME) == arrived(place)


@pytest.mark.case("I19", "H05")
def test_ids_are_those_of_one_replica(tmp_path: Path) -> None:
    """The id of another tenant's upload is one that nobody has heard of."""
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
    with direct(tmp_path / "theirs", QUOTA) as theirs, direct(tmp_path / "mine", QUOTA) as mine:
        interrupted(theirs, ID)
        assert () == mine.replica.uploads.listing()
        assert "UPLOAD_NOT_FOUND" == continued(mine, ID, FRAME, digest(bytes(FRAME)))
        assert 1 == theirs.replica.uploads.count


@pytest.mark.parametrize(
    "upload, offset, prefix",
    [
        (b"short", 0, b""),
        (b"", 1, bytes(32)),
        (ID, 0, bytes(32)),
        (ID, 1, b""),
        (ID, 1, bytes(31)),
        (ID, 10 * FRAME + 1, bytes(32)),
    ],
)
def test_no_correct_client_begins_so(server: Direct, upload: bytes, offset: int, prefix: bytes) -> None:
    """That ends the stream."""
    with pytest.raises(RemoteError) as error:
        continued(server, upload, offset, prefix)
    assert "INVALID_UPLOAD" == error.value.reason


def test_one_id_twice_at_once(place: Path, server: Direct) -> None:
    """The second file of an id is taken like one without: both are applied."""
    handler = server.push(server.open())
    requests = [begin(number, b"file-%d" % number, FRAME) for number in (1, 2)]
    for request in requests:
        request.begin.upload_id = ID
    content = bytes(FRAME)
    (answer,) = send(
        handler,
        *requests,
        *[data(number, content) for number in (1, 2)],
        *[end(number, digest(content)) for number in (1, 2)],
        commit(),
    )
    handler.close()
    assert [] == list(answer.failures)
    assert ["file-1", "file-2"] == sorted(os.listdir(place / "replica"))
    assert [] == staged(place)
