"""Decides who may call, before and after the request is known. Deciding changes nothing.

Before anything of a request is read, a caller must be known to some namespace (:meth:`Authority.admit`); which
namespace they name is known only then (:meth:`Authority.authorize`). Unknown namespaces, missing, wrong, expired and
other tenants' tokens get the same answer, in the same time, so that no caller learns what exists. The answer to a valid
one is the replica itself: there is no other way to one.
"""

from collections.abc import Callable
from typing import Protocol

import grpc

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.endpoint.replica import Replica
from dirsync.errors import InvalidMessage, NotFound, PermissionDenied
from dirsync.rpc.auth.bearer import Caller, caller_of
from dirsync.rpc.auth.gate import AuthGate, InvalidCredentials
from dirsync.wire.descriptors import NAMESPACE_KEY
from dirsync.wire.push.messages import check_traceparent
from dirsync_server.call import Call
from dirsync_server.namespaces.slot import Hold
from dirsync_server.tenancy.registry import TenantRegistry, Tenants
from dirsync_server.tenancy.tenants import Decision, Tenant

WRONG_CERTIFICATE = (
    "the certificate of this client has no name that may use what the token is for; show another certificate"
)
"""The answer to a valid token with a certificate that may not use it."""
_MAX_SHOWN = 128


class Replicas(Protocol):
    """Where the replicas are."""

    def use(self, namespace: str, hold: Hold) -> Replica:
        """The replica of a namespace for a call, until the call ends.

        Raises:
            Unavailable: it cannot be opened now.
        """
        ...


class Authority:
    """Knows the tenants, what credentials they accept, and their replicas."""

    def __init__(
        self,
        registry: TenantRegistry,
        replicas: Replicas,
        *,
        requires_credentials: bool,
        gate: AuthGate | None = None,
        wall: WallNanoseconds = wall_ns,
    ) -> None:
        """``replicas`` knows each namespace that ``registry`` can name."""
        self._registry = registry
        self._replicas = replicas
        self._requires_credentials = requires_credentials
        self._gate = gate or AuthGate()
        self._wall = wall

    def admit(self, context: grpc.ServicerContext) -> None:
        """Let a caller in who may use some namespace.

        Raises:
            InvalidCredentials: nothing valid was shown.
            PermissionDenied: a valid token, with a certificate that may not use it.
        """
        if self._requires_credentials:
            self._gate.authenticate(context, self._registry.current, self._require_known)

    def authorize(self, namespace: str, context: grpc.ServicerContext) -> Replica:
        """The replica of ``namespace`` if the caller may use it.

        Raises:
            InvalidCredentials, PermissionDenied: as for :meth:`admit`.
            NotFound: where no credentials are asked for and there is no such namespace.
            InvalidMessage: the metadata of the call names another namespace.
            Unavailable: the namespace cannot be opened now.
        """
        if self._requires_credentials:
            tenant = self._gate.authenticate(
                context, self._registry.current, lambda tenants, caller: self._require(namespace, tenants, caller)
            )
        else:
            tenant = self._open(namespace)
        _require_same_namespace(namespace, context)
        hold = Hold(context.cancel, lambda ended: _on_end(context, ended))
        return self._replicas.use(tenant.namespace, hold)

    def call(self, context: grpc.ServicerContext) -> Call:
        """The call that a gRPC context stands for."""
        return Call(
            authorize=lambda namespace: self.authorize(namespace, context),
            recheck=lambda namespace: self.keep(namespace, context),
            cancelled=lambda: not context.is_active(),
            end=context.cancel,
            on_end=lambda ended: _on_end(context, ended),
            traceparent=_traceparent(context),
        )

    def keep(self, namespace: str, context: grpc.ServicerContext) -> Callable[[], None]:
        """For a call that goes on: a check that the caller may still use what it was authorized for.

        It raises as :meth:`authorize`, and is cheap enough to come before each message.
        """
        if not self._requires_credentials:
            return lambda: None
        caller = caller_of(context)

        def check() -> None:
            tenant = self._registry.current().get(namespace)
            _require_allowed(Decision.UNKNOWN if tenant is None else tenant.decide(caller, self._wall()))

        return check

    def _require_known(self, tenants: Tenants, caller: Caller) -> None:
        decisions = set(self._decisions(tenants, caller).values())
        best = next((one for one in (Decision.ALLOW, Decision.WRONG_CERTIFICATE) if one in decisions), Decision.UNKNOWN)
        _require_allowed(best)

    def _require(self, namespace: str, tenants: Tenants, caller: Caller) -> Tenant:
        # All tenants are asked: one that is asked alone, or not at all, would take its own time.
        _require_allowed(self._decisions(tenants, caller).get(namespace, Decision.UNKNOWN))
        return tenants[namespace]

    def _decisions(self, tenants: Tenants, caller: Caller) -> dict[str, Decision]:
        now = self._wall()
        return {name: tenant.decide(caller, now) for name, tenant in tenants.items()}

    def _open(self, namespace: str) -> Tenant:
        tenant = self._registry.current().get(namespace)
        if tenant is None:
            msg = f"there is no namespace {namespace[:_MAX_SHOWN]!r} here"
            raise NotFound(msg, reason="NAMESPACE_NOT_FOUND")
        return tenant


def _require_allowed(decision: Decision) -> None:
    if decision is Decision.WRONG_CERTIFICATE:
        raise PermissionDenied(WRONG_CERTIFICATE)
    if decision is not Decision.ALLOW:
        raise InvalidCredentials


def _require_same_namespace(namespace: str, context: grpc.ServicerContext) -> None:
    """Refuse a call that a proxy has routed by another namespace than the one that it is about.

    It would open the namespace on a server that is not the one for it. Only who may use the namespace gets here.
    """
    named = {value for key, value in context.invocation_metadata() or () if key == NAMESPACE_KEY}
    if named and named != {namespace}:
        msg = f"the metadata {NAMESPACE_KEY} and the request name different namespaces"
        raise InvalidMessage(msg, reason="NAMESPACE_DIFFERS")


def _on_end(context: grpc.ServicerContext, ended: Callable[[], None]) -> None:
    if not context.add_callback(ended):
        ended()


def _traceparent(context: grpc.ServicerContext) -> str:
    found = next((value for key, value in context.invocation_metadata() if key == "traceparent"), "")
    return check_traceparent(found) if isinstance(found, str) else ""
