"""Messages of ``AgentService``: the status of a running client, and commands to it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from dirsync.limits import LIMITS
from dirsync.tree.entry import Entry
from dirsync.tree.guards.approvals import Released
from dirsync.tree.guards.hold import Hold
from dirsync.tree.path import RelPath, escape, parse_path
from dirsync.tree.problem import Problem
from dirsync.tree.untracked import Untracked
from dirsync.v1 import agent_service_pb2 as pb
from dirsync.wire.entries import decode_entry, encode_entry
from dirsync.wire.parse import parse

HOLD_PATHS_SHOWN = 20
"""Paths of a hold that a status names."""
HOLD_CHARACTERS_SHOWN = 16 * 1024
"""Characters that these paths may have together; the first is shown whatever its length."""


class HoldView(NamedTuple):
    """A hold as it is shown."""

    id: str
    guard: str
    paths: int
    path_texts: tuple[str, ...]
    message: str


class UntrackedView(NamedTuple):
    """An untracked path as it is shown."""

    path: str
    kind: str
    message: str


class ConflictView(NamedTuple):
    """A conflict as it is shown."""

    path: str
    winner: str
    resolution: str
    kept_as: str
    """Empty if the other version is not kept."""
    seconds_ago: float


class TwoWayView(NamedTuple):
    """What came to a source, and what was in conflict, as it is shown."""

    received_changes: int
    received_bytes: int
    saved_bytes: int
    conflicts: int
    latest_conflicts: tuple[ConflictView, ...]


class TargetStatus(NamedTuple):
    """What a client says of one of several servers."""

    target: str
    server: str
    namespace: str
    state: str
    in_sync: bool
    pending: int
    lag_seconds: float
    last_error: str
    seconds_since_success: float | None
    replica_digest: str
    holds: tuple[HoldView, ...]
    problems: int
    ready: bool
    not_ready_reason: str


class AgentStatus(NamedTuple):
    """What a client says of itself."""

    state: str
    in_sync: bool
    pending: int
    lag_seconds: float
    last_error: str
    seconds_since_success: float | None
    entries: int
    source_digest: str
    replica_digest: str
    holds: tuple[HoldView, ...]
    problems: int
    untracked: int
    untracked_paths: tuple[UntrackedView, ...]
    watch: str
    server: str
    namespace: str
    client_version: str
    ready: bool
    not_ready_reason: str
    two_way: TwoWayView | None = None
    """``None`` of a mirror."""
    targets: tuple[TargetStatus, ...] = ()
    """Empty where there is one server without a name."""


class SyncResult(NamedTuple):
    """What is left after a sync that was asked for."""

    in_sync: bool
    pending: int
    holds: tuple[HoldView, ...]
    problems: int


def view_hold(hold: Hold) -> HoldView:
    """A hold as it is shown."""
    shown: list[str] = []
    for step in hold.operations[:HOLD_PATHS_SHOWN]:
        text = escape(step.path)
        if shown and sum(map(len, shown)) + len(text) > HOLD_CHARACTERS_SHOWN:
            break
        shown.append(text)
    return HoldView(hold.id, hold.guard.value, len(hold.operations), tuple(shown), hold.message)


def encode_agent_status(status: AgentStatus) -> bytes:
    """A client's status."""
    return pb.AgentServiceGetStatusResponse(
        state=pb.State.Value(f"STATE_{status.state.upper()}"),
        in_sync=status.in_sync,
        pending=status.pending,
        lag_seconds=status.lag_seconds,
        last_error=status.last_error,
        seconds_since_success=status.seconds_since_success,
        entries=status.entries,
        source_digest_hex=status.source_digest,
        replica_digest_hex=status.replica_digest,
        holds=[_encode_hold(hold) for hold in status.holds],
        problems=status.problems,
        untracked=status.untracked,
        untracked_paths=[
            pb.UntrackedPath(path_text=shown.path, kind=shown.kind, message=shown.message)
            for shown in status.untracked_paths
        ],
        watch=status.watch,
        server=status.server,
        namespace=status.namespace,
        client_version=status.client_version,
        ready=status.ready,
        not_ready_reason=status.not_ready_reason,
        two_way=None if status.two_way is None else _encode_two_way(status.two_way),
        targets=[_encode_target(target) for target in status.targets],
    ).SerializeToString()


def decode_agent_status(raw: bytes) -> AgentStatus:
    """Validate a client's status."""
    message = parse(pb.AgentServiceGetStatusResponse, raw)
    return AgentStatus(
        state=_decode_state(message.state),
        in_sync=message.in_sync,
        pending=message.pending,
        lag_seconds=message.lag_seconds,
        last_error=message.last_error,
        seconds_since_success=message.seconds_since_success if message.HasField("seconds_since_success") else None,
        entries=message.entries,
        source_digest=message.source_digest_hex,
        replica_digest=message.replica_digest_hex,
        holds=tuple(_decode_hold(hold) for hold in message.holds),
        problems=message.problems,
        untracked=message.untracked,
        untracked_paths=tuple(
            UntrackedView(shown.path_text, shown.kind, shown.message) for shown in message.untracked_paths
        ),
        watch=message.watch,
        server=message.server,
        namespace=message.namespace,
        client_version=message.client_version,
        ready=message.ready,
        not_ready_reason=message.not_ready_reason,
        two_way=_decode_two_way(message.two_way) if message.HasField("two_way") else None,
        targets=tuple(_decode_target(target) for target in message.targets),
    )


def encode_sync(target: str = "") -> bytes:
    """A request to sync now."""
    return pb.SyncNowRequest(target=target).SerializeToString()


def decode_sync(raw: bytes) -> str:
    """The target that is to be synced; empty for all."""
    return parse(pb.SyncNowRequest, raw).target


def encode_list_problems(target: str = "") -> bytes:
    """A request to list the problems."""
    return pb.ListProblemsRequest(target=target).SerializeToString()


def decode_list_problems(raw: bytes) -> str:
    """The target whose problems are to be listed; empty for all."""
    return parse(pb.ListProblemsRequest, raw).target


def encode_sync_result(result: SyncResult) -> bytes:
    """What is left after a sync."""
    return pb.SyncNowResponse(
        in_sync=result.in_sync,
        pending=result.pending,
        holds=[_encode_hold(hold) for hold in result.holds],
        problems=result.problems,
    ).SerializeToString()


def decode_sync_result(raw: bytes) -> SyncResult:
    """What is left after a sync."""
    message = parse(pb.SyncNowResponse, raw)
    return SyncResult(message.in_sync, message.pending, tuple(map(_decode_hold, message.holds)), message.problems)


def encode_problems(problems: Sequence[Problem]) -> Iterator[bytes]:
    """Problems in pages of about ``LIMITS.listing_bytes``."""
    page, size = pb.ListProblemsResponse(), 0
    for problem in problems:
        encoded = _encode_problem(problem)
        page.problems.append(encoded)
        size += encoded.ByteSize()
        if size >= LIMITS.listing_bytes:
            yield page.SerializeToString()
            page, size = pb.ListProblemsResponse(), 0
    if page.problems:
        yield page.SerializeToString()


def decode_problems(messages: Iterable[bytes]) -> Iterator[tuple[RelPath, str, str]]:
    """Path, kind and message of each problem."""
    for raw in messages:
        for problem in parse(pb.ListProblemsResponse, raw).problems:
            yield RelPath(problem.path), problem.kind, problem.message


def encode_approve(hold_id: str, target: str = "") -> bytes:
    """A request to release a hold."""
    return pb.ApproveHoldRequest(hold_id=hold_id, target=target).SerializeToString()


def decode_approve(raw: bytes) -> tuple[str, str]:
    """The hold that is to be released, and the target where; empty for all."""
    request = parse(pb.ApproveHoldRequest, raw)
    return request.hold_id, request.target


def encode_approved(answer: Released) -> bytes:
    """How many paths were released, and what has changed."""
    return pb.ApproveHoldResponse(paths=answer.paths, message=answer.message).SerializeToString()


def decode_approved(raw: bytes) -> Released:
    """How many paths were released, and what has changed."""
    response = parse(pb.ApproveHoldResponse, raw)
    return Released(response.paths, response.message)


class TravelView(NamedTuple):
    """How a path travelled, as it is shown."""

    strategy: str
    reason: str
    size: int
    literal_bytes: int
    seconds_ago: float
    former_path_text: str


class PathExplained(NamedTuple):
    """What a client says of one path."""

    path: RelPath
    state: str
    message: str
    source: Entry | None
    replica: Entry | None
    rule: bytes = b""
    travel: TravelView | None = None


def view_untracked(paths: Iterable[Untracked]) -> tuple[UntrackedView, ...]:
    """Untracked paths as they are shown."""
    return tuple(UntrackedView(escape(path), kind.value, kind.sentence) for path, kind in paths)


def encode_explain(path: RelPath, target: str = "") -> bytes:
    """A request to explain a path."""
    return pb.ExplainPathRequest(path=path, target=target).SerializeToString()


def decode_explain(raw: bytes) -> tuple[RelPath, str]:
    """The path that is to be explained, and the target for which; empty for the first."""
    request = parse(pb.ExplainPathRequest, raw)
    return parse_path(request.path), request.target


def encode_explained(found: PathExplained) -> bytes:
    """What there is to say of a path."""
    return pb.ExplainPathResponse(
        path=found.path,
        path_text=escape(found.path),
        state=found.state,
        message=found.message,
        source=None if found.source is None else encode_entry(found.source),
        replica=None if found.replica is None else encode_entry(found.replica),
        rule=found.rule,
        travel=None if found.travel is None else pb.Travel(**found.travel._asdict()),
    ).SerializeToString()


def decode_explained(raw: bytes) -> PathExplained:
    """What there is to say of a path."""
    message = parse(pb.ExplainPathResponse, raw)
    return PathExplained(
        RelPath(message.path),
        message.state,
        message.message,
        decode_entry(message.source) if message.HasField("source") else None,
        decode_entry(message.replica) if message.HasField("replica") else None,
        message.rule,
        _decode_travel(message.travel) if message.HasField("travel") else None,
    )


def _decode_travel(travel: pb.Travel) -> TravelView:
    return TravelView(
        travel.strategy,
        travel.reason,
        travel.size,
        travel.literal_bytes,
        travel.seconds_ago,
        travel.former_path_text,
    )


def encode_event(line: str, missed: int) -> bytes:
    """One event of the log."""
    return pb.WatchEventsResponse(json=line, missed=missed).SerializeToString()


def decode_event(raw: bytes) -> tuple[str, int]:
    """One event of the log, and how many were missed before it."""
    message = parse(pb.WatchEventsResponse, raw)
    return message.json, message.missed


def _encode_two_way(totals: TwoWayView) -> pb.TwoWayTotals:
    return pb.TwoWayTotals(
        received_changes=totals.received_changes,
        received_bytes=totals.received_bytes,
        saved_bytes=totals.saved_bytes,
        conflicts=totals.conflicts,
        latest_conflicts=[
            pb.KeptConflict(path_text=path, winner=winner, resolution=resolution, kept_as_text=kept_as, seconds_ago=ago)
            for path, winner, resolution, kept_as, ago in totals.latest_conflicts
        ],
    )


def _decode_two_way(message: pb.TwoWayTotals) -> TwoWayView:
    return TwoWayView(
        message.received_changes,
        message.received_bytes,
        message.saved_bytes,
        message.conflicts,
        tuple(
            ConflictView(found.path_text, found.winner, found.resolution, found.kept_as_text, found.seconds_ago)
            for found in message.latest_conflicts
        ),
    )


def _encode_target(status: TargetStatus) -> pb.TargetStatus:
    return pb.TargetStatus(
        target=status.target,
        server=status.server,
        namespace=status.namespace,
        state=pb.State.Value(f"STATE_{status.state.upper()}"),
        in_sync=status.in_sync,
        pending=status.pending,
        lag_seconds=status.lag_seconds,
        last_error=status.last_error,
        seconds_since_success=status.seconds_since_success,
        replica_digest_hex=status.replica_digest,
        holds=[_encode_hold(hold) for hold in status.holds],
        problems=status.problems,
        ready=status.ready,
        not_ready_reason=status.not_ready_reason,
    )


def _decode_target(message: pb.TargetStatus) -> TargetStatus:
    return TargetStatus(
        target=message.target,
        server=message.server,
        namespace=message.namespace,
        state=_decode_state(message.state),
        in_sync=message.in_sync,
        pending=message.pending,
        lag_seconds=message.lag_seconds,
        last_error=message.last_error,
        seconds_since_success=message.seconds_since_success if message.HasField("seconds_since_success") else None,
        replica_digest=message.replica_digest_hex,
        holds=tuple(_decode_hold(hold) for hold in message.holds),
        problems=message.problems,
        ready=message.ready,
        not_ready_reason=message.not_ready_reason,
    )


def _decode_state(state: "pb.State.ValueType") -> str:
    known = state in pb.State.values()
    return pb.State.Name(state).removeprefix("STATE_").lower() if known else "unspecified"


def _encode_hold(hold: HoldView) -> pb.Hold:
    return pb.Hold(id=hold.id, guard=hold.guard, paths=hold.paths, path_texts=hold.path_texts, message=hold.message)


def _decode_hold(hold: pb.Hold) -> HoldView:
    return HoldView(hold.id, hold.guard, hold.paths, tuple(hold.path_texts), hold.message)


def _encode_problem(problem: Problem) -> pb.Problem:
    return pb.Problem(
        path=problem.path, path_text=escape(problem.path), kind=problem.kind.value, message=problem.message
    )
