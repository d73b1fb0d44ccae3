"""``ApproveHold``: have a client do what a guard holds."""

from dirsync.tree.guards.approvals import Released
from dirsync.v1 import agent_service_pb2 as pb
from dirsync.wire.parse import parse


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
