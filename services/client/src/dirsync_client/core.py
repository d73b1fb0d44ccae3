"""What `once` and `run` have in common: the source, the state and the engine, made from settings."""

import os
from collections.abc import Callable

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.endpoint.watch.schedule import Schedule
from dirsync.errors import DirsyncError, UsageError
from dirsync.fs.failure import PathFailure
from dirsync.fs.index.index import Index
from dirsync.fs.read.shared import SharedReads
from dirsync.fs.root import Root
from dirsync.fs.scan.directory_scan import DirectoryScan
from dirsync.fs.scan.rules import own_logs
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.directories import lies_within, require_readable
from dirsync.runtime.hooks.hooks import NO_HOOKS, Hooks
from dirsync.runtime.log.logging import set_context
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.process.lifecycle import within
from dirsync.runtime.trace.setup import make_tracer
from dirsync.tree.guards.hold import GuardPolicy
from dirsync.tree.merge.policy import Policy
from dirsync.tree.options import Attributes
from dirsync.tree.path import escape
from dirsync_client.engine import Engine
from dirsync_client.lifecycle.activity import Activities
from dirsync_client.mailbox import Mailbox
from dirsync_client.reconcile.context import Options
from dirsync_client.report.source_reporter import SourceReporter
from dirsync_client.settings import ClientSettings, Delete, Mode, Symlinks
from dirsync_client.state import StateDirectory
from dirsync_client.targets.assembly import Shared, make_targets
from dirsync_client.targets.boards import Boards

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
        raise UsageError(settings.state_in_source(name_of("state_dir"), name_of("source")))


def open_source_root(settings: ClientSettings) -> Root:
    """The source's root.

    Raises:
        UsageError: it cannot be used.
    """
    require_readable(settings.source, name_of("source"))
    try:
        return Root.open(settings.source)
    except UsageError as error:
        msg = f"{name_of('source')}: {error}"
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
        msg = f"{name_of('ignore_file')}: {failure}; see to {escape(root.path)}: nothing is mirrored without its rules"
        raise UsageError(msg) from None


def reconcile_options(settings: ClientSettings, client_id: str, *, at_once: bool) -> Options:
    """How the reconciler goes about it; ``at_once``: for a single sync. Conflict names have the ``client_id``."""
    return Options(
        settings.delete is Delete.PROPAGATE,
        at_once,
        settings.delete_settle,
        GuardPolicy(settings.guard_max_delete_percent, settings.guard_max_delete_count),
        two_way=Policy(settings.conflicts, client_id) if settings.mode is Mode.TWO_WAY else None,
    )


def require_writable(root: Root) -> None:
    """Check that what comes in can be staged and published, and that no other client does that here.

    Raises:
        UsageError: it cannot be.
    """
    from dirsync.fs.write.staging import Staging  # noqa: PLC0415 - a mirror need not load it

    try:
        root.lock()
        Staging.open(root).close()
    except UsageError as error:
        msg = f"{name_of('source')}: {error}; {name_of('mode')}=two-way writes to it"
        raise UsageError(msg) from None


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
        # What is not about one server is about the replica of all, where that has one name.
        namespaces = {target.namespace for target in settings.targets}
        set_context(namespace=namespaces.pop() if len(namespaces) == 1 else None, session=None)
        self.source = open_source(
            settings,
            self.state.open_index(),
            lambda step: metrics.count_lookup("index", hits=step.proved, misses=step.unknown, stale=step.stale),
        )
        if settings.mode is Mode.TWO_WAY:
            require_writable(self.source.root)
        if len(settings.targets) > 1:
            self.source.root.reads = SharedReads(len(settings.targets))
        self.activities = Activities()
        self.hooks = _hooks(settings, metrics)
        self.tracer = make_tracer(settings.service)
        client_id = settings.client_id or self.state.client_id()
        mailbox = Mailbox()
        shared = Shared(
            settings,
            self.source,
            self.state,
            mailbox,
            metrics,
            self.activities,
            self.tracer,
            self.hooks,
            reconcile_options(settings, client_id, at_once=once),
            client_id,
            self._is_idle,
        )
        self.targets = make_targets(shared)
        self.boards = Boards({made.settings.name: made.board for made in self.targets})
        schedule = Schedule(settings.settle, settings.rescan_interval)
        self.engine = Engine(
            self.source,
            schedule,
            mailbox,
            [made.engine for made in self.targets],
            SourceReporter(self.source, metrics),
            self.activities.engine,
        )

    def _is_idle(self, place: int) -> bool:
        return self.engine.is_idle(place)

    def metrics_of(self, target: str) -> Metrics:
        """What is measured of the target of this name; all there is where it has none."""
        return self.metrics.of_target(target) if target else self.metrics

    def approve(self, hold_id: str) -> None:
        """Note an approval for this run, at all targets.

        Raises:
            UsageError: it is no hold's id, or cannot be kept.
        """
        for made in self.targets:
            made.state.approve(hold_id)

    def close(self) -> None:
        """Let go of everything; the index is written."""
        self.tracer.close(CLOSE_SECONDS)
        for made in self.targets:
            made.connection.close()
            made.state.close()
        self.source.close()
        self.state.close()

    def abandon(self) -> None:
        """Write what is remembered, and leave the source alone: it does not answer, and the process is to end."""
        within(CLOSE_SECONDS, self.source.flush)


def _hooks(settings: ClientSettings, metrics: Metrics) -> Hooks:
    if settings.hook_command is None and settings.hook_webhook is None:
        return NO_HOOKS
    from dirsync.runtime.hooks.assembly import HookPlace, make_hooks  # noqa: PLC0415 - most clients have none

    places = [HookPlace(target.namespace, settings.source, target.name) for target in settings.targets]
    return make_hooks(settings, places, metrics)


def name_of(field: str) -> str:
    """What a person calls a setting."""
    return variable_name("client", field)
