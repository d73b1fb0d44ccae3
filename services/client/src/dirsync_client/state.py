"""What a client keeps in its STATE_DIR beside the index: who it is, and what it has agreed with which replica.

Losing it is harmless: the client gets a new id, and the next sync is judged as a first one.
"""

import contextlib
import fcntl
import json
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from dirsync.errors import UsageError
from dirsync.fs.index.index import Index
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.directories import prepare_state_directory, unusable
from dirsync.runtime.hooks.delivered import FILE as HOOKS
from dirsync.tree.entry import FileIdentity

_STATE = "state.json"
_APPROVALS = "approvals"
_LOCK = "lock"
INDEX = "index.sqlite"
SIGNATURES = "signatures"
"""The directory of remembered signatures."""
TARGETS = "targets"
"""Where the targets of a client with several servers have a directory each."""
_SETTING = variable_name("client", "state_dir")
_HOLD_ID = re.compile(r"[0-9a-f]{16}")


class ReplicaPairing(NamedTuple):
    """What this client and one replica agreed on."""

    adopted: bool
    """A sync of this source into this replica was completed or approved: it is not foreign."""
    identity: FileIdentity | None
    """The source's root then."""
    entries: int = 0
    """How many entries the source had then."""


class StateDirectory:
    """A client's state directory; made when missing."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError if it cannot be used."""
        prepare_state_directory(path, _SETTING, (_LOCK, _STATE, INDEX, SIGNATURES, _APPROVALS, HOOKS))
        self.path = path
        self.signatures = path / SIGNATURES
        """Where remembered signatures are kept; made when there are any."""
        self._lock: int | None = None
        self._unsaved: dict[str, Any] | None = None
        """What could not be written; only a restart before it is written misses it."""

    def try_lock(self) -> bool:
        """Become the one client that uses this directory, until :meth:`close` or the end of the process.

        Raises:
            UsageError: the file system cannot tell.
        """
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                return False
            raise unusable(_SETTING, self.path, error) from None
        self._lock = descriptor
        return True

    def open_index(self) -> Index:
        """What is remembered of the source's files.

        Raises:
            UsageError: it cannot be kept here.
        """
        try:
            return Index.open(self.path, INDEX)
        except UsageError as error:
            msg = f"{_SETTING}: {error}"
            raise UsageError(msg, reason=error.reason) from None

    def close(self) -> None:
        """Let another client use this directory."""
        if self._unsaved is not None:
            with contextlib.suppress(OSError):
                self._store(self._unsaved)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def client_id(self) -> str:
        """The id that this client keeps; made at the first call.

        Raises:
            UsageError: it cannot be kept.
        """
        state = self._load()
        client_id = state.get("client_id")
        if not isinstance(client_id, str) or not client_id:
            client_id = state["client_id"] = uuid.uuid4().hex
            try:
                self._store(state)
            except OSError as error:
                raise unusable(_SETTING, self.path, error) from None
        return client_id

    def pairing(self, replica_id: str) -> ReplicaPairing:
        """What was agreed with this replica; nothing is if nothing is known."""
        return _pairing(self._load(), replica_id)

    def agree(self, replica_id: str, pairing: ReplicaPairing) -> None:
        """Remember what was agreed with this replica; other replicas are kept.

        A disk that is full does not end the mirror: it costs what a lost state does, and only if the client ends first.
        """
        state = self._load()
        replicas = state.setdefault("replicas", {})
        if not isinstance(replicas, dict):
            replicas = state["replicas"] = {}
        volume, inode = pairing.identity or (None, None)
        replicas[replica_id] = {
            "adopted": pairing.adopted,
            "volume": volume,
            "inode": inode,
            "entries": pairing.entries,
        }
        try:
            self._store(state)
        except OSError:
            self._unsaved = state

    def approve(self, hold_id: str) -> None:
        """Note an approval for the next run.

        Raises:
            UsageError: it is no hold's id, or cannot be kept.
        """
        if not _HOLD_ID.fullmatch(hold_id):
            msg = f"{hold_id!r} is no hold's id: those have 16 hexadecimal digits, as `plan` and `status` show them"
            raise UsageError(msg)
        directory = self.path / _APPROVALS
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            (directory / hold_id).touch()
        except OSError as error:
            raise unusable(_SETTING, directory, error) from None

    def approvals(self) -> set[str]:
        """Approvals that no run has used yet."""
        return _approvals(self.path)

    def spend(self, hold_id: str) -> None:
        """Forget an approval that was used."""
        with contextlib.suppress(OSError):
            (self.path / _APPROVALS / hold_id).unlink()

    def _load(self) -> dict[str, Any]:
        return _load(self.path) if self._unsaved is None else self._unsaved

    def _store(self, state: dict[str, Any]) -> None:
        with _replacing(self.path / _STATE) as file:
            file.write(json.dumps(state, indent=1).encode())
        self._unsaved = None


class TargetState(StateDirectory):
    """The directory of one of several targets in a client's state directory; made when missing.

    It has what was agreed with that target, and approvals for it. What was agreed with its replica while the client had
    only that server, and no names, is found where it was left.
    """

    def __init__(self, client: Path, name: str) -> None:
        """``client``: the state directory of the client. Raises UsageError if it cannot be used."""
        super().__init__(target_directory(client, name))
        self._client = client

    def pairing(self, replica_id: str) -> ReplicaPairing:
        """As :meth:`StateDirectory.pairing`."""
        own = super().pairing(replica_id)
        return own if own.adopted else _pairing(_load(self._client), replica_id)


class StateView:
    """A state directory for readers: nothing is made or locked, and what is decided is forgotten."""

    def __init__(self, path: Path, target: str = "") -> None:
        """``path`` is that of the client; ``target``: the name of one of several servers."""
        self.path = target_directory(path, target) if target else path
        self._client = path
        self.signatures = path / SIGNATURES

    def pairing(self, replica_id: str) -> ReplicaPairing:
        """As :meth:`StateDirectory.pairing`."""
        own = _pairing(_load(self.path), replica_id)
        return own if own.adopted else _pairing(_load(self._client), replica_id)

    def client_id(self) -> str:
        """As :meth:`StateDirectory.client_id`, but none is made: empty before the first run."""
        client_id = _load(self._client).get("client_id")
        return client_id if isinstance(client_id, str) else ""

    def approvals(self) -> set[str]:
        """As :meth:`StateDirectory.approvals`."""
        return _approvals(self.path)

    def agree(self, replica_id: str, pairing: ReplicaPairing) -> None:
        """Nothing is remembered."""

    def spend(self, hold_id: str) -> None:
        """Nothing is spent."""


def target_directory(client: Path, name: str) -> Path:
    """Where a target of this name has its state; an address is written so that it is one name."""
    return client / TARGETS / quote(name, safe="")


def _approvals(path: Path) -> set[str]:
    with contextlib.suppress(OSError):
        return {name for name in os.listdir(path / _APPROVALS) if _HOLD_ID.fullmatch(name)}
    return set()


def _load(path: Path) -> dict[str, Any]:
    try:
        state = json.loads((path / _STATE).read_bytes())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _pairing(state: dict[str, Any], replica_id: str) -> ReplicaPairing:
    replicas = state.get("replicas")
    kept = replicas.get(replica_id) if isinstance(replicas, dict) else None
    if not isinstance(kept, dict):
        return ReplicaPairing(adopted=False, identity=None)
    volume, inode = kept.get("volume"), kept.get("inode")
    identity = FileIdentity(volume, inode) if isinstance(volume, int) and isinstance(inode, int) else None
    entries = kept.get("entries")
    return ReplicaPairing(kept.get("adopted") is True, identity, entries if isinstance(entries, int) else 0)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Any]:
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            yield file
            file.flush()
            os.replace(file.name, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(file.name)
            raise
