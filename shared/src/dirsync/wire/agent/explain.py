"""``ExplainPath``: what a client knows of one path."""

from typing import NamedTuple

from dirsync.tree.entry import Entry
from dirsync.tree.path import RelPath, escape, parse_path
from dirsync.v1 import agent_service_pb2 as pb
from dirsync.wire.entries import decode_entry, encode_entry
from dirsync.wire.parse import parse


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
