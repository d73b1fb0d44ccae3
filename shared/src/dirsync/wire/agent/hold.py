"""A hold, as a client shows it."""

from typing import NamedTuple

from dirsync.tree.guards.hold import Hold
from dirsync.tree.path import escape
from dirsync.v1 import agent_service_pb2 as pb

HOLD_PATHS_SHOWN = 20
"""Paths of a hold that a status names."""
HOLD_CHARACTERS_SHOWN = 16 * 1024
"""Characters that these paths may have together; the first is shown whatever its length."""


class HoldView(NamedTuple):
    """A hold as it is shown."""

    id: str
    guard: str
    paths: int
    path_texts: tuple[str, ...]
    message: str


def view_hold(hold: Hold) -> HoldView:
    """A hold as it is shown."""
    shown: list[str] = []
    for step in hold.operations[:HOLD_PATHS_SHOWN]:
        text = escape(step.path)
        if shown and sum(map(len, shown)) + len(text) > HOLD_CHARACTERS_SHOWN:
            break
        shown.append(text)
    return HoldView(hold.id, hold.guard.value, len(hold.operations), tuple(shown), hold.message)


def encode_hold(hold: HoldView) -> pb.Hold:
    """As part of a message."""
    return pb.Hold(id=hold.id, guard=hold.guard, paths=hold.paths, path_texts=hold.path_texts, message=hold.message)


def decode_hold(hold: pb.Hold) -> HoldView:
    """As part of a message."""
    return HoldView(hold.id, hold.guard, hold.paths, tuple(hold.path_texts), hold.message)
