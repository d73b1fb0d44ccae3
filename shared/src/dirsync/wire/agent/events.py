"""``WatchEvents``: the log of a client, as it is written."""

from dirsync.v1 import agent_service_pb2 as pb
from dirsync.wire.parse import parse


def encode_event(line: str, missed: int) -> bytes:
    """One event of the log."""
    return pb.WatchEventsResponse(json=line, missed=missed).SerializeToString()


def decode_event(raw: bytes) -> tuple[str, int]:
    """One event of the log, and how many were missed before it."""
    message = parse(pb.WatchEventsResponse, raw)
    return message.json, message.missed
