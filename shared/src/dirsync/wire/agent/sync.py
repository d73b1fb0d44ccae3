"""``SyncNow``: have a client look again and send all that differs."""

from typing import NamedTuple

from dirsync.v1 import agent_service_pb2 as pb
from dirsync.wire.agent.hold import HoldView, decode_hold, encode_hold
from dirsync.wire.parse import parse


class SyncResult(NamedTuple):
    """What is left after a sync that was asked for."""

    in_sync: bool
    pending: int
    holds: tuple[HoldView, ...]
    problems: int


def encode_sync(target: str = "") -> bytes:
    """A request to sync now."""
    return pb.SyncNowRequest(target=target).SerializeToString()


def decode_sync(raw: bytes) -> str:
    """The target that is to be synced; empty for all."""
    return parse(pb.SyncNowRequest, raw).target


def encode_sync_result(result: SyncResult) -> bytes:
    """What is left after a sync."""
    return pb.SyncNowResponse(
        in_sync=result.in_sync,
        pending=result.pending,
        holds=[encode_hold(hold) for hold in result.holds],
        problems=result.problems,
    ).SerializeToString()


def decode_sync_result(raw: bytes) -> SyncResult:
    """What is left after a sync."""
    message = parse(pb.SyncNowResponse, raw)
    return SyncResult(message.in_sync, message.pending, tuple(map(decode_hold, message.holds)), message.problems)
