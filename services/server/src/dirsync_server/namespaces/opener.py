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
from dirsync_server.replica_edits import watch_edits
from dirsync_server.replica_metrics import ReplicaMetrics
from dirsync_server.tenancy.registry import Tenants


class Opener:
    """Opens the replicas of a server, for any thread."""

    def __init__(
        self, tenants: Callable[[], Tenants], state_dir: Path, measured: ReplicaMetrics, metrics: Metrics, hooks: Hooks
    ) -> None:
        """``tenants`` are those that are in force; ``state_dir`` is there and can be written."""
        self._tenants = tenants
        self._state_dir = state_dir
        self._measured = measured
        self._metrics = metrics
        self._hooks = hooks
        self._log = get_logger()

    def open(self, namespace: str) -> OpenReplica:
        """Open a replica, which has to be scanned before it is used.

        Raises:
            UsageError: its directory or its index cannot be used.
            NotFound: the tenants file does not name it any more.
        """
        tenant = self._tenants().get(namespace)
        if tenant is None:
            msg = f"there is no namespace {namespace!r} any more"
            raise NotFound(msg, reason="NAMESPACE_NOT_FOUND")
        make_writable(tenant.root, tenant.setting)
        try:
            policy = tenant.policy._replace(own_logs=own_logs())
            replica = Replica.open(namespace, tenant.root, self._state_dir, policy, self._measured)
        except OSError as error:
            raise unusable(tenant.setting, tenant.root, error) from None
        except UsageError as error:
            blamed = "DIRSYNC_SERVER_STATE_DIR" if error.reason in STATE_REASONS else tenant.setting
            msg = f"{blamed}: {error}"
            raise UsageError(msg, reason=error.reason) from None
        return OpenReplica(replica, watch_edits(replica, self._metrics), lambda: self._measured.forget(namespace))

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
