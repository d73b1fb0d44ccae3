"""A replica's directory that is moved aside while the server runs."""

import pytest

from tests.support.running.programs import Pair
from tests.support.trees.trees import build, look

pytestmark = pytest.mark.programs


def test_moved_root_is_not_written(pair: Pair) -> None:
    """Nothing is written any more where the replica went, nor where it was, and the server says so."""
    server = pair.server()
    build(pair.source, {"a": "1"})
    assert 0 == pair.once().code
    moved = pair.place / "moved"
    pair.replica.rename(moved)
    build(pair.source, {"b": "2"})
    result = pair.once()

    assert 1 == result.code
    assert any("gone or was replaced" in message for message in result.messages)
    assert {"a"} == look(moved).keys()
    assert not pair.replica.exists()
    server.log.forgive("request.rejected")
