"""``dirsync-server drop NAMESPACE``: remove the copy that a namespace has left on this server.

A copy that a server has open is not touched, and no server opens it meanwhile. What is remembered of it goes first, so
a crash leaves files that are found, and nothing that says that they are all there.
"""

import argparse
import contextlib
import json
import os
from pathlib import Path

from dirsync.endpoint.replica import index_name
from dirsync.errors import UsageError
from dirsync.fs.failure import unusable_root
from dirsync.fs.root import Root
from dirsync.fs.scan.rules import LOST_AND_FOUND
from dirsync.fs.write.build.remove import remove_tree
from dirsync.fs.write.staging import Staging
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.path import escape
from dirsync_server.commands.copies import find_copy, unix_time
from dirsync_server.settings import ServerSettings, Storage
from dirsync_server.tenancy.from_settings import registry_of
from dirsync_server.tenancy.tenants import Tenant

_SUFFIXES = ("", "-wal", "-shm", "-journal")


def drop(settings: ServerSettings, arguments: argparse.Namespace) -> ExitCode:
    """Remove a copy, or without ``--yes`` say what would be removed.

    Raises:
        UsageError: there is no such copy, it is in use, or it is the only one.
    """
    if settings.storage is Storage.SHARED:
        msg = "with STORAGE=shared there is one copy of a namespace, which all servers have: remove it by hand"
        raise UsageError(msg)
    tenant = registry_of(settings).current().get(arguments.namespace)
    copy = None if tenant is None else find_copy(tenant, settings.state_dir, unix_time())
    if tenant is None or copy is None:
        msg = f"this server has nothing of {escape(arguments.namespace.encode())!r}: see dirsync-server namespaces"
        raise UsageError(msg)
    if arguments.yes:
        drop_copy(tenant, settings.state_dir)
    done = "dropped" if arguments.yes else "would be dropped; say --yes"
    if arguments.json:
        print(json.dumps({**copy._asdict(), "dropped": arguments.yes}))
    else:
        print(f"{copy.namespace}: {copy.root} {done}")
    return ExitCode.DONE


def drop_copy(tenant: Tenant, state_dir: Path) -> None:
    """Remove all of a namespace: its index, what is staged, and its files.

    Raises:
        UsageError: a server has it open, or something cannot be removed.
    """
    with Root.open(tenant.root) as root:
        try:
            root.lock()
        except UsageError as error:
            msg = f"{tenant.namespace!r} is in use here: wait until it is closed (NAMESPACE_IDLE), or stop the server"
            raise UsageError(msg, reason=error.reason) from None
        for suffix in _SUFFIXES:
            Path(state_dir, f"{index_name(tenant.namespace)}{suffix}").unlink(missing_ok=True)
        try:
            with Staging.open(root) as staging:
                for name in staging.names():
                    staging.remove(name)
            _empty(root.descriptor)
        except OSError as error:
            raise UsageError(unusable_root(root.path, error)) from error
        with contextlib.suppress(OSError):  # a mounted one stays
            os.rmdir(root.path)


def _empty(directory: int) -> None:
    with os.scandir(directory) as entries:
        found = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if is_directory and name != LOST_AND_FOUND:
            remove_tree(directory, name)
        elif not is_directory:
            os.unlink(name, dir_fd=directory)
