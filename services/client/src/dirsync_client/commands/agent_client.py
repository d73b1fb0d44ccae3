"""``dirsync-client status``, ``explain``, ``approve``: asking the client that runs.

It is asked through the socket in STATE_DIR, where only this user gets in and no certificate is needed. Where no
agent listens there (the commands run elsewhere, or the file system has no sockets) it is asked at the address LISTEN.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc

from dirsync.errors import DirsyncError, NotFound, Unavailable, UsageError
from dirsync.limits import LIMITS
from dirsync.rpc.auth.tls import ChannelSecurity
from dirsync.rpc.channel import client_options
from dirsync.rpc.service import Caller, Metadata
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.secrets import SecretFile
from dirsync.runtime.process.cli import ExitCode
from dirsync.tree.entry import Entry, Kind, is_known
from dirsync.tree.path import RelPath, escape, parse_path
from dirsync.wire.agent import (
    AgentStatus,
    decode_agent_status,
    decode_approved,
    decode_explained,
    decode_problems,
    encode_approve,
    encode_explain,
)
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
            "untracked_paths": [shown._asdict() for shown in found.untracked_paths],
            "problems": [{"path": escape(path), "kind": kind, "message": text} for path, kind, text in problems],
        }
        print(json.dumps(data))
    else:
        _print(found)
        for _, kind, text in problems:
            print(f"problem        {kind}: {text}")
    return _exit_code(found)


def explain(settings: ClientSettings, arguments: argparse.Namespace) -> ExitCode:
    """Print all that the running client knows of one path."""
    path = _path_in_source(settings, arguments.path)
    with _agent(settings) as caller:
        found = decode_explained(_ask(settings, caller, "ExplainPath", encode_explain(path)))
    if arguments.json:
        data = found._asdict() | {
            "path": escape(path),
            "rule": escape(found.rule),
            "source": _entry_data(found.source),
            "replica": _entry_data(found.replica),
        }
        print(json.dumps(data))
    else:
        print(f"{'path':<15}{escape(path)}")
        print(f"{found.state:<15}{found.message}")
        for side, entry in (("source", found.source), ("replica", found.replica)):
            print(f"{side:<15}{_entry_text(entry)}")
    return _EXPLAINED.get(found.state, ExitCode.DONE)


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
    for shown in found.untracked_paths:
        print(f"untracked      {shown.path}: {shown.message}")
    if found.untracked > len(found.untracked_paths):
        print(f"untracked      and {found.untracked - len(found.untracked_paths)} more")
    for hold in found.holds:
        print(f"held           {hold.id} ({hold.guard}): {hold.message}")


def _exit_code(found: AgentStatus) -> ExitCode:
    if found.in_sync:
        return ExitCode.DONE
    if found.holds:
        return ExitCode.HELD
    return ExitCode.PROBLEMS if found.problems else ExitCode.DIFFERENT
