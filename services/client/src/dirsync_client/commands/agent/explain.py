"""``dirsync-client explain``: all that the running client knows of one path."""

import argparse
import json
import os
from typing import Any

from dirsync.errors import DirsyncError, UsageError
from dirsync.runtime.config.values import show_duration
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.entry import Entry, Kind, is_known
from dirsync.tree.path import RelPath, escape, parse_path
from dirsync.wire.agent.explain import PathExplained, TravelView, decode_explained, encode_explain
from dirsync.wire.agent.status import decode_agent_status
from dirsync_client.commands.agent.connection import agent, ask
from dirsync_client.commands.each_target import worst
from dirsync_client.settings import ClientSettings


def explain(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print all that the running client knows of one path."""
    path = _path_in_source(settings, arguments.path)
    with agent(settings) as caller:
        if arguments.target:
            names = [arguments.target]
        else:
            names = [each.target for each in decode_agent_status(ask(settings, caller, "GetStatus", b"")).targets]
        every = [
            (name, decode_explained(ask(settings, caller, "ExplainPath", encode_explain(path, name))))
            for name in names or [""]
        ]
    if arguments.json:
        data = [_explained_data(path, name, found) for name, found in every]
        print(json.dumps({"targets": data} if len(data) > 1 else data[0]))
    else:
        for name, found in every:
            _print_explained(path, name, found)
    return worst([_EXPLAINED.get(found.state, ExitCode.DONE) for _, found in every])


def _explained_data(path: RelPath, name: str, found: PathExplained) -> dict[str, Any]:
    data = found._asdict() | {
        "path": escape(path),
        "rule": escape(found.rule),
        "source": _entry_data(found.source),
        "replica": _entry_data(found.replica),
        "travel": None if found.travel is None else found.travel._asdict(),
    }
    return {"target": name, **data} if name else data


def _print_explained(path: RelPath, name: str, found: PathExplained) -> None:
    if name:
        print(f"{'target':<15}{name}")
    print(f"{'path':<15}{escape(path)}")
    print(f"{found.state:<15}{found.message}")
    for side, entry in (("source", found.source), ("replica", found.replica)):
        print(f"{side:<15}{_entry_text(entry)}")
    if found.travel is not None:
        print(f"{'last sent':<15}{_travel_text(found.travel)}")


def _travel_text(travel: TravelView) -> str:
    """How it got to the replica, why so, and how much of it was sent."""
    former = f", from {travel.former_path_text}" if travel.former_path_text else ""
    sent = f"{travel.literal_bytes:,} of {travel.size:,} bytes of content"
    why = travel.reason.replace("_", " ")
    return f"{show_duration(round(travel.seconds_ago))} ago as {travel.strategy} ({why}){former}: {sent}"


_EXPLAINED = {"held": ExitCode.HELD, "problem": ExitCode.PROBLEMS, "pending": ExitCode.DIFFERENT}


def _path_in_source(settings: ClientSettings, given: str) -> RelPath:
    """The path relative to the source; an absolute one has to lie in it.

    Raises:
        UsageError: it does not, or no source can have it.
    """
    raw = os.fsencode(given)
    if os.path.isabs(raw):
        source = os.path.abspath(os.fsencode(settings.source))
        raw = os.path.relpath(os.path.normpath(raw), source)
    raw = raw.removeprefix(b"./").rstrip(b"/")
    try:
        return parse_path(raw or b"/")
    except DirsyncError as error:
        msg = f"{escape(os.fsencode(given))!r} is no path in SOURCE ({error}): name it relative to the source"
        raise UsageError(msg) from None


def _entry_data(entry: Entry | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "kind": entry.kind.name.lower(),
        "mode": f"{entry.mode:04o}",
        "size": entry.size,
        "mtime_ns": entry.mtime_ns,
        "digest": entry.digest.hex() if is_known(entry.digest) else "",
        "target": escape(entry.target),
    }


def _entry_text(entry: Entry | None) -> str:
    if entry is None:
        return "nothing, as far as it is mirrored"
    digest = f"digest {entry.digest.hex()}" if is_known(entry.digest) else "not read"
    if entry.kind is Kind.SYMLINK:
        return f"link to {escape(entry.target)}"
    size = "" if entry.is_directory else f"{entry.size} bytes, "
    return f"{entry.kind.name.lower()}, {size}mode {entry.mode:04o}, {digest}"
