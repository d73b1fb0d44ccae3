"""``dirsync-client events``: the log of the running client, as it is written."""

import argparse
import json
import sys
from typing import Any

from dirsync.runtime.process.cli import ExitCode
from dirsync.wire.agent.events import decode_event
from dirsync_client.commands.agent.connection import agent, ask
from dirsync_client.commands.agent.interrupted import until_interrupted
from dirsync_client.settings import ClientSettings


def events(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print the events of the running client as they happen, until it ends or the command is interrupted."""
    with agent(settings) as caller:
        ask(settings, caller, "GetStatus", b"")  # a client that is not there is told so at once

        def show() -> None:
            for line, missed in map(decode_event, caller.stream("WatchEvents", b"")):
                if missed:
                    print(f"dirsync-client: {missed} events were missed", file=sys.stderr)
                print(line if arguments.json else _event_text(json.loads(line)), flush=True)

        until_interrupted(show)
    return ExitCode.DONE


_EVENT_HEAD = ("timestamp", "level", "event")
_EVENT_COMMON = {*_EVENT_HEAD, "service", "version"}


def _event_text(event: dict[str, Any]) -> str:
    """One line: when, how grave, what, and what else is known."""
    head = "  ".join(str(event.get(name, "")) for name in _EVENT_HEAD)
    details = (f"{name}={value}" for name, value in event.items() if name not in _EVENT_COMMON)
    return f"{head}  {' '.join(details)}".rstrip()
