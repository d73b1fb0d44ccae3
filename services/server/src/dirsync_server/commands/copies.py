"""What is on this server of a namespace, found without the server that may be running."""

import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from dirsync.endpoint.replica import index_name
from dirsync.errors import UsageError
from dirsync.fs.index.index_file import connect_read_only
from dirsync.fs.root import Root
from dirsync_server.tenancy.tenants import Tenant


class Copy(NamedTuple):
    """This server's copy of a replica."""

    namespace: str
    root: str
    open: bool
    """Whether a server has it open now."""
    entries: int | None
    """How many it had when it was closed; ``None`` while it is open, or if nobody knows."""
    idle_seconds: float | None
    """For how long it has been closed; ``None`` while it is open, or if nobody knows."""


def find_copy(tenant: Tenant, state_dir: Path, now: float) -> Copy | None:
    """The copy of a namespace; ``None`` if this server has none. ``now`` is Unix time."""
    try:
        with Root.open(tenant.root) as root:
            if root.is_empty:
                return None
            is_open = _is_open(root)
    except UsageError:
        return None
    index = Path(state_dir, index_name(tenant.namespace))
    entries = None if is_open else _count(index)
    idle = None if is_open or not index.exists() else max(0.0, now - index.stat().st_mtime)
    return Copy(tenant.namespace, str(tenant.root), is_open, entries, idle)


def unix_time() -> float:
    """The time by which files are dated."""
    return time.time()


def _is_open(root: Root) -> bool:
    try:
        root.lock()
    except UsageError as error:
        if error.reason != "ROOT_BUSY":
            raise
        return True
    return False


def _count(index: Path) -> int | None:
    connection = connect_read_only(index) if index.exists() else None
    if connection is None:
        return None
    try:
        (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
    except sqlite3.DatabaseError:
        return None
    finally:
        connection.close()
    return int(count)
