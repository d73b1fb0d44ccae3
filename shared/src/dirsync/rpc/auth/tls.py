"""TLS for both ends: certificates from files, checked before they are used, read again when they change.

The minimum is TLS 1.2, gRPC's own default, which no setting lowers. A server fetches its certificate at each handshake:
a rotated one is used for new connections, and existing connections stay. A client reads the authorities that it trusts
again whenever it connects (:meth:`ChannelSecurity.credentials`).

Files that are bad or missing leave the last good ones in force, also the authority of clients: a port cannot listen
without its certificate, and all files are one reading. To stop trusting an authority, replace the file.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import grpc

from dirsync.errors import UsageError
from dirsync.rpc.auth.certificate import ends_at
from dirsync.runtime.files.reloading_file import ReloadingFile, read_file


class NamedFile(NamedTuple):
    """A file, and the setting by which the person knows it."""

    path: Path
    setting: str

    def read(self) -> bytes:
        """The content; raises UsageError."""
        return read_file(self.path, self.setting)


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain of ours and its key."""

    certificate: NamedFile
    key: NamedFile


class _Material(NamedTuple):
    key: bytes | None
    chain: bytes | None
    authorities: bytes | None
    ends_at: float
    """When the chain ends, Unix time; 0 without a chain."""


class ServerSecurity:
    """What a server needs to listen with TLS: its certificate, and the authority of its clients, if they need one."""

    def __init__(self, identity: Identity, client_authority: NamedFile | None = None) -> None:
        """With ``client_authority`` only clients with a certificate of it may connect.

        Raises:
            UsageError: a file that cannot be read or used.
        """
        self._followed = _follow(identity, client_authority)
        self._last = self._followed.get()
        # The stubs do not know that None means no change.
        self.credentials = grpc.dynamic_ssl_server_credentials(
            _configuration(self._last),
            cast("Any", self._fetch),
            require_client_authentication=client_authority is not None,
        )
        """Credentials to listen with."""

    def certificate_ends_at(self) -> float:
        """When the certificate ends that the next caller is shown. Unix time."""
        return self._followed.get().ends_at

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        material = self._followed.get()
        if material is self._last:
            return None
        self._last = material
        return _configuration(material)


class ChannelSecurity:
    """What a client needs to connect with TLS: the authorities that it trusts, and its own certificate, if any."""

    def __init__(
        self, authority: NamedFile | None = None, identity: Identity | None = None, server_name: str | None = None
    ) -> None:
        """Trust ``authority``, or without it the authorities that the system trusts.

        Raises:
            UsageError: a file that cannot be read or used, or a system without authorities.
        """
        self._authority = authority or _system_authorities()
        self._followed = _follow(identity, self._authority)
        self.options: list[tuple[str, str]] = [("grpc.ssl_target_name_override", server_name)] if server_name else []
        """Options that the channel needs besides the credentials."""

    def credentials(self) -> grpc.ChannelCredentials:
        """Credentials for a new channel, made from the files as they are now (or were when they were last good)."""
        material = self._followed.get()
        return grpc.ssl_channel_credentials(material.authorities, material.key, material.chain)

    def certificate_ends_at(self) -> float:
        """When the certificate ends that the next server is shown. Unix time; 0 if none is shown."""
        return self._followed.get().ends_at


def _follow(identity: Identity | None, authority: NamedFile | None) -> ReloadingFile[_Material]:
    files = [file for file in (identity and identity.certificate, identity and identity.key, authority) if file]
    return ReloadingFile(
        [file.setting for file in files],
        [file.path for file in files],
        lambda: _load(identity, authority),
    )


def _load(identity: Identity | None, authority: NamedFile | None) -> _Material:
    key = chain = authorities = None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if identity:
        chain, key = identity.certificate.read(), identity.key.read()
        _check_identity(context, identity)
    if authority:
        authorities = authority.read()
        try:
            # Comments between certificates may be in any encoding; the certificates are ASCII.
            context.load_verify_locations(cadata=authorities.decode("ascii", "ignore"))
        except (ssl.SSLError, ValueError):
            msg = f"{authority.setting}: the file holds no certificate in PEM form"
            raise UsageError(msg) from None
    return _Material(key, chain, authorities, ends_at(chain) if chain else 0.0)


def _check_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """Prove that chain and key parse and belong together, which gRPC would tell only at a handshake, and silently."""
    try:
        context.load_cert_chain(identity.certificate.path, identity.key.path, password=_refuse_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        mismatch = "MISMATCH" in str(error)
        reason = "do not belong together" if mismatch else "hold no certificate with its unencrypted key in PEM form"
        msg = f"{identity.certificate.setting} and {identity.key.setting}: the files {reason}"
        raise UsageError(msg) from None


def _refuse_password() -> str:
    msg = "the key is encrypted"
    raise ValueError(msg)


def _system_authorities() -> NamedFile:
    """The file of authorities that this system trusts; gRPC alone would use the list in its package."""
    found = ssl.get_default_verify_paths()
    for path in (found.cafile, found.openssl_cafile, *_USUAL_BUNDLES):
        if path and Path(path).is_file():
            return NamedFile(Path(path), "the system's certificate authorities")
    msg = "TLS is on, but this system trusts no certificate authority; set TLS_CA_FILE"
    raise UsageError(msg)


_USUAL_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def _configuration(material: _Material) -> grpc.ServerCertificateConfiguration:
    if material.key is None or material.chain is None:
        msg = "a server needs a certificate and its key"
        raise UsageError(msg)
    return grpc.ssl_server_certificate_configuration([(material.key, material.chain)], material.authorities)
