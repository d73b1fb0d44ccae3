"""``dirsync-client plan``: what a sync would do, without doing it."""

import argparse
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from dirsync.clock import monotonic
from dirsync.fs.failure import PathFailure
from dirsync.fs.fingerprint import file_record
from dirsync.fs.hashing import Digester
from dirsync.fs.root import Identity
from dirsync.runtime.cli import ExitCode
from dirsync.tree.diff import Change, diff
from dirsync.tree.guards import Facts, GuardPolicy, History, Hold, is_foreign, judge, set_apart
from dirsync.tree.path import escape
from dirsync.tree.plan import Delete, MakeDirectory, Operation, Plan, PutFile, PutSymlink, needs_digest
from dirsync.tree.tree import Attributes, Tree
from dirsync.wire.agent import view_hold
from dirsync_client.connection import ServerConnection
from dirsync_client.looking import looking_at_source
from dirsync_client.remote import RemoteReplica
from dirsync_client.settings import ClientSettings
from dirsync_client.settings import Delete as DeleteSetting
from dirsync_client.source import Source
from dirsync_client.state import read_agreement


class PlannedOperation(NamedTuple):
    """One line of a plan."""

    operation: str
    path: str
    strategy: str
    bytes: int
    reason: str


def plan(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print what a sync would do."""
    with looking_at_source(settings) as source:
        connection = ServerConnection(settings)
        try:
            remote = RemoteReplica(connection, settings.namespace)
            status = remote.status()
            counted = status.options.attributes
            source.count(Attributes(counted.mode, counted.mtime and settings.preserve_mtime))
            replica = remote.tree(source.tree.attributes, source.ignore)
            agreement = read_agreement(settings.state_dir, status.replica_id)
        finally:
            connection.close()
        planned = Plan(_changes(source, replica))
        foreign = not agreement.adopted and is_foreign(source.tree, replica)
        apart: list[Operation] = []
        immediate = planned.immediate()
        steps = list(set_apart(immediate, apart)) if foreign else list(immediate)
        removing = [] if settings.delete is DeleteSetting.NEVER else [*apart, *planned.deletes]
        intact = agreement.identity in (None, Identity(*source.root.identity))
        facts = Facts(len(source.tree), intact, source.mounts_lost, foreign)
        policy = GuardPolicy(settings.guard_max_delete_percent, settings.guard_max_delete_count)
        now = monotonic()
        verdict = judge(removing, facts, History(now, len(replica)), now=now, policy=policy)
        lines = [_describe(step) for step in (*steps, *verdict.released)]
        _print(lines, verdict.hold, source, as_json=arguments.json)
    return ExitCode.DONE


def _changes(source: Source, replica: Tree) -> Iterator[Change]:
    """The differences; a file that may be equal is read, and nothing is kept of it."""
    digester = Digester(source.root)
    for change in list(diff(replica, source.tree, source.problems)):
        if not needs_digest(change):
            yield change
            continue
        try:
            digest, status, looked_at_ns = digester.digest(change.path)
        except PathFailure as failure:
            source.fail(failure.problem())
            continue
        source.tree.put(change.path, file_record(status, looked_at_ns, digest))
        new, normalize = source.tree.get(change.path), source.tree.attributes.normalize
        if new is not None and change.old is not None and normalize(new) != normalize(change.old):
            yield change._replace(new=new)


def _describe(step: Operation) -> PlannedOperation:
    path = escape(step.path)
    match step:
        case Delete():
            return PlannedOperation("delete", path, "", 0, "the source does not have it")
        case MakeDirectory():
            return PlannedOperation("make_directory", path, "", 0, _why(step))
        case PutSymlink():
            return PlannedOperation("put_symlink", path, "", 0, _why(step))
        case PutFile(entry=entry):
            return PlannedOperation("put_file", path, "whole", entry.size, _why(step))
        case _:
            return PlannedOperation("set_metadata", path, "metadata", 0, "only mode or mtime differ")


def _why(step: Operation) -> str:
    return "the replica does not have it" if step.expected is None else "the replica has something else"


def _print(lines: list[PlannedOperation], hold: Hold | None, source: Source, *, as_json: bool) -> None:
    problems = list(source.problems.values())
    if as_json:
        held = view_hold(hold) if hold else None
        data: dict[str, Any] = {
            "operations": [line._asdict() for line in lines],
            "bytes": sum(line.bytes for line in lines),
            "holds": [held._asdict() | {"path_texts": [escape(step.path) for step in hold.operations]}]
            if held and hold
            else [],
            "problems": [{"path": escape(p.path), "kind": p.kind.value, "message": p.message} for p in problems],
        }
        print(json.dumps(data))
        return
    for line in lines:
        size = f"{line.strategy}, {line.bytes} bytes" if line.strategy else ""
        print(f"{line.operation:<15}{line.path}" + (f"  ({size})" if size else ""))
    if hold is not None:
        print(f"held {hold.id} ({hold.guard.value}): {hold.message}")
        for step in hold.operations:
            print(f"  held: {_describe(step).operation:<15}{escape(step.path)}")
    for problem in problems:
        print(f"problem: {problem.message}")
    held_count = len(hold.operations) if hold else 0
    total = sum(line.bytes for line in lines)
    print(f"{len(lines)} operations, {total} bytes to send, {held_count} held" if lines or hold else "nothing to do")
