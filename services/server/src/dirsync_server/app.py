"""The server's assembly: settings in, a running service out. Settings go no further than here."""

import threading
from collections.abc import Callable
from itertools import chain, islice

import grpc

from dirsync.clock import monotonic
from dirsync.endpoint.replica import Replica, index_name
from dirsync.errors import DirsyncError, Unavailable
from dirsync.limits import LIMITS
from dirsync.rpc.auth.caller_key import caller_key
from dirsync.rpc.auth.tls import Identity, NamedFile, ServerSecurity
from dirsync.rpc.channel import server_options
from dirsync.rpc.health_service import add_health_service
from dirsync.rpc.interceptors.admission import admission
from dirsync.rpc.interceptors.call_limit import CallLimitInterceptor, MethodQuota
from dirsync.rpc.interceptors.call_metrics import GrpcMetricsInterceptor, grpc_metrics
from dirsync.rpc.interceptors.rejections import rejections
from dirsync.rpc.listen import listen
from dirsync.rpc.reflection import METHOD as REFLECTION_METHOD
from dirsync.rpc.reflection import add_reflection
from dirsync.rpc.service import generic_handler
from dirsync.rpc.worker_pool import worker_pool
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.config.settings import effective
from dirsync.runtime.files.directories import prepare_state_directory
from dirsync.runtime.hooks.delivered import FILE as HOOKS
from dirsync.runtime.hooks.hooks import NO_HOOKS, Hooks
from dirsync.runtime.http.health import HealthState
from dirsync.runtime.http.server import HttpServer
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import dropped_lines, get_logger
from dirsync.runtime.metrics.catalogue import SERVER_CATALOGUE, replica_metrics
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.runtime.process.lifecycle import Lifetime, freeze_heap
from dirsync.runtime.process.malloc import keep_message_memory
from dirsync.runtime.trace.setup import make_tracer
from dirsync.wire.descriptors import (
    PUSH_CHANGES,
    READ_CONTENT,
    REPLICA_SERVICE,
    SYNC_SERVICE,
    WATCH_REPLICA,
    methods,
)
from dirsync_server.namespaces.open_namespaces import OpenNamespaces
from dirsync_server.namespaces.opener import Opener
from dirsync_server.ownership.owners import Owners
from dirsync_server.replica_metrics import ReplicaMetrics
from dirsync_server.services.replica import ReplicaServicer
from dirsync_server.services.sync import SyncServicer
from dirsync_server.services.write_api import WriteApi
from dirsync_server.sessions import Sessions
from dirsync_server.settings import ServerSettings, Storage
from dirsync_server.status_page import StatusPage
from dirsync_server.tenancy.authority import Authority
from dirsync_server.tenancy.from_settings import registry_of
from dirsync_server.tenancy.registry import Tenants

SERVED = (*methods(SYNC_SERVICE), *methods(REPLICA_SERVICE))
CALLERS = 2
"""Shares of the threads for each namespace: that of its token, and of the next one while it is rotated."""
HOOK_SECONDS = 0.5
"""How long the last run of a hook may take where the grace period is over."""
DISK_CHECK_SECONDS = 2.0
"""How often readiness looks at the disk."""
MEASURED = 50
"""Replicas that are measured each time, in turn: a thousand open ones take a hundredth of a core otherwise."""
DISK_SECONDS = 1.0
"""How long the end waits for a look at the disks: one may not answer."""


class Server:
    """The service from :meth:`start` to :meth:`stop`."""

    def __init__(self, settings: ServerSettings) -> None:
        """Open the replicas and bind the ports.

        Raises:
            UsageError: a directory, file or port that cannot be used.
        """
        self._settings = settings
        self._log = get_logger()
        self.health = HealthState("the replica is being read")
        self._registry = registry_of(settings)
        further = (*grpc_metrics(SERVED), *replica_metrics(self._registry.current()))
        self.metrics = PrometheusMetrics(further, SERVER_CATALOGUE)
        self._hooks = _hooks(settings, self._registry.current(), self.metrics)
        self._tracer = make_tracer(settings.service)
        self._measured = ReplicaMetrics(self.metrics, self._hooks)
        self._sessions = Sessions(settings.max_sessions)
        tenants = self._registry.current()
        self._owners = (
            Owners([(tenant.root, tenant.setting) for tenant in tenants.values()], settings.lease, self.metrics)
            if settings.storage is Storage.SHARED
            else None
        )
        self._opener = self._make_opener()
        self._measured_last = 0
        self._namespaces = OpenNamespaces(
            self._registry.current(),
            self._opener.open_and_scan,
            self._sessions,
            idle_seconds=settings.namespace_idle or None,
        )
        if not settings.opens_on_demand:
            for name in self._registry.current():
                self._namespaces.adopt(name, self._opener.open(name))
        self._registry.on_change(self._take_quotas)
        self._grpc = self._make_grpc()
        self._page = self._make_page() if settings.status_page else None
        routes = self._page.routes if self._page else {}
        self._http = HttpServer(settings.metrics_listen, _name("metrics_listen"), self.metrics, self.health, routes)
        self._stopping = threading.Event()
        self._disks = threading.Thread(target=self._watch_disks, name="dirsync-disk", daemon=True)
        self.metrics.gauge("dirsync_log_dropped_lines").set_function(dropped_lines)
        self.metrics.gauge("dirsync_sessions").set_function(lambda: len(self._sessions))
        self.metrics.gauge("dirsync_two_way_sessions").set_function(lambda: self._sessions.two_way)
        self.metrics.gauge("dirsync_watches").set_function(lambda: self._namespaces.watches)
        self.metrics.gauge("dirsync_open_namespaces").set_function(lambda: len(self._namespaces))
        self._sum_over_replicas("dirsync_kept_uploads", lambda replica: replica.uploads.count)
        self._sum_over_replicas("dirsync_kept_upload_bytes", lambda replica: replica.uploads.size)
        self._sum_over_replicas("dirsync_entries", lambda replica: len(replica.tree))

    def start(self, lifetime: Lifetime) -> None:
        """Serve; reading the replicas goes on in the background until the service is ready."""
        keep_message_memory()
        self._log.info(Event.CONFIG_EFFECTIVE, settings=effective(self._settings))
        if self._owners:
            self._owners.start(self._namespaces.give_up)
        self._grpc.start()
        self._http.start()
        self._log.info(Event.SERVER_STARTED, listen=str(self._settings.listen), metrics_listen=str(self._http.address))
        threading.Thread(target=self._read_replicas, args=(lifetime,), name="dirsync-scan", daemon=True).start()

    def stop(self, reason: str) -> None:
        """Drain: no new calls, open streams are ended, what was committed is on disk."""
        self._log.info(Event.SERVER_STOPPING, reason=reason)
        self._stopping.set()
        self.health.not_ready("stopping")
        until = monotonic() + self._settings.shutdown_grace
        stopped = self._grpc.stop(self._settings.shutdown_grace)
        self._sessions.end_all()
        stopped.wait(self._settings.shutdown_grace)
        self._hooks.stop(max(until - monotonic(), HOOK_SECONDS))
        self._tracer.close(HOOK_SECONDS)
        self._http.stop()
        if self._page is not None:
            self._page.close()
        if self._disks.is_alive():
            self._disks.join(DISK_SECONDS)  # it looks at what is closed next
        self._namespaces.close()
        if self._owners is not None:
            self._owners.stop()

    def _make_opener(self) -> Opener:
        settings = self._settings
        tenants = self._registry.current
        kept = [*(index_name(name) for name in tenants()), HOOKS]
        prepare_state_directory(settings.state_dir, _name("state_dir"), kept)
        return Opener(tenants, settings.state_dir, self._measured, self.metrics, self._hooks, self._owners)

    def _sum_over_replicas(self, gauge: str, value: Callable[[Replica], int]) -> None:
        self.metrics.gauge(gauge).set_function(lambda: sum(map(value, self._namespaces.replicas().values())))

    def _make_page(self) -> StatusPage:
        return StatusPage(
            self._namespaces.replicas, self._sessions, self.health, self.metrics, effective(self._settings)
        )

    def _make_grpc(self) -> grpc.Server:
        settings = self._settings
        rejected = rejections(self.metrics)
        calls = LIMITS.max_calls_per_caller
        two_way = MethodQuota(LIMITS.max_two_way_calls_per_caller, "max_two_way_calls_per_caller")
        callers = len(self._registry.current()) * CALLERS
        workers = callers * (calls + two_way.calls) + LIMITS.max_health_calls + LIMITS.reserve_workers
        server = grpc.server(
            worker_pool(workers, "dirsync-rpc"),
            interceptors=[
                CallLimitInterceptor(
                    caller_key, calls, rejected, (PUSH_CHANGES,), {WATCH_REPLICA: two_way, READ_CONTENT: two_way}
                ),
                GrpcMetricsInterceptor(self.metrics, SERVED),
            ],
            # No maximum_concurrent_rpcs: that would refuse a caller while others, who are over their share, wait for
            # their refusal. How many can wait is bounded by the connections and the streams of each.
            options=server_options(settings.max_sessions, settings.max_connection_age),
        )
        requires_credentials = settings.token_file is not None or settings.tenants_file is not None
        authority = Authority(self._registry, self._namespaces, requires_credentials=requires_credentials)
        sync = SyncServicer(authority, WriteApi(self._sessions, self.metrics, self._tracer))
        reader = ReplicaServicer(authority, self._sessions)
        wire = self.metrics.family("dirsync_wire_bytes_total")

        def on_wire(direction: str, size: int) -> None:
            wire[(direction,)].inc(size)

        server.add_generic_rpc_handlers(
            (
                generic_handler(SYNC_SERVICE, sync.handlers(), rejected, on_wire, authority.admit),
                generic_handler(REPLICA_SERVICE, reader.handlers(), rejected, on_wire, authority.admit),
            )
        )
        add_health_service(server, self.health, SYNC_SERVICE)
        if settings.reflection:
            may_ask = admission(authority.admit, rejected, REFLECTION_METHOD)
            add_reflection(server, (SYNC_SERVICE, REPLICA_SERVICE), may_ask)
        security = _security(settings) if settings.serves_tls else None
        if security is not None:
            expiry = self.metrics.gauge("dirsync_certificate_expiry_timestamp_seconds")
            expiry.set_function(security.certificate_ends_at)
        listen(server, settings.listen, _name("listen"), security.credentials if security else None)
        return server

    def _take_quotas(self, tenants: Tenants) -> None:
        for name, replica in self._namespaces.replicas().items():
            if name in tenants:
                replica.set_quota(tenants[name].policy.quota)

    def _read_replicas(self, lifetime: Lifetime) -> None:
        try:
            for replica in self._namespaces.replicas().values():
                self._opener.scan(replica)
        except Unavailable:
            return
        except (DirsyncError, OSError) as error:
            self.health.failed(str(error))
            lifetime.end(f"the replica cannot be read: {error}")
            return
        freeze_heap()
        self._look_at_disks()
        self._disks.start()

    def _watch_disks(self) -> None:
        while not self._stopping.wait(DISK_CHECK_SECONDS):
            self._registry.current()  # a change of the tenants file is in force, and told, also if nobody calls
            self._look_at_disks()
            if self._page is not None:
                self._page.look()
            for replica in self._namespaces.replicas().values():
                replica.uploads.sweep()
            self._namespaces.sweep()

    def _look_at_disks(self) -> None:
        replicas = [*self._namespaces.replicas().values()]
        for replica in islice(chain(replicas[self._measured_last :], replicas), min(len(replicas), MEASURED)):
            self._measured.measure(replica)
        self._measured_last = (self._measured_last + MEASURED) % max(len(replicas), 1)
        reason = self._not_ready_reason()
        if reason:
            self.health.not_ready(reason)
        else:
            self.health.ready()

    def _not_ready_reason(self) -> str:
        if self._settings.opens_on_demand:
            return ""  # one of many namespaces does not make the server unusable for the others
        for replica in self._namespaces.replicas().values():
            reason = replica.trouble()
            if reason:
                return reason
        return ""


def _hooks(settings: ServerSettings, tenants: Tenants, metrics: Metrics) -> Hooks:
    if settings.hook_command is None and settings.hook_webhook is None:
        return NO_HOOKS
    from dirsync.runtime.hooks.assembly import HookPlace, make_hooks  # noqa: PLC0415 - most servers have none

    return make_hooks(settings, [HookPlace(name, tenant.root) for name, tenant in tenants.items()], metrics)


def _security(settings: ServerSettings) -> ServerSecurity:
    assert settings.tls_cert_file is not None
    assert settings.tls_key_file is not None
    identity = Identity(
        NamedFile(settings.tls_cert_file, _name("tls_cert_file")),
        NamedFile(settings.tls_key_file, _name("tls_key_file")),
    )
    authority = settings.tls_client_ca_file
    return ServerSecurity(identity, NamedFile(authority, _name("tls_client_ca_file")) if authority else None)


def _name(field: str) -> str:
    return variable_name("server", field)
