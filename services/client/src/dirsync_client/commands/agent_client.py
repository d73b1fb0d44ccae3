"""``dirsync-client status``, ``approve``: asking the client that runs.

It is asked through the socket in STATE_DIR, where only this user gets in and no certificate is needed. Where no
agent listens there (the commands run elsewhere, or the file system has no sockets) it is asked at the address LISTEN.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc

from dirsync.errors import NotFound, Unavailable
from dirsync.limits import LIMITS
from dirsync.rpc.auth.tls import ChannelSecurity
from dirsync.rpc.channel import client_options
from dirsync.rpc.service import Caller, Metadata
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.secrets import SecretFile
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.path import escape
from dirsync.wire.agent import AgentStatus, decode_agent_status, decode_approved, decode_problems, encode_approve
from dirsync.wire.descriptors import AGENT_SERVICE
from dirsync_client.agent.unix_socket import UnixSocket
from dirsync_client.session.channel import bearer, own_identity
from dirsync_client.settings import ClientSettings
from dirsync_client.state import StateDirectory

ASK_SECONDS = 5.0
"""How long the agent may take to answer."""


def status(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print the running client's status."""
    with _agent(settings) as caller:
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
    """Release a hold, through the agent or for the next run."""
    with _agent(settings) as caller:
        try:
            raw = caller.unary("ApproveHold", encode_approve(arguments.hold_id), timeout=LIMITS.unary_deadline_seconds)
        except Unavailable as error:
            if error.reason == "AGENT_BUSY":
                raise  # it runs: an approval for the next run would be of no use to it
            StateDirectory(settings.state_dir).approve(arguments.hold_id)
            print(f"no client runs; {arguments.hold_id} is approved for the next run", file=sys.stderr)
            return ExitCode.DONE
        except NotFound as error:
            print(f"dirsync-client: {error}", file=sys.stderr)
            return ExitCode.FAILED
    answer = decode_approved(raw)
    print(f"released {answer.paths} paths" + (f"; {answer.message}" if answer.message else ""))
    return ExitCode.DONE


@contextmanager
def _agent(settings: ClientSettings) -> Iterator[Caller]:
    """The agent of the client that runs with these settings."""
    with ExitStack() as opened:
        target = _socket_target(settings, opened)
        channel = grpc.insecure_channel(target, options=client_options()) if target else _channel(settings)
        yield Caller(opened.enter_context(channel), AGENT_SERVICE, _credentials(settings))


def _socket_target(settings: ClientSettings, opened: ExitStack) -> str | None:
    """The socket's address, good until ``opened`` ends; None if no process listens there."""
    try:
        socket = opened.enter_context(UnixSocket(settings.state_dir))
    except OSError:
        return None
    return socket.target if socket.answers else None


def _channel(settings: ClientSettings) -> grpc.Channel:
    """The way to the address: the agent there has to show our own certificate, if we have one."""
    target = str(settings.listen.from_here)
    identity = own_identity(settings)
    if identity is None or not settings.serves_tls:
        return grpc.insecure_channel(target, options=client_options())
    credentials = ChannelSecurity(identity.certificate, identity).credentials()
    return grpc.secure_channel(target, credentials, options=client_options())


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
    for hold in found.holds:
        print(f"held           {hold.id} ({hold.guard}): {hold.message}")


def _exit_code(found: AgentStatus) -> ExitCode:
    if found.in_sync:
        return ExitCode.DONE
    if found.holds:
        return ExitCode.HELD
    return ExitCode.PROBLEMS if found.problems else ExitCode.DIFFERENT
