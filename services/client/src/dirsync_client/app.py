"""The client that runs: settings in, a sidecar out. Settings go no further than here, the core and the commands."""

import os

from dirsync.clock import monotonic
from dirsync.endpoint.watch.hint import Hint, HintKind
from dirsync.runtime.config.settings import effective
from dirsync.runtime.files.directories import own_logs_within
from dirsync.runtime.http.health import HealthState
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import dropped_lines, get_logger
from dirsync.runtime.metrics.catalogue import client_metrics
from dirsync.runtime.process.cli import ExitCode
from dirsync.runtime.process.lifecycle import Lifetime, end_now, freeze_heap, within
from dirsync.tree.path import ROOT, escape
from dirsync_client.core import CLOSE_SECONDS, Core, name_of, open_source_root
from dirsync_client.lifecycle.activity import patience_for
from dirsync_client.lifecycle.engine_thread import EngineThread
from dirsync_client.lifecycle.readiness import not_ready_reason
from dirsync_client.lifecycle.supervisor import Supervisor
from dirsync_client.report.status import NOT_SYNCED_YET
from dirsync_client.settings import ClientSettings

TICK_SECONDS = 0.5
"""How often health and the watcher are looked at."""


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
        names = [target.name for target in settings.targets if target.name]
        metrics = PrometheusMetrics(agent_metrics(), client_metrics(names))
        self._core = Core(settings, metrics, once=False)
        self._health = HealthState(NOT_SYNCED_YET)
        core = self._core
        self._agent = AgentServer(settings, core.engine.mailbox, core.boards, self._health, core.metrics)
        self._page = None
        if settings.status_page:
            self._page = StatusPage(core.boards, metrics, effective(settings), settings.targets)
        routes = self._page.routes if self._page else {}
        self._http = HttpServer(settings.metrics_listen, name_of("metrics_listen"), metrics, self._health, routes)
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
            core.activities,
            patience_for(settings.rescan_interval),
            core.boards.by_name,
            core.metrics_of,
            self._resumed,
            {made.settings.name: made.activities for made in core.targets if made.settings.name},
        )
        core.metrics.gauge("dirsync_ready").set_function(lambda: self._health.now.ready)
        for name, board in core.boards.by_name.items():
            core.metrics_of(name).gauge("dirsync_lag_seconds").set_function(board.lag)
        expiry = core.metrics.gauge("dirsync_certificate_expiry_timestamp_seconds")
        first = core.targets[0].connection
        expiry.set_function(lambda: first.certificate_ends_at() or self._agent.certificate_ends_at())
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
        boards = self._core.boards
        boards.update(watch=self._watching.mode.value)
        stall = self._supervisor.check()
        for board in boards.by_name.values():
            board.update(not_ready_reason=not_ready_reason(board.status, board.now()))
        reason = boards.status.not_ready_reason
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
