"""TLS to a process that shows the very certificate that we have: it is known by that, whoever signed it for what name.

A command that asks the service beside it has the same settings, so it need not ask an authority, and the address by
which it gets there need not be in the certificate. Whoever proves that he has the key of the certificate is the one.
"""

import ipaddress
import ssl
from typing import Any, NamedTuple

import grpc

from dirsync.errors import UsageError
from dirsync.rpc.auth.tls import Identity

_END = b"-----END CERTIFICATE-----"
_ROUNDS = 3
"""A TLS 1.3 handshake in memory: hello, answer, finished."""


class Pinned(NamedTuple):
    """What a channel needs."""

    credentials: grpc.ChannelCredentials
    options: list[tuple[str, str]]


def pinned(identity: Identity) -> Pinned:
    """Let in only whoever shows this certificate; ours is shown too, where it is asked for.

    Raises:
        UsageError: a file that cannot be read or used, or a certificate without any name.
    """
    chain, key = identity.certificate.read(), identity.key.read()
    # Only the certificate itself: whoever the authorities in its chain have signed for is not meant.
    leaf = chain[: chain.find(_END) + len(_END)]
    name = _name(identity, leaf)
    return Pinned(grpc.ssl_channel_credentials(leaf, key, chain), [("grpc.ssl_target_name_override", name)])


def _name(identity: Identity, leaf: bytes) -> str:
    """A name that the certificate is for; gRPC wants to compare one."""
    try:
        shown = _look(identity, leaf)
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or error
        msg = f"{identity.certificate.setting} and {identity.key.setting}: the files cannot be used: {reason}"
        raise UsageError(msg) from None
    names: list[tuple[str, str]] = [*shown.get("subjectAltName", ())]
    names += [field for fields in shown.get("subject", ()) for field in fields]
    for kind in ("DNS", "IP Address", "commonName"):
        for found, value in names:
            if found == kind:
                return str(ipaddress.ip_address(value)) if kind == "IP Address" else value.replace("*", "agent", 1)
    msg = f"{identity.certificate.setting}: the certificate is for no name and no address, so nobody can be asked by it"
    raise UsageError(msg)


def _look(identity: Identity, leaf: bytes) -> dict[str, Any]:
    """What the certificate says: the standard library tells it of a peer only, so both ends meet here, in memory."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(identity.certificate.path, identity.key.path, password="")
    asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    asking.check_hostname = False
    asking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    asking.load_verify_locations(cadata=leaf.decode("ascii", "ignore"))
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [asking.wrap_bio(down, up), serving.wrap_bio(up, down, server_side=True)]
    for _ in range(_ROUNDS):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert() or {}
