"""Opens replicas: their directory, index and staging, and what they hold."""

from collections.abc import Callable
from pathlib import Path

from dirsync.clock import monotonic
from dirsync.endpoint.replica import Replica
from dirsync.errors import NotFound, UsageError
from dirsync.fs.index.index_file import STATE_REASONS
from dirsync.fs.scan.rules import own_logs
from dirsync.runtime.files.directories import make_writable, unusable
from dirsync.runtime.hooks.hooks import Hooks
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync_server.namespaces.slot import OpenReplica
from dirsync_server.ownership.claim import Taken
from dirsync_server.ownership.owners import Owners
from dirsync_server.replica_edits import watch_edits
from dirsync_server.replica_metrics import ReplicaMetrics
from dirsync_server.tenancy.registry import Tenants
from dirsync_server.tenancy.tenants import Tenant


class Opener:
    """Opens the replicas of a server, for any thread."""

    def __init__(
        self,
        tenants: Callable[[], Tenants],
        state_dir: Path,
        measured: ReplicaMetrics,
        metrics: Metrics,
        hooks: Hooks,
        owners: Owners | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            tenants: returns those that are in force.
            state_dir: is there and can be written.
            measured: is told what happens in the replicas.
            metrics: of the server.
            hooks: of the server.
            owners: says which namespaces are ours, where other servers have the same storage.
        """
        self._tenants = tenants
        self._state_dir = state_dir
        self._measured = measured
        self._metrics = metrics
        self._hooks = hooks
        self._owners = owners
        self._log = get_logger()

    def open(self, namespace: str) -> OpenReplica:
        """Open a replica, which has to be scanned before it is used.

        Raises:
            UsageError: its directory or its index cannot be used.
            NotFound: the tenants file does not name it any more.
            Unavailable: another server has it.
        """
        tenant = self._tenants().get(namespace)
        if tenant is None:
            msg = f"there is no namespace {namespace!r} any more"
            raise NotFound(msg, reason="NAMESPACE_NOT_FOUND")
        make_writable(tenant.root, tenant.setting)
        taken = self._owners.claim(namespace, tenant.root) if self._owners is not None else None
        try:
            replica = self._open(tenant, taken)
        except BaseException:
            self._let_go(namespace)
            raise

        def release() -> None:
            self._measured.forget(namespace)
            self._let_go(namespace)

        return OpenReplica(replica, watch_edits(replica, self._metrics), release)

    def _open(self, tenant: Tenant, taken: Taken | None) -> Replica:
        policy = tenant.policy._replace(own_logs=own_logs())
        owned = taken.owned if taken is not None else None
        state_dir = owned.state_directory if owned is not None else self._state_dir
        try:
            replica = Replica.open(tenant.namespace, tenant.root, state_dir, policy, self._measured, owned)
        except OSError as error:
            raise unusable(tenant.setting, tenant.root, error) from None
        except UsageError as error:
            blamed = "DIRSYNC_SERVER_STATE_DIR" if error.reason in STATE_REASONS else tenant.setting
            msg = f"{blamed}: {error}"
            raise UsageError(msg, reason=error.reason) from None
        if taken is not None and taken.cause == "slow":
            # The owner before may still write to them: what it had open is in its hands.
            replica.uploads.drop_all()
        return replica

    def _let_go(self, namespace: str) -> None:
        if self._owners is not None:
            self._owners.release(namespace)

    def scan(self, replica: Replica) -> None:
        """Learn what it holds.

        Raises:
            Unavailable: it was closed meanwhile.
            DirsyncError, OSError: it cannot be read.
        """
        started = monotonic()
        replica.scan()
        self._metrics.observe("dirsync_scan_duration_seconds", monotonic() - started)
        # The last process may have ended between a commit and its hook.
        self._hooks.feed(replica.namespace).reached(replica.root_digest)
        self._log.info(
            Event.RESCAN_COMPLETED,
            namespace=replica.namespace,
            entries=len(replica.tree),
            duration_ms=round((monotonic() - started) * 1000, 1),
        )

    def open_and_scan(self, namespace: str) -> OpenReplica:
        """Open a replica and learn what it holds; raises as both."""
        opened = self.open(namespace)
        try:
            self.scan(opened.replica)
            self._measured.measure(opened.replica)
        except BaseException:
            opened.close()
            raise
        return opened
