"""Who may call: bearer tokens, compared by digest and in constant time.

A call names its namespace in its request, so authorization happens where the request is known; this class answers it.
Unknown namespace, missing, wrong and other tenants' tokens get the same answer, so that nobody learns what exists.
The answer to a valid one is the replica itself: there is no other way to one.
"""

import hashlib
import hmac
from collections.abc import Mapping

import grpc

from dirsync.errors import NotFound, Unauthenticated
from dirsync_server.replica import Replica
from dirsync_server.tenants import Tenant

_PREFIX = "bearer "
MAX_TOKEN_CHARACTERS = 4096
"""Longest token that is looked at."""
REFUSAL = "no valid bearer token for this namespace"


class Authority:
    """Knows the tenants, their tokens and their replicas."""

    def __init__(self, tenants: Mapping[str, Tenant], replicas: Mapping[str, Replica]) -> None:
        """``replicas`` has one for each of the tenants."""
        self._tenants = tenants
        self._replicas = replicas

    def authorize(self, namespace: str, context: grpc.ServicerContext) -> Replica:
        """The replica of ``namespace`` if the caller may use it.

        Raises:
            Unauthenticated: where tokens are used, whatever is wrong.
            NotFound: where none are used and there is no such namespace.
        """
        tenant = self._tenants.get(namespace)
        if tenant is not None and tenant.tokens is None:
            return self._replicas[namespace]
        presented = hashlib.sha256(bearer_token(context).encode()).digest()
        valid = tenant.tokens() if tenant is not None and tenant.tokens is not None else frozenset()
        # Every digest is compared, so that the time does not tell which came close or how many there are.
        matches = [hmac.compare_digest(presented, digest) for digest in valid]
        if tenant is not None and any(matches):
            return self._replicas[namespace]
        if any(t.tokens is not None for t in self._tenants.values()):
            raise Unauthenticated(REFUSAL)
        msg = f"there is no namespace {namespace[:MAX_TOKEN_CHARACTERS]!r} here"
        raise NotFound(msg, reason="NAMESPACE_NOT_FOUND")

    def any_token(self, context: grpc.ServicerContext) -> bool:
        """Whether the caller has a valid token of any tenant, or none is asked for; for methods without a namespace."""
        if all(tenant.tokens is None for tenant in self._tenants.values()):
            return True
        presented = hashlib.sha256(bearer_token(context).encode()).digest()
        valid = [digest for tenant in self._tenants.values() if tenant.tokens for digest in tenant.tokens()]
        matches = [hmac.compare_digest(presented, digest) for digest in valid]
        return any(matches)


def bearer_token(context: grpc.ServicerContext) -> str:
    """The token of the call's ``authorization`` header; empty if there is none."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str) and value[: len(_PREFIX)].lower() == _PREFIX:
            return value[len(_PREFIX) : MAX_TOKEN_CHARACTERS]
    return ""
