"""What a hook is told: one JSON object, the same for a command and a webhook."""

import json
from typing import NamedTuple

from dirsync.limits import LIMITS
from dirsync.runtime.hooks.debouncer import Run
from dirsync.tree.path import escape


class Place(NamedTuple):
    """Where a state was reached."""

    service: str
    """``client`` or ``server``."""
    namespace: str
    root: bytes
    """The source, or the replica."""
    target: str = ""
    """At a client whose servers have names: the one that has the state."""

    @property
    def key(self) -> str:
        """What tells the places of one service apart."""
        return self.target or self.namespace


def encode(place: Place, run: Run) -> bytes:
    """The message in UTF-8, of at most ``LIMITS.max_hook_bytes``; paths are escaped as in the log."""
    message = {
        "service": place.service,
        "namespace": place.namespace,
        **({"target": place.target} if place.target else {}),
        "root_digest": run.state.hex(),
        "truncated": False,
        "paths": [],
    }
    room = LIMITS.max_hook_bytes - len(json.dumps(message))
    paths: list[str] = []
    truncated = run.changes.truncated
    for path in run.changes.paths:
        shown = escape(path)
        room -= len(json.dumps(shown)) + len(", ")
        if room < 0:
            truncated = True
            break
        paths.append(shown)
    return json.dumps(message | {"truncated": truncated, "paths": paths}).encode()
