"""The trace that a commit belongs to."""

import pytest

from dirsync.wire.push.messages import Commit, decode_push, encode_commit

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_round_trip() -> None:
    """A commit carries its trace."""
    assert Commit(traceparent=GOOD) == decode_push(encode_commit(Commit(traceparent=GOOD)))
    assert Commit() == decode_push(encode_commit(Commit()))


@pytest.mark.parametrize(
    "text", ["x", GOOD[:-1], GOOD + "0", GOOD.upper(), GOOD + "\n", "\u0660" + GOOD[1:], "x" * 100_000]
)
def test_malformed(text: str) -> None:
    """A text that is no trace is none, and harms nothing else."""
    assert Commit(rescan=True) == decode_push(encode_commit(Commit(rescan=True, traceparent=text)))
