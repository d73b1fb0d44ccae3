"""``dirsync-client verify``: whether both trees are equal, and where they differ."""

import argparse
from collections.abc import Callable

from dirsync.endpoint.source.source import Source
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.diff import Change, diff
from dirsync.tree.entry import UNLISTED, is_known
from dirsync.tree.options import Attributes, TreeOptions
from dirsync.tree.path import escape
from dirsync_client.commands.each_target import Data, chosen, for_each
from dirsync_client.commands.outline import SHOWN, show
from dirsync_client.commands.source_readonly import open_source_readonly, read_all
from dirsync_client.session.channel import ServerConnection
from dirsync_client.session.viewer import RemoteReplica
from dirsync_client.settings import ClientSettings
from dirsync_client.targets.place import TargetPlace


def verify(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Compare both trees and print every path that differs."""
    targets = chosen(settings, arguments)
    with open_source_readonly(settings) as source:
        read_all(source, again=arguments.deep)
        return for_each(targets, arguments, lambda _place, target: _verify(settings, arguments, source, target))


def _verify(
    settings: ClientSettings, arguments: argparse.Namespace, source: Source, target: TargetPlace
) -> tuple[ExitCode, Data, Callable[[], None]]:
    connection = ServerConnection(settings, target)
    try:
        remote = RemoteReplica(connection, target.namespace)
        counted = remote.status().options.attributes
        source.count(Attributes(counted.mode, counted.mtime and settings.preserve_mtime))
        options = TreeOptions(source.tree.attributes, source.ignore.lines)
        digest = source.tree.digest()
        replica, summary = remote.verify(options, digest, deep=arguments.deep)
    finally:
        connection.close()
    equal = summary.root_digest == digest and not source.problems
    changes = [] if summary.root_digest == digest else list(diff(replica, source.tree))
    problems = list(source.problems.values())
    data: Data = {
        "equal": equal,
        "source_digest": digest.hex(),
        "replica_digest": summary.root_digest.hex(),
        "entries": summary.entries,
        "bytes_read_by_server": summary.bytes_read,
        "differences": [{"path": escape(change.path), "difference": _difference(change)} for change in changes],
        "problems": [{"path": escape(p.path), "kind": p.kind.value, "message": p.message} for p in problems],
    }

    def tell() -> None:
        lines = ((_difference(change), change.path) for change in changes)
        told = [(difference, path, f"{difference:<24}{escape(path)}") for difference, path in lines]
        show(told, everything=arguments.all)
        for problem in problems[: None if arguments.all else SHOWN]:
            print(f"problem: {problem.message}")
        if len(problems) > SHOWN and not arguments.all:
            print(f"and {len(problems) - SHOWN:,} more problems; --all lists them")
        verdict = "equal" if equal else f"different: {len(changes)} paths"
        print(f"{verdict}, {summary.entries} entries, root digest {summary.root_digest.hex()}")

    return ExitCode.DONE if equal else ExitCode.DIFFERENT, data, tell


def _difference(change: Change) -> str:
    old, new = change.old, change.new
    if old is None:
        return "only in the source"
    if new is None:
        return "only in the replica"
    if old.kind is not new.kind:
        return f"{new.kind.name.lower()}, not {old.kind.name.lower()}"
    if old.digest == UNLISTED or not (new.is_directory or is_known(old.digest)):
        return "unreadable there"
    if not new.is_directory and old.digest != new.digest:
        return "content differs"
    return "metadata differs"
