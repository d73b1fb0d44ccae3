"""The tenants as of now: from the settings, or from the tenants file as it is followed.

What a running server can take over, it does at once: tokens, their times, names of clients, quotas, and that a
namespace is gone. A namespace that is new, or lives elsewhere, or is kept differently, needs a directory opened and
read: that is for the next start, and the log says so. While the file cannot be read there are no namespaces, so nobody
is let in.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from dirsync.endpoint.replica import ReplicaPolicy
from dirsync.runtime.files.reloading_file import ReloadingFile
from dirsync.runtime.files.secrets import TokenFile
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync_server.tenancy.tenants import DEFAULT_NAMESPACE, SETTING, Tenant
from dirsync_server.tenancy.tokens import Token

Roster = Callable[[], Mapping[str, Tenant]]
"""Gives the tenants by their namespaces; asked at each call."""


def single(root: Path, policy: ReplicaPolicy, token: TokenFile | None) -> Roster:
    """The default namespace alone, with at most one token."""
    tenant = Tenant(DEFAULT_NAMESPACE, root, policy, None)
    if token is None:
        return lambda: {DEFAULT_NAMESPACE: tenant}
    return lambda: {DEFAULT_NAMESPACE: tenant._replace(tokens=tuple(Token(one) for one in token.get()))}


def followed(file: Path, read: Callable[[], dict[str, Tenant]]) -> Roster:
    """The tenants of a file; ``read`` reads it.

    Raises:
        UsageError: it cannot be used now.
    """
    started: dict[str, Tenant] = {}

    def load() -> Mapping[str, Tenant]:
        found = read()
        if not started:
            started.update(found)
        restart = needs_restart(started, found)
        if restart:
            problem = f"is new, or has another root or policy, and needs a restart: {', '.join(restart)}"
            get_logger().warning(Event.CONFIG_REJECTED, setting=SETTING, problem=problem, kind="restart")
        return in_force(started, found)

    return ReloadingFile[Mapping[str, Tenant]]((SETTING,), (file,), load, fallback={}).get


def needs_restart(started: Mapping[str, Tenant], found: Mapping[str, Tenant]) -> list[str]:
    """The namespaces of the file that are not, or not as it says, those that the server started with."""
    same = {name for name, tenant in found.items() if name in started and _kept(tenant) == _kept(started[name])}
    return sorted(found.keys() - same)


def in_force(started: Mapping[str, Tenant], found: Mapping[str, Tenant]) -> dict[str, Tenant]:
    """The namespaces that are in the file still, where they were at the start, with what else the file says now."""
    return {
        name: tenant._replace(
            tokens=found[name].tokens,
            client_names=found[name].client_names,
            policy=tenant.policy._replace(quota=found[name].policy.quota),
        )
        for name, tenant in started.items()
        if name in found
    }


def _kept(tenant: Tenant) -> tuple[object, ...]:
    return tenant.root, tenant.policy.fsync, tenant.policy.modes
