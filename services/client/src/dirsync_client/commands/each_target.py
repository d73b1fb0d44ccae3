"""What a command does for each target of a client: its choice by name, and what is printed for which."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from dirsync.errors import DirsyncError, UsageError
from dirsync.runtime.process.cli import ExitCode
from dirsync_client.settings import ClientSettings
from dirsync_client.targets.place import TargetPlace

_WORST_FIRST = (
    ExitCode.USAGE,
    ExitCode.FAILED,
    ExitCode.HELD,
    ExitCode.PROBLEMS,
    ExitCode.DIFFERENT,
    ExitCode.DONE,
)

Data = dict[str, Any]


def chosen(settings: ClientSettings, arguments: argparse.Namespace) -> Sequence[TargetPlace]:
    """The targets that ``--target`` names; all without it.

    Raises:
        UsageError: SERVER gives none this name.
    """
    name = arguments.target
    found = [target for target in settings.targets if name is None or (name and target.name == name)]
    if not found:
        names = ", ".join(target.name for target in settings.targets if target.name)
        there = f"SERVER names {names}" if names else "SERVER has one target, without a name"
        msg = f"--target={name}: {there}"
        raise UsageError(msg)
    return found


def worst(codes: Sequence[ExitCode]) -> ExitCode:
    """The exit code that says most."""
    return min(codes, key=_WORST_FIRST.index)


def for_each(
    targets: Sequence[TargetPlace],
    arguments: argparse.Namespace,
    look: Callable[[int, TargetPlace], tuple[ExitCode, Data, Callable[[], None]]],
) -> ExitCode:
    """Do something for each target, and print what came of it.

    With names each is told after its name, or as JSON in a list; what fails at one is told, and the others go on.

    Args:
        targets: which.
        arguments: of the command; it has ``json``.
        look: does it for one, by its place; returns how it ended, what it found, and what prints that for people.

    Raises:
        DirsyncError: it failed at the only target, which has no name.
    """
    if not targets[0].name:
        code, data, show = look(0, targets[0])
        if arguments.json:
            print(json.dumps(data))
        else:
            show()
        return code
    codes: list[ExitCode] = []
    everything: list[Data] = []
    for place, target in enumerate(targets):
        about: Data = {"target": target.name, "server": str(target.address), "namespace": target.namespace}
        try:
            code, data, show = look(place, target)
        except DirsyncError as error:
            codes.append(ExitCode.USAGE if isinstance(error, UsageError) else ExitCode.FAILED)
            everything.append({**about, "error": str(error)})
            if not arguments.json:
                print(f"target {target.name}: failed", flush=True)
            print(f"dirsync-client: target {target.name}: {error}", file=sys.stderr)
            continue
        codes.append(code)
        everything.append({**about, "error": "", **data})
        if not arguments.json:
            print(f"target {target.name} ({target.address}, namespace {target.namespace})")
            show()
    if arguments.json:
        print(json.dumps({"targets": everything}))
    return worst(codes)
