"""``dirsync-client status``, ``sync``, ``events``, ``explain``, ``approve``: asking the client that runs."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from dirsync.errors import DirsyncError, NotFound, Unavailable, UsageError
from dirsync.limits import LIMITS
from dirsync.runtime.config.values import parse_duration, show_duration
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.entry import Entry, Kind, is_known
from dirsync.tree.path import RelPath, escape, parse_path
from dirsync.wire.agent import (
    AgentStatus,
    PathExplained,
    SyncResult,
    TargetStatus,
    TravelView,
    TwoWayView,
    decode_agent_status,
    decode_approved,
    decode_event,
    decode_explained,
    decode_problems,
    decode_sync_result,
    encode_approve,
    encode_explain,
    encode_list_problems,
    encode_sync,
)
from dirsync_client.commands.agent_connection import ASK_SECONDS, agent, ask
from dirsync_client.commands.each_target import chosen, worst
from dirsync_client.settings import ClientSettings
from dirsync_client.state import StateDirectory, TargetState

SYNC_SECONDS = 3600.0
"""How long ``sync`` waits if nothing else is said."""
WATCH_SECONDS = 1.0
"""How often ``status --watch`` asks."""
SHOWN_PROBLEMS = 20
"""Problems that ``status`` prints for people."""


def status(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print the running client's status; with ``--watch`` again and again."""
    if not arguments.again:
        return _status(settings, arguments)
    clear = "\x1b[H\x1b[2J" if sys.stdout.isatty() and not arguments.json else ""

    def show_again_and_again() -> None:
        while True:
            print(clear, end="")
            try:
                _status(settings, arguments)
            except Unavailable as error:
                print(f"dirsync-client: {error}", file=sys.stderr)
            sys.stdout.flush()
            time.sleep(WATCH_SECONDS)

    _until_interrupted(show_again_and_again)
    return ExitCode.DONE


def _until_interrupted(work: Callable[[], object]) -> None:
    """Do this until it ends, the command is interrupted, or nobody reads the output any more."""
    # A shell that starts a command in the background has it ignore interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        work()
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:
        # Python writes what is left at its end, which would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _status(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    target = arguments.target or ""
    with agent(settings) as caller:
        found = decode_agent_status(ask(settings, caller, "GetStatus", b""))
        request = encode_list_problems(target)
        problems = list(decode_problems(caller.stream("ListProblems", request, timeout=ASK_SECONDS)))
    one = next((each for each in found.targets if each.target == target), None)
    if arguments.json:
        print(json.dumps(_status_data(found, problems) if one is None else _target_data(one, problems)))
    else:
        if one is None:
            _print(found)
        for each in found.targets if one is None else (one,):
            _print_target(each)
        count = found.problems if one is None else one.problems
        for _, kind, text in problems[:SHOWN_PROBLEMS]:
            print(f"problem        {kind}: {text}")
        if count > SHOWN_PROBLEMS:
            print(f"               and {count - SHOWN_PROBLEMS} more; --json names the first {len(problems)}")
    return _exit_code(found if one is None else one)


def _status_data(found: AgentStatus, problems: list[tuple[RelPath, str, str]]) -> dict[str, Any]:
    data: dict[str, Any] = found._asdict() | {
        "holds": [hold._asdict() for hold in found.holds],
        "untracked_paths": [shown._asdict() for shown in found.untracked_paths],
        "problems": _problem_data(problems),
        "problem_count": found.problems,
        "two_way": found.two_way and _two_way_data(found.two_way),
    }
    del data["targets"]
    if found.targets:
        # Their problems are among those above; --target names those of one.
        shown = ({**_target_data(each, ()), "problems": each.problems} for each in found.targets)
        data["targets"] = list(shown)
    return data


def _target_data(found: TargetStatus, problems: Sequence[tuple[RelPath, str, str]]) -> dict[str, Any]:
    return found._asdict() | {
        "holds": [hold._asdict() for hold in found.holds],
        "problems": _problem_data(problems),
        "problem_count": found.problems,
    }


def _problem_data(problems: Sequence[tuple[RelPath, str, str]]) -> list[dict[str, str]]:
    return [{"path": escape(path), "kind": kind, "message": text} for path, kind, text in problems]


def sync(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Have the running client look again and send all that differs; print what is left."""
    seconds = _seconds(arguments.timeout)
    with agent(settings) as caller:
        ask(settings, caller, "GetStatus", b"")  # a client that is not there is told so at once
        try:
            raw = caller.unary("SyncNow", encode_sync(arguments.target or ""), timeout=seconds)
            result = decode_sync_result(raw)
        except Unavailable:
            msg = f"the sync did not end within {show_duration(seconds)}; `dirsync-client status` says why"
            raise Unavailable(msg) from None
    if arguments.json:
        print(json.dumps(result._asdict() | {"holds": [hold._asdict() for hold in result.holds]}))
    else:
        print("in sync" if result.in_sync else f"not in sync: {_left(result)}")
        for hold in result.holds:
            print(f"held           {hold.id} ({hold.guard}): {hold.message}")
    return _exit_code(result)


def _seconds(timeout: str | None) -> float:
    """How long a sync may take.

    Raises:
        UsageError: that is no duration.
    """
    try:
        return SYNC_SECONDS if timeout is None else parse_duration(timeout)
    except ValueError as error:
        msg = f"--timeout={timeout}: {error}"
        raise UsageError(msg) from None


def _left(result: SyncResult) -> str:
    counts = {"pending": result.pending, "problems": result.problems, "holds": len(result.holds)}
    named = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{named} (`dirsync-client status` names them)" if named else "changes came meanwhile"


def events(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print the events of the running client as they happen, until it ends or the command is interrupted."""
    with agent(settings) as caller:
        ask(settings, caller, "GetStatus", b"")  # a client that is not there is told so at once

        def show() -> None:
            for line, missed in map(decode_event, caller.stream("WatchEvents", b"")):
                if missed:
                    print(f"dirsync-client: {missed} events were missed", file=sys.stderr)
                print(line if arguments.json else _event_text(json.loads(line)), flush=True)

        _until_interrupted(show)
    return ExitCode.DONE


_EVENT_HEAD = ("timestamp", "level", "event")
_EVENT_COMMON = {*_EVENT_HEAD, "service", "version"}


def _event_text(event: dict[str, Any]) -> str:
    """One line: when, how grave, what, and what else is known."""
    head = "  ".join(str(event.get(name, "")) for name in _EVENT_HEAD)
    details = (f"{name}={value}" for name, value in event.items() if name not in _EVENT_COMMON)
    return f"{head}  {' '.join(details)}".rstrip()


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


def approve(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Release a hold, through the agent or for the next run."""
    with agent(settings) as caller:
        try:
            request = encode_approve(arguments.hold_id, arguments.target or "")
            raw = caller.unary("ApproveHold", request, timeout=LIMITS.unary_deadline_seconds)
        except Unavailable as error:
            if error.reason == "AGENT_BUSY":
                raise  # it runs: an approval for the next run would be of no use to it
            for target in chosen(settings, arguments):
                directory = settings.state_dir
                state = TargetState(directory, target.name) if target.name else StateDirectory(directory)
                state.approve(arguments.hold_id)
            print(f"no client runs; {arguments.hold_id} is approved for the next run", file=sys.stderr)
            return ExitCode.DONE
        except NotFound as error:
            print(f"dirsync-client: {error}", file=sys.stderr)
            return ExitCode.FAILED
    answer = decode_approved(raw)
    print(f"released {answer.paths} paths" + (f"; {answer.message}" if answer.message else ""))
    return ExitCode.DONE


def _print(found: AgentStatus) -> None:
    rows = {
        "in sync": "yes" if found.in_sync else "no",
        "ready": "yes" if found.ready else found.not_ready_reason,
        "state": found.state,
        "server": f"{found.server}, namespace {found.namespace}",
        "entries": str(found.entries),
        "pending": str(found.pending),
        "lag": f"{found.lag_seconds:.1f} s",
        "watching": found.watch,
        "untracked": str(found.untracked),
        "last error": found.last_error,
    }
    for name, value in rows.items():
        if value:
            print(f"{name:<15}{value}")
    for shown in found.untracked_paths:
        print(f"untracked      {shown.path}: {shown.message}")
    if found.untracked > len(found.untracked_paths):
        print(f"untracked      and {found.untracked - len(found.untracked_paths)} more")
    if found.two_way is not None:
        _print_two_way(found.two_way)
    for hold in found.holds:
        print(f"held           {hold.id} ({hold.guard}): {hold.message}")


def _two_way_data(totals: TwoWayView) -> dict[str, Any]:
    return totals._asdict() | {"latest_conflicts": [shown._asdict() for shown in totals.latest_conflicts]}


def _print_two_way(totals: TwoWayView) -> None:
    print(
        f"received       {totals.received_changes} changes, {totals.received_bytes} bytes; {totals.saved_bytes} saved"
    )
    for shown in totals.latest_conflicts:
        kept = f"is kept as {shown.kept_as}" if shown.kept_as else "is not kept"
        print(f"conflict       {shown.path}: the version of the {shown.winner} has the name, the other {kept}")
    if totals.conflicts > len(totals.latest_conflicts):
        print(f"conflict       and {totals.conflicts - len(totals.latest_conflicts)} more since the start, in the log")


def _print_target(found: TargetStatus) -> None:
    """One line for each, and what keeps it from being in sync."""
    how = "in sync" if found.in_sync else f"{found.state}, {found.pending} pending, lag {found.lag_seconds:.1f} s"
    print(f"{'target':<15}{found.target} ({found.server}, namespace {found.namespace}): {how}")
    for line in dict.fromkeys((found.last_error, found.not_ready_reason)):
        if line:
            print(f"{'':<15}{line}")
    for hold in found.holds:
        print(f"{'':<15}held {hold.id} ({hold.guard}); release it here alone: --target {found.target}")


def _exit_code(found: AgentStatus | TargetStatus | SyncResult) -> ExitCode:
    if found.in_sync:
        return ExitCode.DONE
    if found.holds:
        return ExitCode.HELD
    return ExitCode.PROBLEMS if found.problems else ExitCode.DIFFERENT
