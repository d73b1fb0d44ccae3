"""What a session's messages say to a peer of another version."""

from dirsync.location import Location
from dirsync.tree.options import TreeOptions
from dirsync.tree.strategy import Strategy
from dirsync.v1 import sync_service_pb2 as pb
from dirsync.wire.session import Opened, OpenRequest, SessionMode, decode_opened, encode_open, encode_opened

OPENED = Opened(bytes(16), 1, "replica", TreeOptions(), bytes(32), 0, frozenset(), frozenset(), frozenset(), 1, 1, "1")


def test_every_strategy_has_its_number() -> None:
    """The numbers are those of the protocol, under the same names."""
    message = pb.OpenSessionResponse.FromString(encode_opened(OPENED._replace(strategies=frozenset(Strategy))))

    assert [f"STRATEGY_{strategy.name}" for strategy in Strategy] == list(map(pb.Strategy.Name, message.strategies))


def test_strategies_of_later_versions_are_left_out() -> None:
    """A client uses what it knows of a newer server's offer."""
    message = pb.OpenSessionResponse.FromString(encode_opened(OPENED))
    message.strategies.extend([pb.STRATEGY_DELTA, 77, 0])  # type: ignore[list-item]

    assert {Strategy.DELTA} == decode_opened(message.SerializeToString()).strategies


def test_a_mirror_session_has_no_byte_more() -> None:
    """That there are two-way sessions costs a mirror nothing: its mode is on the wire in neither direction."""
    request = OpenRequest("default", "client", "instance", TreeOptions(), Location("machine", ()))
    asked = pb.OpenSessionRequest.FromString(encode_open(request))
    two_way = encode_open(request._replace(mode=SessionMode.TWO_WAY))

    assert "mode" not in {field.name for field, _ in asked.ListFields()}
    assert len(encode_open(request)) < len(two_way)
    assert "mode" not in {
        field.name for field, _ in pb.OpenSessionResponse.FromString(encode_opened(OPENED)).ListFields()
    }
