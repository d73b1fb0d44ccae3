"""What is written about an owner, and under which names. Pure.

A namespace has one record for each fencing number. Its first byte says how it stands, and is changed in place, because
a write of one byte is whole or not at all; the rest says who the owner is, and never changes.
"""

import enum
import json
import re
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"owner-(?P<namespace>.+)\.(?P<number>[1-9][0-9]*)", re.ASCII)
STATE_BYTES: Final = 1
MAX_RECORD_BYTES: Final = 4096
"""More than any record has."""


class Standing(enum.Enum):
    """How an owner stands."""

    OWNER = b"o"
    RELEASED = b"r"
    """It has let go, with everything published and nothing under way."""
    SUPERSEDED = b"s"
    """Another server has taken over, or is about to: it may publish nothing any more."""


class Record(NamedTuple):
    """The record of one fencing number."""

    standing: Standing
    server: str
    """The id of the process that owns the namespace."""


def encode_record(server: str, host: str, pid: int) -> bytes:
    """A new owner's record; host and pid are for people."""
    return Standing.OWNER.value + json.dumps({"server": server, "host": host, "pid": pid}).encode() + b"\n"


def decode_record(raw: bytes) -> Record:
    """A record as it was read. One that is not whole belongs to a server that died while it wrote it."""
    try:
        standing, owner = Standing(raw[:STATE_BYTES]), json.loads(raw[STATE_BYTES:])
        server = owner["server"]
    except (ValueError, KeyError, TypeError):
        return Record(Standing.RELEASED, "")
    return Record(standing, server if isinstance(server, str) else "")


def record_name(namespace: str, number: int) -> str:
    """The file of a record."""
    return f"owner-{namespace}.{number}"


def state_name(namespace: str, number: int) -> str:
    """The directory with the index that an owner keeps."""
    return f"state-{namespace}.{number}"


def number_in(name: str, namespace: str) -> int | None:
    """The fencing number in the name of a record of this namespace; ``None`` for any other name."""
    match = _NAME.fullmatch(name)
    return int(match["number"]) if match is not None and match["namespace"] == namespace else None
