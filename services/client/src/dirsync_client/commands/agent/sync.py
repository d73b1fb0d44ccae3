"""``dirsync-client sync``: have the running client look again and send all that differs."""

import argparse
import json

from dirsync.errors import Unavailable, UsageError
from dirsync.runtime.config.values import parse_duration, show_duration
from dirsync.runtime.process.cli import ExitCode
from dirsync.wire.agent.sync import SyncResult, decode_sync_result, encode_sync
from dirsync_client.commands.agent.connection import agent, ask
from dirsync_client.commands.agent.exit_code import exit_code
from dirsync_client.settings import ClientSettings

SYNC_SECONDS = 3600.0
"""How long ``sync`` waits if nothing else is said."""


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
    return exit_code(result)


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
