"""Channels to other processes of dirsync: the server, or a running client's agent."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc

from dirsync.rpc.channel import client_options
from dirsync.rpc.service import Metadata
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.secrets import SecretFile
from dirsync.wire.descriptors import NAMESPACE_KEY
from dirsync_client.settings import ClientSettings
from dirsync_client.targets.place import TargetPlace

if TYPE_CHECKING:
    from dirsync.rpc.auth.tls import ChannelSecurity, Identity


class ServerConnection:
    """Makes channels to a server as the settings say, and the headers that go with each call."""

    def __init__(self, settings: ClientSettings, target: TargetPlace) -> None:
        """Read the files that the settings name.

        Raises:
            UsageError: one of them cannot be used.
        """
        self._target = str(target.address)
        self._security = channel_security(settings) if settings.connects_tls else None
        self._token = SecretFile(target.token_file, _name("token_file")) if target.token_file else None
        self._namespace = target.namespace
        self._channel: grpc.Channel | None = None

    def channel(self) -> grpc.Channel:
        """A new channel; the one before is closed, so that certificates that changed are used."""
        self.close()
        if self._security is None:
            self._channel = grpc.insecure_channel(self._target, options=client_options())
        else:
            options = [*client_options(), *self._security.options]
            self._channel = grpc.secure_channel(self._target, self._security.credentials(), options=options)
        return self._channel

    def metadata(self) -> Metadata:
        """The headers of a call: the token as it is now, and the namespace, by which a proxy chooses the server."""
        return (*bearer(self._token.get if self._token else None), (NAMESPACE_KEY, self._namespace))

    def certificate_ends_at(self) -> float:
        """When the certificate ends that the next server is shown. Unix time; 0 if none is shown."""
        return self._security.certificate_ends_at() if self._security else 0.0

    def close(self) -> None:
        """Close the channel, if there is one."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def bearer(token: Callable[[], str] | None) -> Metadata:
    """The header for a token; none if there is no token."""
    return () if token is None else (("authorization", f"Bearer {token()}"),)


def channel_security(settings: ClientSettings) -> "ChannelSecurity":
    """Whom the client trusts, and who it is."""
    from dirsync.rpc.auth.tls import ChannelSecurity, NamedFile  # noqa: PLC0415 - only TLS needs the library for it

    authority = NamedFile(settings.tls_ca_file, _name("tls_ca_file")) if settings.tls_ca_file else None
    return ChannelSecurity(authority, own_identity(settings), settings.tls_server_name)


def own_identity(settings: ClientSettings) -> "Identity | None":
    """The client's own certificate, if it has one."""
    if settings.tls_cert_file is None or settings.tls_key_file is None:
        return None
    from dirsync.rpc.auth.tls import Identity, NamedFile  # noqa: PLC0415 - only TLS needs the library for it

    return Identity(
        NamedFile(settings.tls_cert_file, _name("tls_cert_file")),
        NamedFile(settings.tls_key_file, _name("tls_key_file")),
    )


def _name(field: str) -> str:
    return variable_name("client", field)
