"""``GetStatus``: what a client says of itself and of each of its targets."""

from collections.abc import Iterable
from typing import NamedTuple

from dirsync.tree.path import escape
from dirsync.tree.untracked import Untracked
from dirsync.v1 import agent_service_pb2 as pb
from dirsync.wire.agent.hold import HoldView, decode_hold, encode_hold
from dirsync.wire.agent.two_way import TwoWayView, decode_two_way, encode_two_way
from dirsync.wire.parse import parse


class UntrackedView(NamedTuple):
    """An untracked path as it is shown."""

    path: str
    kind: str
    message: str


def view_untracked(paths: Iterable[Untracked]) -> tuple[UntrackedView, ...]:
    """Untracked paths as they are shown."""
    return tuple(UntrackedView(escape(path), kind.value, kind.sentence) for path, kind in paths)


class TargetStatus(NamedTuple):
    """What a client says of one target, or of all of them together."""

    target: str
    """Its name; empty for all of them together."""
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

    overall: TargetStatus
    """All targets together: the worst state, the sum of what is pending."""
    entries: int
    source_digest: str
    untracked: int
    untracked_paths: tuple[UntrackedView, ...]
    watch: str
    client_version: str
    two_way: TwoWayView | None = None
    """``None`` of a mirror."""
    targets: tuple[TargetStatus, ...] = ()
    """Empty where there is one server without a name."""


def encode_agent_status(status: AgentStatus) -> bytes:
    """A client's status."""
    message = pb.AgentServiceGetStatusResponse(
        entries=status.entries,
        source_digest_hex=status.source_digest,
        untracked=status.untracked,
        untracked_paths=[
            pb.UntrackedPath(path_text=shown.path, kind=shown.kind, message=shown.message)
            for shown in status.untracked_paths
        ],
        watch=status.watch,
        client_version=status.client_version,
        two_way=None if status.two_way is None else encode_two_way(status.two_way),
        targets=[pb.TargetStatus(target=target.target) for target in status.targets],
    )
    _fill(message, status.overall)
    for shown, target in zip(message.targets, status.targets, strict=True):
        _fill(shown, target)
    return message.SerializeToString()


def decode_agent_status(raw: bytes) -> AgentStatus:
    """Validate a client's status."""
    message = parse(pb.AgentServiceGetStatusResponse, raw)
    return AgentStatus(
        overall=_take(message),
        entries=message.entries,
        source_digest=message.source_digest_hex,
        untracked=message.untracked,
        untracked_paths=tuple(
            UntrackedView(shown.path_text, shown.kind, shown.message) for shown in message.untracked_paths
        ),
        watch=message.watch,
        client_version=message.client_version,
        two_way=decode_two_way(message.two_way) if message.HasField("two_way") else None,
        targets=tuple(_take(target, target.target) for target in message.targets),
    )


def _fill(message: pb.AgentServiceGetStatusResponse | pb.TargetStatus, status: TargetStatus) -> None:
    """Both messages have the fields of a target's status, under the same names."""
    message.server = status.server
    message.namespace = status.namespace
    message.state = pb.State.Value(f"STATE_{status.state.upper()}")
    message.in_sync = status.in_sync
    message.pending = status.pending
    message.lag_seconds = status.lag_seconds
    message.last_error = status.last_error
    if status.seconds_since_success is not None:
        message.seconds_since_success = status.seconds_since_success
    message.replica_digest_hex = status.replica_digest
    message.holds.extend(map(encode_hold, status.holds))
    message.problems = status.problems
    message.ready = status.ready
    message.not_ready_reason = status.not_ready_reason


def _take(message: pb.AgentServiceGetStatusResponse | pb.TargetStatus, target: str = "") -> TargetStatus:
    return TargetStatus(
        target=target,
        server=message.server,
        namespace=message.namespace,
        state=_decode_state(message.state),
        in_sync=message.in_sync,
        pending=message.pending,
        lag_seconds=message.lag_seconds,
        last_error=message.last_error,
        seconds_since_success=message.seconds_since_success if message.HasField("seconds_since_success") else None,
        replica_digest=message.replica_digest_hex,
        holds=tuple(map(decode_hold, message.holds)),
        problems=message.problems,
        ready=message.ready,
        not_ready_reason=message.not_ready_reason,
    )


def _decode_state(state: "pb.State.ValueType") -> str:
    known = state in pb.State.values()
    return pb.State.Name(state).removeprefix("STATE_").lower() if known else "unspecified"
