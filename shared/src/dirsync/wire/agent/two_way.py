"""What came to a source, and what was in conflict, as a client shows it."""

from typing import NamedTuple

from dirsync.v1 import agent_service_pb2 as pb


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


def encode_two_way(totals: TwoWayView) -> pb.TwoWayTotals:
    """As part of a status."""
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


def decode_two_way(message: pb.TwoWayTotals) -> TwoWayView:
    """As part of a status."""
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
