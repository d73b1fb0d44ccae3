"""Makes the targets of a client from its settings: each has a session, a reconciler, a status, and its counts."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from dirsync.endpoint.source.source import Source
from dirsync.fs.read.known_hashes import KnownHashes
from dirsync.runtime.hooks.hooks import Hooks
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.runtime.trace.tracer import Tracer
from dirsync.wire.session import SessionMode
from dirsync_client.lifecycle.activity import Activities
from dirsync_client.mailbox import Mailbox
from dirsync_client.reconcile.context import Options
from dirsync_client.report.reporter import Reporter
from dirsync_client.report.status import StatusBoard
from dirsync_client.report.target_log import TargetLog
from dirsync_client.report.transfer_metrics import TransferMetrics
from dirsync_client.session.channel import ServerConnection
from dirsync_client.session.connector import Connector
from dirsync_client.session.link import ClientIdentity
from dirsync_client.settings import ClientSettings, Mode
from dirsync_client.state import StateDirectory, TargetState
from dirsync_client.target import Target
from dirsync_client.targets.place import TargetPlace
from dirsync_client.targets.source_view import SourceSide, views
from dirsync_client.targets.target_engine import TargetEngine
from dirsync_client.transfer.bandwidth import TokenBucket
from dirsync_client.transfer.delta.signature_store import RememberedSignatures
from dirsync_client.transfer.opening.parts import TransferOptions, TransferParts
from dirsync_client.transfer.uploads.memory import UploadMemory


class Shared(NamedTuple):
    """What all targets of a client have in common."""

    settings: ClientSettings
    source: Source
    state: StateDirectory
    mailbox: Mailbox
    metrics: Metrics
    activities: Activities
    tracer: Tracer
    hooks: Hooks
    options: Options
    client_id: str
    idle: Callable[[int], bool]
    """Whether nothing has come in that concerns the target of this place, and no scan of the source is under way."""


class Made(NamedTuple):
    """One target, and what others look at of it."""

    settings: TargetPlace
    engine: TargetEngine
    board: StatusBoard
    connection: ServerConnection
    activities: Activities
    """The threads of its sessions; those of the whole client where it has no name."""
    state: StateDirectory


def make_targets(shared: Shared) -> list[Made]:
    """Make all targets of the settings, in their order.

    Raises:
        UsageError: a file or directory cannot be used.
    """
    targets = shared.settings.targets
    if not shared.settings.server.are_named:
        sides = [SourceSide(shared.source, shared.source)]
    else:
        sides = [SourceSide(shared.source, view) for view in views(shared.source, [each.name for each in targets])]
    signatures = RememberedSignatures(shared.state.signatures, shared.metrics)
    bandwidth = TokenBucket(shared.settings.bandwidth_limit)
    alone = len(targets) == 1
    return [
        _make(shared, place, target, sides[place], (signatures, bandwidth), alone=alone)
        for place, target in enumerate(targets)
    ]


def _make(
    shared: Shared,
    place: int,
    target: TargetPlace,
    side: SourceSide,
    common: tuple[RememberedSignatures, TokenBucket],
    *,
    alone: bool,
) -> Made:
    settings, name, namespace = shared.settings, target.name, target.namespace
    metrics = shared.metrics.of_target(name) if name else shared.metrics
    activities = shared.activities.of_target() if name else shared.activities
    state = TargetState(shared.state.path, name) if name else shared.state
    log = TargetLog(namespace, name)
    log.about(session=None)
    transfer = TransferMetrics(metrics, log=log)
    board = StatusBoard()
    connection = ServerConnection(settings, target)
    hooks = shared.hooks.feed(name or namespace)
    two_way = settings.mode is Mode.TWO_WAY
    reporter = Reporter(shared.source, board, transfer, metrics, hooks, two_way=two_way)
    post = partial(shared.mailbox.complete, target=place)
    identity = ClientIdentity(namespace, shared.client_id, SessionMode(settings.mode.value))
    connector = Connector(connection, identity, transfer.count_wire, post, activities.add("calling the server"))
    signatures, bandwidth = common
    parts = TransferParts(
        signatures,
        bandwidth,
        transfer.count_wire,
        UploadMemory(),
        TransferOptions(settings.compression.value, settings.block_size),
        activities,
        shared.tracer,
        None if shared.options.at_once else KnownHashes(),
    )
    sender = Target(side, state, connector, parts, reporter, post, shared.options)
    engine = TargetEngine(name, sender, reporter, partial(shared.idle, place), fails_alone=not alone)
    return Made(target, engine, board, connection, activities, state)
