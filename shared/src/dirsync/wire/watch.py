"""Messages of ``WatchReplica``: what others change in a replica, from the server to a two-way client.

A report describes one moment and is sent in pages. It is bounded: of more changes than a page can hold together with
those before it, the server says only that everything may be different.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dirsync.errors import InvalidMessage, RemoteError
from dirsync.limits import LIMITS
from dirsync.tree.entry import DIGEST_SIZE, Entry
from dirsync.tree.path import RelPath, parse_entry_path
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.entries import UnknownKind, decode_current, fill_entry
from dirsync.wire.parse import parse
from dirsync.wire.session import check_session_id

_ENTRY_BYTES = 70
"""What an entry takes besides its path and its target, in bytes."""


class ReportedChange(NamedTuple):
    """What is at a path that others have changed; ``None`` if nothing is."""

    path: RelPath
    entry: Entry | None


class Report(NamedTuple):
    """What others have changed, and what the replica's sums are at that moment. One page of it on the wire."""

    root_digest: bytes
    entries: int
    changes: tuple[ReportedChange, ...] = ()
    everything: bool = False
    """More was changed than is reported, or it is unknown what; then there are no changes."""
    last: bool = True
    """This is the last page."""
    unknown: tuple[RelPath, ...] = ()
    """Paths of entries whose kind this version does not know."""
    version: int = 0
    """Which moment that is; 0: the server does not say."""


def encode_watch(session_id: bytes) -> bytes:
    """A request to report changes."""
    return pb.WatchReplicaRequest(session_id=session_id).SerializeToString()


def decode_watch(raw: bytes) -> bytes:
    """The session whose client wants to know what others change."""
    return check_session_id(parse(pb.WatchReplicaRequest, raw).session_id)


def encode_report(report: Report) -> Iterator[bytes]:
    """The pages of a whole report, each of about ``LIMITS.report_bytes``."""
    page = pb.WatchReplicaResponse(
        root_digest=report.root_digest, entries=report.entries, everything=report.everything, version=report.version
    )
    size = 0
    for path, entry in report.changes:
        if size >= LIMITS.report_bytes:
            yield page.SerializeToString()
            del page.changes[:]
            size = 0
        change = page.changes.add(path=path)
        size += len(path) + _ENTRY_BYTES
        if entry is not None:
            fill_entry(change.entry, entry)
            size += len(entry.target)
    page.last = True
    yield page.SerializeToString()


def decode_report(raw: bytes) -> Report:
    """Decode one page of a report; :func:`join_reports` puts pages together.

    Raises:
        InvalidMessage: no correct server sends this.
    """
    message = parse(pb.WatchReplicaResponse, raw)
    if len(message.root_digest) != DIGEST_SIZE:
        msg = f"a report of changes has a root digest of {DIGEST_SIZE} bytes"
        raise InvalidMessage(msg, reason="INVALID_DIGEST")
    changes: list[ReportedChange] = []
    unknown: list[RelPath] = []
    for change in message.changes:
        path = parse_entry_path(change.path)
        try:
            entry = decode_current(change.entry) if change.HasField("entry") else None
        except UnknownKind:
            unknown.append(path)
        else:
            changes.append(ReportedChange(path, entry))
    return Report(
        message.root_digest,
        message.entries,
        tuple(changes),
        message.everything,
        message.last,
        tuple(unknown),
        message.version,
    )


def join_reports(pages: Iterable[Report]) -> Iterator[Report]:
    """Yield whole reports.

    Raises:
        RemoteError: a report has more changes than any may have, or pages of different moments.
    """
    gathered: list[Report] = []
    count = size = 0
    for page in pages:
        gathered.append(page)
        _check_page(gathered[0], page)
        paths = [change.path for change in page.changes] + list(page.unknown)
        count, size = count + len(paths), size + sum(map(len, paths))
        if count > LIMITS.max_reported_changes or size > LIMITS.max_reported_bytes:
            msg = f"the server reports {count} changes at once; at most {LIMITS.max_reported_changes} are taken"
            raise RemoteError(msg, reason="REPORT_TOO_LARGE")
        if page.last:
            yield page._replace(
                changes=tuple(change for part in gathered for change in part.changes),
                unknown=tuple(path for part in gathered for path in part.unknown),
            )
            gathered, count, size = [], 0, 0


def _check_page(first: Report, page: Report) -> None:
    moments = [(each.root_digest, each.entries, each.everything, each.version) for each in (first, page)]
    if moments[0] != moments[1]:
        msg = "the server's report of changes mixes two moments"
        raise RemoteError(msg, reason="REPORT_OUT_OF_ORDER")
    paths = bool(page.changes or page.unknown)
    if (page.everything and paths) or not (page.last or paths):
        msg = "the server's report of changes has an empty page, or changes beside everything"
        raise RemoteError(msg, reason="REPORT_OUT_OF_ORDER")
