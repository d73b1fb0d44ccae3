"""``dirsync-client status``: how the running client stands."""

import argparse
import json
import sys
import time

from dirsync.errors import Unavailable
from dirsync.runtime.process.cli import ExitCode
from dirsync.wire.agent.problems import decode_problems, encode_list_problems
from dirsync.wire.agent.status import decode_agent_status
from dirsync_client.commands.agent.connection import ASK_SECONDS, agent, ask
from dirsync_client.commands.agent.exit_code import exit_code
from dirsync_client.commands.agent.interrupted import until_interrupted
from dirsync_client.commands.agent.status_data import status_data, target_data
from dirsync_client.commands.agent.status_text import print_status, print_target
from dirsync_client.settings import ClientSettings

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

    until_interrupted(show_again_and_again)
    return ExitCode.DONE


def _status(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    target = arguments.target or ""
    with agent(settings) as caller:
        found = decode_agent_status(ask(settings, caller, "GetStatus", b""))
        request = encode_list_problems(target)
        problems = list(decode_problems(caller.stream("ListProblems", request, timeout=ASK_SECONDS)))
    one = next((each for each in found.targets if each.target == target), None)
    asked = found.overall if one is None else one
    if arguments.json:
        print(json.dumps(status_data(found, problems) if one is None else target_data(one, problems)))
        return exit_code(asked)
    if one is None:
        print_status(found)
    for each in found.targets if one is None else (one,):
        print_target(each)
    for _, kind, text in problems[:SHOWN_PROBLEMS]:
        print(f"problem        {kind}: {text}")
    if asked.problems > SHOWN_PROBLEMS:
        print(f"               and {asked.problems - SHOWN_PROBLEMS} more; --json names the first {len(problems)}")
    return exit_code(asked)
