"""Reports of changes on the wire: complete whatever their length, and bounded whatever a server sends."""

import pytest

from dirsync.errors import RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.entry import Kind, file_entry, symlink_entry
from dirsync.tree.path import RelPath
from dirsync.v1 import entry_pb2
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.watch import Report, ReportedChange, decode_report, decode_watch, encode_report, join_reports

DIGEST = b"d" * 32
FILE = file_entry(mode=0o644, size=3, mtime_ns=1, digest=DIGEST)
Change = pb.WatchReplicaResponse.Change


def change(number: int, name: bytes = b"n") -> ReportedChange:
    """Something that was changed: a file, a link, or nothing any more."""
    what = (FILE, symlink_entry(b"t" * 4000), None)[number % 3]
    return ReportedChange(RelPath(b"%06d" % number + name), what)


@pytest.mark.parametrize("count", [0, 1, 3000, LIMITS.max_reported_changes])
def test_pages(count: int) -> None:
    """A report of any length comes in pages that a message can hold, and complete."""
    report = Report(DIGEST, 7, tuple(change(number) for number in range(count)))
    raws = list(encode_report(report))

    assert [report] == list(join_reports(map(decode_report, raws)))
    assert max(map(len, raws)) < LIMITS.max_message_bytes
    assert (count > 1) is (len(raws) > 1)


def test_longest_paths() -> None:
    """Paths of the greatest length fit, too."""
    report = Report(DIGEST, 7, tuple(change(number, b"/n" * (LIMITS.max_path_bytes // 2 - 4)) for number in range(8)))
    raws = list(encode_report(report))

    assert [report] == list(join_reports(map(decode_report, raws)))
    assert max(map(len, raws)) < LIMITS.max_message_bytes


def test_everything() -> None:
    """That everything may be different is said in one message."""
    report = Report(DIGEST, 7, everything=True)

    assert [report] == [decode_report(raw) for raw in encode_report(report)]


def test_reports_one_after_another() -> None:
    """Each report ends with its last page."""
    reports = [Report(DIGEST, 1, (change(0),)), Report(b"e" * 32, 2), Report(b"f" * 32, 3, (change(1), change(2)))]
    raws = [raw for report in reports for raw in encode_report(report)]

    assert reports == list(join_reports(map(decode_report, raws)))


def test_strange_entries() -> None:
    """An entry of a kind that we do not know is reported by its path only."""
    strange = entry_pb2.Entry(kind=99)  # type: ignore[arg-type]
    known = entry_pb2.Entry(kind=Kind.SYMLINK.value, target=b"t")  # type: ignore[arg-type]
    message = pb.WatchReplicaResponse(
        root_digest=DIGEST, last=True, changes=[Change(path=b"new", entry=strange), Change(path=b"old", entry=known)]
    )
    report = decode_report(message.SerializeToString())

    assert (RelPath(b"new"),) == report.unknown
    assert (ReportedChange(RelPath(b"old"), symlink_entry(b"t")),) == report.changes


def page(count: int = 1, *, last: bool = False, digest: bytes = DIGEST, everything: bool = False) -> Report:
    """A page of a report."""
    return Report(digest, 7, tuple(change(number) for number in range(count)), everything, last)


@pytest.mark.case("J05")
@pytest.mark.parametrize(
    "pages, expected",
    [
        ([page(), page(digest=b"e" * 32, last=True)], "REPORT_OUT_OF_ORDER"),
        ([page(0), page(last=True)], "REPORT_OUT_OF_ORDER"),
        ([page(1, last=True, everything=True)], "REPORT_OUT_OF_ORDER"),
        ([page(LIMITS.max_reported_changes + 1, last=True)], "REPORT_TOO_LARGE"),
        ([page(100)] * LIMITS.max_reported_changes, "REPORT_TOO_LARGE"),
        ([page()._replace(changes=(change(0, b"n" * LIMITS.max_reported_bytes),))], "REPORT_TOO_LARGE"),
        ([page()._replace(unknown=(RelPath(b"n" * LIMITS.max_reported_bytes + b"n"),))], "REPORT_TOO_LARGE"),
    ],
    ids=["two moments", "empty page", "both", "many", "many pages", "long", "long unknown"],
)
def test_reports_that_cannot_be(pages: list[Report], expected: str) -> None:
    """A server that floods a client with changes, or mixes its reports, is refused by what it did."""
    with pytest.raises(RemoteError) as refused:
        list(join_reports(pages))

    assert expected == refused.value.reason


@pytest.mark.case("J09")
@pytest.mark.parametrize(
    "message, expected",
    [
        (pb.WatchReplicaResponse(root_digest=b"short"), "INVALID_DIGEST"),
        (pb.WatchReplicaResponse(root_digest=DIGEST, changes=[Change(path=b"")]), "INVALID_PATH"),
        (pb.WatchReplicaResponse(root_digest=DIGEST, changes=[Change(path=b"../a")]), "INVALID_PATH"),
    ],
    ids=["digest", "root", "outside"],
)
def test_pages_that_cannot_be(message: pb.WatchReplicaResponse, expected: str) -> None:
    """A page without a root digest, or with a path that is none."""
    with pytest.raises(RemoteError) as refused:
        decode_report(message.SerializeToString())

    assert expected == refused.value.reason


def test_session() -> None:
    """The session is named by an id that can be one."""
    with pytest.raises(RemoteError) as refused:
        decode_watch(pb.WatchReplicaRequest(session_id=b"short").SerializeToString())

    assert "INVALID_SESSION_ID" == refused.value.reason
