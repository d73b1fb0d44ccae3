"""The connection of a command to the agent of the client that runs.

It is asked through the socket in STATE_DIR, where only this user gets in and no certificate is needed. Where no
agent listens there (the commands run elsewhere, or the file system has no sockets) it is asked at the address LISTEN.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import grpc

from dirsync.errors import Unavailable
from dirsync.rpc.auth.tls import ChannelSecurity
from dirsync.rpc.channel import client_options
from dirsync.rpc.service import Caller, Metadata
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.secrets import SecretFile
from dirsync.wire.descriptors import AGENT_SERVICE
from dirsync_client.agent.unix_socket import UnixSocket
from dirsync_client.session.channel import bearer, own_identity
from dirsync_client.settings import ClientSettings

ASK_SECONDS = 5.0
"""How long the agent may take to answer."""


@contextmanager
def agent(settings: ClientSettings) -> Iterator[Caller]:
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


def ask(settings: ClientSettings, caller: Caller, method: str, request: bytes) -> bytes:
    """The agent's answer to a request of one message.

    Raises:
        Unavailable: there is no agent, or it does not answer in time.
    """
    try:
        return caller.unary(method, request, timeout=ASK_SECONDS)
    except Unavailable:
        msg = f"no client answers at {variable_name('client', 'listen')}={settings.listen}; is one running?"
        raise Unavailable(msg) from None
