"""The client's assembly: settings in, a running client out. Settings go no further than here and the commands."""

import os
from collections.abc import Callable

from dirsync.clock import monotonic
from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.endpoint.watch.schedule import Schedule
from dirsync.errors import DirsyncError, UsageError
from dirsync.fs.failure import PathFailure
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.rules import own_logs
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.config.settings import effective
from dirsync.runtime.files.directories import lies_within, own_logs_within, require_readable
from dirsync.runtime.hooks.hooks import NO_HOOKS, Hooks
from dirsync.runtime.http.health import HealthState
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import dropped_lines, get_logger, set_context
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.process.cli import ExitCode
from dirsync.runtime.process.lifecycle import Lifetime, end_now, freeze_heap, within
from dirsync.runtime.trace.setup import make_tracer
from dirsync.tree.guards.hold import GuardPolicy
from dirsync.tree.options import Attributes
from dirsync.tree.path import ROOT, escape
from dirsync_client.engine import Engine
from dirsync_client.lifecycle.activity import Activities, patience_for
from dirsync_client.lifecycle.engine_thread import EngineThread
from dirsync_client.lifecycle.readiness import not_ready_reason
from dirsync_client.lifecycle.supervisor import Supervisor
from dirsync_client.mailbox import Mailbox
from dirsync_client.reconcile.context import Options
from dirsync_client.report.reporter import Reporter
from dirsync_client.report.status import NOT_SYNCED_YET, StatusBoard
from dirsync_client.report.transfer_metrics import TransferMetrics
from dirsync_client.session.channel import ServerConnection
from dirsync_client.session.connector import Connector
from dirsync_client.session.link import ClientIdentity
from dirsync_client.settings import ClientSettings, Delete, Symlinks
from dirsync_client.state import StateDirectory
from dirsync_client.target import Target
from dirsync_client.transfer.bandwidth import TokenBucket
from dirsync_client.transfer.delta.signature_store import RememberedSignatures
from dirsync_client.transfer.executor import TransferOptions, TransferParts
from dirsync_client.transfer.uploads.memory import UploadMemory

TICK_SECONDS = 0.5
"""How often health and the watcher are looked at."""
CLOSE_SECONDS = 0.5
"""How long the watcher, or the index, may take to end where the grace period is over."""


def source_options(settings: ClientSettings) -> SourceOptions:
    """What of the source is mirrored."""
    return SourceOptions(
        ignore_file=os.fsencode(settings.ignore_file),
        ignore_rules=tuple(os.fsencode(rule) for rule in settings.ignore),
        symlinks=settings.symlinks is Symlinks.PRESERVE,
        attributes=Attributes(mode=True, mtime=settings.preserve_mtime),
        own_logs=own_logs(),
    )


def require_state_outside(settings: ClientSettings) -> None:
    """Check that what we remember is not mirrored, whatever links lead to it.

    Raises:
        UsageError: STATE_DIR lies in SOURCE.
    """
    if lies_within(settings.state_dir, settings.source):
        raise UsageError(settings.state_in_source(_name("state_dir"), _name("source")))


def open_source_root(settings: ClientSettings) -> Root:
    """The source's root.

    Raises:
        UsageError: it cannot be used.
    """
    require_readable(settings.source, _name("source"))
    try:
        return Root.open(settings.source)
    except UsageError as error:
        msg = f"{_name('source')}: {error}"
        raise UsageError(msg) from None


def open_source(
    settings: ClientSettings, index: Index, looked: Callable[[DirectoryScan], None] = lambda _step: None
) -> Source:
    """The source with its ignore rules; ``looked`` is told what each listing of a directory found.

    Raises:
        UsageError: it, or its ignore file, cannot be read.
    """
    require_state_outside(settings)
    root = open_source_root(settings)
    try:
        return Source(root, index, source_options(settings), looked)
    except PathFailure as failure:
        root.close()
        # What the rules leave out would be mirrored without them.
        msg = f"{_name('ignore_file')}: {failure}; see to {escape(root.path)}: nothing is mirrored without its rules"
        raise UsageError(msg) from None


def reconcile_options(settings: ClientSettings, *, at_once: bool) -> Options:
    """How the reconciler goes about it; ``at_once``: for a single sync."""
    return Options(
        settings.delete is Delete.PROPAGATE,
        at_once,
        settings.delete_settle,
        GuardPolicy(settings.guard_max_delete_percent, settings.guard_max_delete_count),
    )


class Core:
    """Source, state and engine: what `once` and `run` have in common."""

    def __init__(self, settings: ClientSettings, metrics: Metrics, *, once: bool) -> None:
        """Open everything; ``once``: for a single sync.

        Raises:
            UsageError: a directory or file cannot be used.
            DirsyncError: another client uses the state directory.
        """
        require_state_outside(settings)
        self.settings = settings
        self.metrics = metrics
        self.state = StateDirectory(settings.state_dir)
        if not self.state.try_lock():
            msg = (
                f"another client is running with STATE_DIR {settings.state_dir}; ask it with `dirsync-client status`, "
            )
            msg += "or have it sync with the method SyncNow of its agent"
            raise DirsyncError(msg, reason="STATE_DIR_BUSY")
        set_context(namespace=settings.namespace, session=None)
        self.source = open_source(
            settings,
            self.state.open_index(),
            lambda step: metrics.count_lookup("index", hits=step.proved, misses=step.unknown, stale=step.stale),
        )
        self.board = StatusBoard()
        self.activities = Activities()
        self.connection = ServerConnection(settings)
        transfer = TransferMetrics(metrics)
        self.hooks = _hooks(settings, metrics)
        self.tracer = make_tracer(settings.service)
        reporter = Reporter(self.source, self.board, transfer, metrics, hooks=self.hooks.feed(settings.namespace))
        client_id = settings.client_id or self.state.client_id()
        mailbox = Mailbox()
        target = Target(
            self.source,
            self.state,
            Connector(
                self.connection,
                ClientIdentity(settings.namespace, client_id),
                transfer.count_wire,
                mailbox.complete,
                self.activities.add("calling the server"),
            ),
            TransferParts(
                RememberedSignatures(self.state.signatures, metrics),
                TokenBucket(settings.bandwidth_limit),
                transfer.count_wire,
                UploadMemory(),
                TransferOptions(settings.compression.value, settings.block_size),
                self.activities,
                self.tracer,
            ),
            reporter,
            mailbox,
            reconcile_options(settings, at_once=once),
        )
        schedule = Schedule(settings.settle, settings.rescan_interval)
        self.engine = Engine(self.source, schedule, mailbox, target, reporter, self.activities.engine)

    def close(self) -> None:
        """Let go of everything; the index is written."""
        self.tracer.close(CLOSE_SECONDS)
        self.connection.close()
        self.source.close()
        self.state.close()

    def abandon(self) -> None:
        """Write what is remembered, and leave the source alone: it does not answer, and the process is to end."""
        within(CLOSE_SECONDS, self.source.flush)


class Client:
    """The sidecar: engine, watcher, agent and HTTP, from :meth:`start` to :meth:`stop`."""

    def __init__(self, settings: ClientSettings) -> None:
        """Open the source and bind the ports; raises as :class:`Core`."""
        # Imported late: `once` needs none of it.
        from dirsync.endpoint.watch.watcher import WatchMode  # noqa: PLC0415
        from dirsync.runtime.http.server import HttpServer  # noqa: PLC0415
        from dirsync.runtime.metrics.registry import PrometheusMetrics  # noqa: PLC0415
        from dirsync_client.agent.server import AgentServer, agent_metrics  # noqa: PLC0415
        from dirsync_client.lifecycle.watching import Watching  # noqa: PLC0415
        from dirsync_client.report.status_page import StatusPage  # noqa: PLC0415

        self._settings = settings
        self._log = get_logger()
        metrics = PrometheusMetrics(agent_metrics(), CLIENT_CATALOGUE)
        self._core = Core(settings, metrics, once=False)
        self._health = HealthState(NOT_SYNCED_YET)
        core = self._core
        self._agent = AgentServer(settings, core.engine.mailbox, core.board, self._health, core.metrics)
        self._page = StatusPage(core.board, metrics, effective(settings)) if settings.status_page else None
        routes = self._page.routes if self._page else {}
        self._http = HttpServer(settings.metrics_listen, _name("metrics_listen"), metrics, self._health, routes)
        self._watching = Watching(
            core.source,
            lambda: open_source_root(settings),
            core.engine.mailbox,
            WatchMode(settings.watch.value),
            settings.poll_interval,
            metrics,
            core.activities.add("watching the source"),
        )
        self._supervisor = Supervisor(
            core.activities, patience_for(settings.rescan_interval), core.board, core.metrics, self._resumed
        )
        core.metrics.gauge("dirsync_ready").set_function(lambda: self._health.now.ready)
        core.metrics.gauge("dirsync_lag_seconds").set_function(core.board.lag)
        expiry = core.metrics.gauge("dirsync_certificate_expiry_timestamp_seconds")
        expiry.set_function(lambda: core.connection.certificate_ends_at() or self._agent.certificate_ends_at())
        core.metrics.gauge("dirsync_log_dropped_lines").set_function(dropped_lines)

    def run(self) -> None:
        """Sync until a signal comes or the engine fails.

        Raises:
            UsageError: the server says that this source and its replica cannot be.
        """
        lifetime = Lifetime()
        with lifetime.signals():
            self._start(lifetime)
            reason = None
            while reason is None:
                reason = lifetime.wait(TICK_SECONDS)
                self._tick()
            self._stop(reason)
        if self._engine.error is not None:
            raise self._engine.error

    def _start(self, lifetime: Lifetime) -> None:
        settings = self._settings
        self._log.info(Event.CONFIG_EFFECTIVE, settings=effective(settings))
        self._agent.start()
        self._http.start()
        self._log.info(
            Event.CLIENT_STARTED,
            source=os.fsencode(settings.source),
            server=str(settings.server),
            listen=str(settings.listen),
            metrics_listen=str(self._http.address),
        )
        for log in own_logs_within(settings.source):
            problem = f"{escape(os.fsencode(log))} is our own log and lies in the source: it is not mirrored"
            self._log.warning(Event.LOG_UNTRACKED, path=os.fsencode(log), problem=problem)
        freeze_heap()
        # Watched before the first scan, so that it misses nothing. Not in this thread: it would wait for the source.
        self._engine = EngineThread(self._core.engine, lifetime, before=self._watching.start)
        self._engine.start()

    def _stop(self, reason: str) -> None:
        """End within the grace period, whatever the source and the server do."""
        until = monotonic() + self._settings.shutdown_grace
        error = self._engine.error
        if error is not None:
            self._health.failed(f"the engine failed: {error}")
        self._log.info(Event.CLIENT_STOPPING, reason=reason if error is None else str(error) or reason)
        self._health.not_ready("stopping")
        # Until the engine has ended the watcher tells it what the app writes while it ends.
        ended = self._engine.end(self._settings.shutdown_grace, sends=True)
        ended &= within(max(until - monotonic(), CLOSE_SECONDS), self._watching.stop)
        self._core.hooks.stop(max(until - monotonic(), CLOSE_SECONDS))
        self._agent.stop()
        self._http.stop()
        if self._page is not None:
            self._page.close()
        if ended:
            self._core.close()
            return
        self._log.warning(
            Event.CLIENT_STOPPED, looked=False, problem="the source does not answer, so what was left is not known"
        )
        self._core.abandon()
        end_now(ExitCode.DONE)

    def _tick(self) -> None:
        board = self._core.board
        board.update(watch=self._watching.mode.value)
        stall = self._supervisor.check()
        reason = not_ready_reason(board.status, board.now())
        board.update(not_ready_reason=reason)
        if stall is not None and stall.fatal:
            self._health.failed(stall.reason)
        elif reason:
            self._health.not_ready(reason)
        else:
            self._health.ready()
        self._watching.keep(self._core.engine.scan_cost)
        if self._page is not None:
            self._page.look()

    def _resumed(self) -> None:
        # What happened while nothing was looked at may have been told to nobody.
        self._core.engine.mailbox.hint(Hint(ROOT, HintKind.LOST))


def _hooks(settings: ClientSettings, metrics: Metrics) -> Hooks:
    if settings.hook_command is None and settings.hook_webhook is None:
        return NO_HOOKS
    from dirsync.runtime.hooks.assembly import make_hooks  # noqa: PLC0415 - most clients have none

    return make_hooks(settings, [(settings.namespace, settings.source)], metrics)


def _name(field: str) -> str:
    return variable_name("client", field)
