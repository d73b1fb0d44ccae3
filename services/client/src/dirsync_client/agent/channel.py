"""The way to the agent of the client that runs beside us with the same settings.

Its address is where it listens (on every address of the machine: loopback, then), and its certificate is the one that
our own settings name: neither the name that it was issued for nor who issued it matters, nor do the settings that are
about the server.
"""

import grpc

from dirsync.rpc.auth.pinned import pinned
from dirsync.rpc.auth.tls import Identity
from dirsync.rpc.channel import client_options
from dirsync.runtime.config.values import Address


def agent_channel(listen: Address, identity: Identity | None) -> grpc.Channel:
    """A channel to the agent that listens there, with TLS where it has an identity.

    Raises:
        UsageError: its certificate or key cannot be used.
    """
    target = str(listen.from_here)
    if identity is None:
        return grpc.insecure_channel(target, options=client_options())
    security = pinned(identity)
    return grpc.secure_channel(target, security.credentials, options=[*client_options(), *security.options])
