"""What a hook is told."""

import json

from dirsync.limits import LIMITS
from dirsync.runtime.hooks.message import encode
from tests.unit.runtime.hooks.runs import PLACE, STATE, run_of


def test_message() -> None:
    """A message says where, which state, and what changed; names that are no text are escaped."""
    message = json.loads(encode(PLACE, run_of(b"a/b", b"c\xff\n")))

    assert {
        "service": "client",
        "namespace": "photos",
        "root_digest": STATE.hex(),
        "truncated": False,
        "paths": ["a/b", "c\\xff\\x0a"],
    } == message


def test_truncated() -> None:
    """A message says that paths are missing."""
    assert json.loads(encode(PLACE, run_of(b"a", truncated=True)))["truncated"]


def test_bounded() -> None:
    """Whatever the names are, a message is no longer than its bound."""
    raw = encode(PLACE, run_of(*(b"%d" % number + b"\xff" * 1000 for number in range(1000))))

    assert len(raw) <= LIMITS.max_hook_bytes
    message = json.loads(raw)
    assert message["truncated"]
    assert 100 < len(message["paths"]) < 1000
