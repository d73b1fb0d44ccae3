"""``dirsync-client status``, ``approve``, ``health``: asking the client that runs."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import grpc

from dirsync.errors import NotFound, Unavailable
from dirsync.limits import LIMITS
from dirsync.rpc.service import Caller, Metadata
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.secrets import SecretFile
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.path import escape
from dirsync.wire.agent import AgentStatus, decode_agent_status, decode_approved, decode_problems, encode_approve
from dirsync.wire.descriptors import AGENT_SERVICE
from dirsync_client.agent.channel import agent_channel
from dirsync_client.session.channel import bearer, own_identity
from dirsync_client.settings import ClientSettings
from dirsync_client.state import StateDirectory

ASK_SECONDS = 5.0
"""How long an agent may take to answer a question."""


def status(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print what the running client says of itself."""
    with _channel(settings) as channel:
        caller = Caller(channel, AGENT_SERVICE, _credentials(settings))
        found = decode_agent_status(_ask(settings, caller, "GetStatus", b""))
        problems = list(decode_problems(caller.stream("ListProblems", b"", timeout=ASK_SECONDS)))
    if arguments.json:
        data: dict[str, Any] = found._asdict() | {
            "holds": [hold._asdict() for hold in found.holds],
            "problems": [{"path": escape(path), "kind": kind, "message": text} for path, kind, text in problems],
        }
        print(json.dumps(data))
    else:
        _print(found)
        for _, kind, text in problems:
            print(f"problem        {kind}: {text}")
    return _exit_code(found)


def approve(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Release a hold: through the agent, or for the next run."""
    with _channel(settings) as channel:
        caller = Caller(channel, AGENT_SERVICE, _credentials(settings))
        try:
            raw = caller.unary("ApproveHold", encode_approve(arguments.hold_id), timeout=LIMITS.unary_deadline_seconds)
        except Unavailable:
            StateDirectory(settings.state_dir).approve(arguments.hold_id)
            print(f"no client runs; {arguments.hold_id} is approved for the next run", file=sys.stderr)
            return ExitCode.DONE
        except NotFound as error:
            print(f"dirsync-client: {error}", file=sys.stderr)
            return ExitCode.FAILED
    print(f"released {decode_approved(raw)} paths")
    return ExitCode.DONE


def _channel(settings: ClientSettings) -> grpc.Channel:
    return agent_channel(settings.listen, own_identity(settings) if settings.serves_tls else None)


def _credentials(settings: ClientSettings) -> Callable[[], Metadata]:
    """The headers of a call to the agent."""
    file = settings.agent_token_file
    secret = SecretFile(file, variable_name("client", "agent_token_file")) if file else None
    return lambda: bearer(secret.get if secret else None)


def _ask(settings: ClientSettings, caller: Caller, method: str, request: bytes) -> bytes:
    try:
        return caller.unary(method, request, timeout=ASK_SECONDS)
    except Unavailable:
        msg = f"no client answers at {variable_name('client', 'listen')}={settings.listen}; is one running?"
        raise Unavailable(msg) from None


def _print(found: AgentStatus) -> None:
    rows = {
        "in sync": "yes" if found.in_sync else "no",
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
    for hold in found.holds:
        print(f"held           {hold.id} ({hold.guard}): {hold.message}")


def _exit_code(found: AgentStatus) -> ExitCode:
    if found.in_sync:
        return ExitCode.DONE
    if found.holds:
        return ExitCode.HELD
    return ExitCode.PROBLEMS if found.problems else ExitCode.DIFFERENT
