"""``dirsync-client approve``: release a hold, through the client that runs or for the next run."""

import argparse
import sys

from dirsync.errors import NotFound, Unavailable
from dirsync.limits import LIMITS
from dirsync.runtime.process.cli import ExitCode
from dirsync.wire.agent.approve import decode_approved, encode_approve
from dirsync_client.commands.agent.connection import agent
from dirsync_client.commands.each_target import chosen
from dirsync_client.settings import ClientSettings
from dirsync_client.state import StateDirectory, TargetState


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
