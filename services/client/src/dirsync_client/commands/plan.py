"""``dirsync-client plan``: what a sync would do, without doing it."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from dirsync.fs.index.index import Index
from dirsync.runtime.config.settings import LogLevel
from dirsync.runtime.log.logging import configure
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.guards.hold import Hold
from dirsync.tree.merge.policy import Policy
from dirsync.tree.options import Attributes
from dirsync.tree.path import escape, unescape
from dirsync.tree.plan import OPERATION_NAMES, Delete, Move, Operation
from dirsync.tree.problem import Problem
from dirsync.wire.agent.hold import view_hold
from dirsync_client.commands.dry_run import DryRun, Step
from dirsync_client.commands.each_target import Data, chosen, for_each
from dirsync_client.commands.outline import SHOWN, show
from dirsync_client.commands.plan_two_way import plan_two_way
from dirsync_client.commands.source_readonly import scanned
from dirsync_client.core import open_source, reconcile_options
from dirsync_client.session.channel import ServerConnection
from dirsync_client.session.viewer import RemoteReplica
from dirsync_client.settings import ClientSettings, Mode
from dirsync_client.state import INDEX, StateView
from dirsync_client.targets.place import TargetPlace
from dirsync_client.targets.source_view import SourceSide, SourceView

FOUND_OUT_WHEN_SENT = "found_out_when_sent"
"""The reason of a delta whose size only the server could tell: the blocks of its basis are not remembered here."""


class PlannedOperation(NamedTuple):
    """One line of a plan."""

    operation: str
    path: str
    source: str
    """Where a move takes it from, or what it changes places with."""
    strategy: str
    reason: str
    bytes: int
    """Bytes of content to send, before compression; the most, where that is found out when it is sent."""


def plan(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print what a sync would do."""
    # Nothing is done, so nothing but errors is logged.
    configure("client", LogLevel.ERROR)
    targets = chosen(settings, arguments)
    index = Index.open(settings.state_dir, INDEX, read_only=True)
    source = open_source(settings, index)
    # Before the scan: what it recognises is told to each.
    sides = [SourceSide(source, SourceView(source, target.name) if target.name else source) for target in targets]
    with scanned(source):
        return for_each(targets, arguments, lambda place, target: _plan(settings, arguments, sides[place], target))


def _plan(
    settings: ClientSettings, arguments: argparse.Namespace, side: SourceSide, target: TargetPlace
) -> tuple[ExitCode, Data, Callable[[], None]]:
    source = side.source
    connection = ServerConnection(settings, target)
    try:
        remote = RemoteReplica(connection, target.namespace)
        status = remote.status()
        counted = status.options.attributes
        source.count(Attributes(counted.mode, counted.mtime and settings.preserve_mtime))
        replica = remote.tree(source.tree.attributes, source.ignore)
    finally:
        connection.close()
    state = StateView(settings.state_dir, target.name)
    if settings.mode is Mode.TWO_WAY:
        policy = Policy(settings.conflicts, settings.client_id or state.client_id())
        two_way = plan_two_way(source, replica, state.path, status.replica_id, policy)
        return ExitCode.DONE, two_way.as_data(), partial(two_way.print, everything=arguments.all)
    options = reconcile_options(settings, "", at_once=True)
    dry_run = DryRun(side, replica, state, status.replica_id, options, settings.block_size)
    try:
        lines = [_describe(step) for step in dry_run.steps()]
    finally:
        dry_run.close()
    hold, problems = dry_run.hold, dry_run.problems
    told = partial(_print, lines, hold, problems, everything=arguments.all)
    return ExitCode.DONE, _as_data(lines, hold, problems), told


def _describe(step: Step) -> PlannedOperation:
    operation, choice = step.operation, step.choice
    source = escape(operation.source) if isinstance(operation, Move) else ""
    strategy, reason = ("", _why(operation)) if choice is None else (choice.strategy.value, choice.reason.value)
    if not step.exact:
        reason = FOUND_OUT_WHEN_SENT
    return PlannedOperation(_name(operation), escape(operation.path), source, strategy, reason, step.literal)


def _name(operation: Operation) -> str:
    exchange = isinstance(operation, Move) and operation.exchange
    return "exchange" if exchange else OPERATION_NAMES[type(operation)]


def _why(operation: Operation) -> str:
    """The reason of an operation without content: none of the replica's, another's, or what left the source."""
    if isinstance(operation, Delete):
        return "gone"
    return "new" if operation.expected is None else "changed"


def _as_data(lines: list[PlannedOperation], hold: Hold | None, problems: list[Problem]) -> Data:
    held = view_hold(hold) if hold else None
    return {
        "operations": [line._asdict() for line in lines],
        "bytes": sum(line.bytes for line in lines),
        "holds": [held._asdict() | {"path_texts": [escape(step.path) for step in hold.operations]}]
        if held and hold
        else [],
        "problems": [{"path": escape(p.path), "kind": p.kind.value, "message": p.message} for p in problems],
    }


def _print(lines: list[PlannedOperation], hold: Hold | None, problems: list[Problem], *, everything: bool) -> None:
    told = [(line.operation, unescape(line.path), f"{line.operation:<15}{line.path}{_remark(line)}") for line in lines]
    show(told, everything=everything)
    if hold is not None:
        print(f"held {hold.id} ({hold.guard.value}): {hold.message}")
        held = ((_name(step), step.path, f"  held: {_name(step):<15}{escape(step.path)}") for step in hold.operations)
        show(list(held), everything=everything)
    for problem in problems[: None if everything else SHOWN]:
        print(f"problem: {problem.message}")
    if len(problems) > SHOWN and not everything:
        print(f"and {len(problems) - SHOWN:,} more problems; --all lists them")
    held_count = len(hold.operations) if hold else 0
    total = sum(line.bytes for line in lines)
    print(f"{len(lines)} operations, {total} bytes to send, {held_count} held" if lines or hold else "nothing to do")


def _remark(line: PlannedOperation) -> str:
    """What a person wants to know beside the path."""
    if not line.strategy:
        return ""
    if line.source:
        return f"  ({line.strategy}, {'with' if line.operation == 'exchange' else 'from'} {line.source})"
    if line.reason == FOUND_OUT_WHEN_SENT:
        return f"  ({line.strategy}, at most {line.bytes} bytes: how many is found out when it is sent)"
    return f"  ({line.strategy}, {line.bytes} bytes: {line.reason.replace('_', ' ')})"
