"""``dirsync-server namespaces``: what this server has of each namespace.

Where each server has storage of its own, a namespace whose calls go elsewhere now has left a copy here. It is one that
has been closed for long; ``dirsync-server drop`` removes it.
"""

import argparse
import json

from dirsync.runtime.config.values import show_duration
from dirsync.runtime.process.cli import ExitCode
from dirsync_server.commands.copies import Copy, find_copy, unix_time
from dirsync_server.settings import ServerSettings, Storage
from dirsync_server.tenancy.from_settings import registry_of


def namespaces(settings: ServerSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print the copies that are here, those first that have not been used for longest."""
    now = unix_time()
    tenants = registry_of(settings).current()
    found = [find_copy(tenant, settings.state_dir, now) for tenant in tenants.values()]
    copies = sorted((copy for copy in found if copy is not None), key=lambda copy: -(copy.idle_seconds or 0.0))
    if arguments.json:
        print(json.dumps({"storage": settings.storage.value, "copies": [copy._asdict() for copy in copies]}))
        return ExitCode.DONE
    for copy in copies:
        print(f"{copy.namespace}\t{_use(copy, settings.storage)}\t{_entries(copy)}\t{copy.root}")
    if not copies:
        print("this server has nothing of any namespace")
    return ExitCode.DONE


def _use(copy: Copy, storage: Storage) -> str:
    if storage is Storage.SHARED:
        return "shared"
    if copy.open:
        return "open"
    return "closed" if copy.idle_seconds is None else f"closed for {show_duration(float(round(copy.idle_seconds)))}"


def _entries(copy: Copy) -> str:
    return "" if copy.entries is None else f"{copy.entries} entries"
