"""The tenants as of now: from the settings, or from the tenants file as it is followed.

What a running server can take over, it does at once: tokens, their times, names of clients, quotas, and that a
namespace is gone. A namespace that is new, or lives elsewhere, or is kept differently, needs a directory opened and
read: that is for the next start, and the log tells. While the file cannot be read there are no namespaces, so no caller
is let in.

What has to follow a change, for example the quotas of the replicas, is told by :meth:`TenantRegistry.on_change`. Asking
for the tenants has no other effect.
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

Tenants = Mapping[str, Tenant]
"""Tenants by their namespaces."""


class TenantRegistry:
    """The tenants at any time, and who is told when they change. Thread-safe."""

    def __init__(self, read: Callable[[], Tenants]) -> None:
        """``read`` returns the tenants as of now; it is asked at each :meth:`current`."""
        self._read = read
        self._listeners: list[Callable[[Tenants], None]] = []

    @classmethod
    def single(cls, root: Path, policy: ReplicaPolicy, token: TokenFile | None) -> "TenantRegistry":
        """The default namespace alone, with at most one token."""
        tenant = Tenant(DEFAULT_NAMESPACE, root, policy, None)
        if token is None:
            return cls(lambda: {DEFAULT_NAMESPACE: tenant})
        return cls(lambda: {DEFAULT_NAMESPACE: tenant._replace(tokens=tuple(Token(one) for one in token.get()))})

    @classmethod
    def following(cls, file: Path, read: Callable[[], dict[str, Tenant]]) -> "TenantRegistry":
        """The tenants of a file; ``read`` reads it.

        Raises:
            UsageError: it cannot be used now.
        """
        started: dict[str, Tenant] = {}

        def load() -> Tenants:
            found = read()
            if not started:
                started.update(found)
            restart = needs_restart(started, found)
            if restart:
                problem = f"is new, or has another root or policy, and needs a restart: {', '.join(restart)}"
                get_logger().warning(Event.CONFIG_REJECTED, setting=SETTING, problem=problem, kind="restart")
            tenants = in_force(started, found)
            registry._tell(tenants)
            return tenants

        registry = cls(lambda: followed.get())  # noqa: PLW0108 - the file is followed from the next line on
        followed = ReloadingFile[Tenants]((SETTING,), (file,), load, fallback={})
        return registry

    def current(self) -> Tenants:
        """The tenants as of now."""
        return self._read()

    def on_change(self, listener: Callable[[Tenants], None]) -> None:
        """Tell ``listener`` the tenants, now and whenever they are read anew. It must be quick and not ask for them."""
        self._listeners.append(listener)
        listener(self.current())

    def _tell(self, tenants: Tenants) -> None:
        for listener in self._listeners:
            listener(tenants)


def needs_restart(started: Tenants, found: Tenants) -> list[str]:
    """The namespaces of the file that are not, or not as it says, those that the server started with."""
    same = {name for name, tenant in found.items() if name in started and _kept(tenant) == _kept(started[name])}
    return sorted(found.keys() - same)


def in_force(started: Tenants, found: Tenants) -> dict[str, Tenant]:
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
