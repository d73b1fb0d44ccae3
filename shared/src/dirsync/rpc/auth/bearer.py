"""Bearer tokens as calls carry them (RFC 6750, section 2.1), known by their SHA-256 only.

A token is hashed on arrival, so nothing behind this module can reveal one. A presented digest is compared with all
known ones, each in constant time: the time tells neither which came close nor whose they are.
"""

import hmac
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import unquote

import grpc

from dirsync.rpc.auth.peers import network_of
from dirsync.runtime.files.secrets import MAX_SECRET_CHARACTERS, digest_of

HEADER = "authorization"
_SCHEME = "bearer "
_NAMES = ("x509_subject_alternative_name", "x509_common_name")


class Caller(NamedTuple):
    """What a call shows of its caller before its request is parsed."""

    connection: str
    """Its end of the connection, as gRPC writes it."""
    network: str
    """Where it calls from, without what one host can choose freely (:func:`dirsync.rpc.auth.peers.network_of`)."""
    token: bytes | None
    """SHA-256 of the token that it shows."""
    names: frozenset[str]
    """Names in its certificate, which the handshake has verified; none without one."""


def caller_of(context: grpc.ServicerContext) -> Caller:
    """The caller of a call."""
    connection = unquote(context.peer() or "")
    values = [value for key, value in context.invocation_metadata() or () if key == HEADER]
    certificate: Any = context.auth_context() or {}  # the stubs say bytes; each property has several
    names = frozenset(name.decode("utf-8", "replace") for key in _NAMES for name in certificate.get(key, ()))
    return Caller(connection, network_of(connection), _presented(values), names)


def matches(presented: bytes | None, digests: Iterable[bytes]) -> list[bool]:
    """For each digest whether it is the presented one; all are compared."""
    # Something is compared in any case, and the empty bytes are no digest.
    return [hmac.compare_digest(presented or b"", one) for one in digests]


def _presented(values: list[str | bytes]) -> bytes | None:
    """The digest of the token in these headers; None unless there is exactly one, because two would be ambiguous."""
    if len(values) != 1:
        return None
    (value,) = values
    if not isinstance(value, str) or value[: len(_SCHEME)].lower() != _SCHEME:
        return None
    token = value[len(_SCHEME) :]
    return digest_of(token) if 0 < len(token) <= MAX_SECRET_CHARACTERS else None
