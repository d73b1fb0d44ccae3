"""What the hooks of a service were told last, kept in its STATE_DIR: a restart neither repeats nor loses a state.

Losing it is harmless: each hook is run once more for the state that it knows.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from threading import Lock
from typing import Any

FILE = "hooks.json"


class Delivered:
    """The file, and what it has. Thread-safe."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE
        self._lock = Lock()
        self._states = _read(self._path)

    def get(self, hook: str, target: str, namespace: str) -> bytes | None:
        """The state that a hook was told last, if it called the same then."""
        try:
            return bytes.fromhex(self._states[_key(hook, target, namespace)])
        except (KeyError, TypeError, ValueError):
            return None

    def set(self, hook: str, target: str, namespace: str, state: bytes | None) -> None:
        """A hook was told a state, or, with ``None``, it is not sure which."""
        key = _key(hook, target, namespace)
        with self._lock:
            if state is None:
                self._states.pop(key, None)
            else:
                self._states[key] = state.hex()
            # A full disk does not stop hooks: after the next start one is run once more.
            with contextlib.suppress(OSError):
                _write(self._path, self._states)


def _key(hook: str, target: str, namespace: str) -> str:
    """Of the target only a digest: its URL may be a secret."""
    return f"{hook} {hashlib.sha256(os.fsencode(target)).hexdigest()[:16]} {namespace}"


def _read(path: Path) -> dict[str, Any]:
    try:
        states = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return states if isinstance(states, dict) else {}


def _write(path: Path, states: dict[str, Any]) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(json.dumps(states, indent=1))
    os.replace(beside, path)
