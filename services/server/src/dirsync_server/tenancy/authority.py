"""Who may call: what a caller shows is judged by the tenants, before and after its request is known.

Before anything of a request is looked at, a caller must be somebody (:meth:`Authority.admit`); which namespace it names
is known only then (:meth:`Authority.authorize`). Unknown namespaces, missing, wrong, expired and other tenants' tokens
get the same answer, in the same time, so that nobody learns what exists. The answer to a valid one is the replica
itself: there is no other way to one.
"""

from collections.abc import Callable, Mapping

import grpc

from dirsync.clock import WallNanoseconds, wall_ns
from dirsync.endpoint.replica import Replica
from dirsync.errors import NotFound, PermissionDenied
from dirsync.rpc.auth.bearer import Caller, caller_of
from dirsync.rpc.auth.gate import AuthGate, InvalidCredentials
from dirsync_server.call import Call
from dirsync_server.tenancy.registry import Roster
from dirsync_server.tenancy.tenants import Tenant, Verdict

BARRED = "the certificate of this client has no name that may use what the token is for; show another certificate"
"""What is said to a valid token in the wrong hands."""
_MAX_SHOWN = 128


class Authority:
    """Knows the tenants, what opens them, and their replicas."""

    def __init__(
        self,
        roster: Roster,
        replicas: Mapping[str, Replica],
        *,
        asks: bool,
        gate: AuthGate | None = None,
        wall: WallNanoseconds = wall_ns,
    ) -> None:
        """``replicas`` has one for each namespace that ``roster`` can name; ``asks``: credentials are asked for."""
        self._roster = roster
        self._replicas = replicas
        self._asks = asks
        self._gate = gate or AuthGate()
        self._wall = wall

    def admit(self, context: grpc.ServicerContext) -> None:
        """Let in whoever may use some namespace.

        Raises:
            InvalidCredentials: nothing valid was shown.
            PermissionDenied: a valid token, with a certificate that may not use it.
        """
        if self._asks:
            self._gate.authenticate(context, self._roster, self._require_somebody)

    def authorize(self, namespace: str, context: grpc.ServicerContext) -> Replica:
        """The replica of ``namespace`` if the caller may use it.

        Raises:
            InvalidCredentials, PermissionDenied: as for :meth:`admit`.
            NotFound: where no credentials are asked for and there is no such namespace.
        """
        if self._asks:
            tenant = self._gate.authenticate(
                context, self._roster, lambda roster, caller: self._require(namespace, roster, caller)
            )
        else:
            tenant = self._open(namespace)
        return self._replica(tenant)

    def call(self, context: grpc.ServicerContext) -> Call:
        """The call that a gRPC context stands for."""
        return Call(
            authorize=lambda namespace: self.authorize(namespace, context),
            recheck=lambda namespace: self.keep(namespace, context),
            cancelled=lambda: not context.is_active(),
            end=context.cancel,
        )

    def keep(self, namespace: str, context: grpc.ServicerContext) -> Callable[[], None]:
        """For a call that goes on: a check that the caller may still use what it was authorized for.

        It raises as :meth:`authorize`, and is cheap enough to come before each message.
        """
        if not self._asks:
            return lambda: None
        caller = caller_of(context)

        def check() -> None:
            tenant = self._roster().get(namespace)
            verdict = Verdict.STRANGER if tenant is None else tenant.judge(caller, self._wall())
            _require_entry(verdict)
            assert tenant is not None
            self._replica(tenant)

        return check

    def _require_somebody(self, roster: Mapping[str, Tenant], caller: Caller) -> None:
        verdicts = set(self._verdicts(roster, caller).values())
        best = next((verdict for verdict in (Verdict.ENTER, Verdict.BARRED) if verdict in verdicts), Verdict.STRANGER)
        _require_entry(best)

    def _require(self, namespace: str, roster: Mapping[str, Tenant], caller: Caller) -> Tenant:
        # All tenants are asked: one that is asked alone, or not at all, would take its own time.
        _require_entry(self._verdicts(roster, caller).get(namespace, Verdict.STRANGER))
        return roster[namespace]

    def _verdicts(self, roster: Mapping[str, Tenant], caller: Caller) -> dict[str, Verdict]:
        now = self._wall()
        return {name: tenant.judge(caller, now) for name, tenant in roster.items()}

    def _open(self, namespace: str) -> Tenant:
        tenant = self._roster().get(namespace)
        if tenant is None:
            msg = f"there is no namespace {namespace[:_MAX_SHOWN]!r} here"
            raise NotFound(msg, reason="NAMESPACE_NOT_FOUND")
        return tenant

    def _replica(self, tenant: Tenant) -> Replica:
        """The tenant's replica, with the quota that it has now."""
        replica = self._replicas[tenant.namespace]
        if replica.policy.quota != tenant.policy.quota:
            replica.policy = replica.policy._replace(quota=tenant.policy.quota)
        return replica


def _require_entry(verdict: Verdict) -> None:
    if verdict is Verdict.BARRED:
        raise PermissionDenied(BARRED)
    if verdict is not Verdict.ENTER:
        raise InvalidCredentials
