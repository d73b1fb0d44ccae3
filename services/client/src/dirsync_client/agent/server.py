"""The gRPC server of a running client: agent, health, reflection."""

import os
from pathlib import Path

import grpc

from dirsync.limits import LIMITS
from dirsync.rpc.auth.caller_key import caller_key
from dirsync.rpc.auth.tls import NamedFile, ServerSecurity
from dirsync.rpc.channel import server_options
from dirsync.rpc.health_service import add_health_service
from dirsync.rpc.interceptors.admission import admission
from dirsync.rpc.interceptors.call_limit import CallLimitInterceptor
from dirsync.rpc.interceptors.call_metrics import GrpcMetricsInterceptor, grpc_metrics
from dirsync.rpc.interceptors.rejections import rejections
from dirsync.rpc.listen import listen
from dirsync.rpc.reflection import METHOD as REFLECTION_METHOD
from dirsync.rpc.reflection import add_reflection
from dirsync.rpc.service import generic_handler
from dirsync.rpc.worker_pool import worker_pool
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.secrets import TokenFile
from dirsync.runtime.http.health import HealthState
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.catalogue import Metric
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.wire.descriptors import AGENT_SERVICE, methods
from dirsync_client.agent.auth import AgentAuth
from dirsync_client.agent.service import AgentServicer
from dirsync_client.agent.unix_socket import SOCKET, UnixSocket
from dirsync_client.mailbox import Mailbox
from dirsync_client.session.channel import own_identity
from dirsync_client.settings import ClientSettings
from dirsync_client.targets.boards import Boards

MAX_CALLERS = 8
"""Programs that may keep a connection to the agent, beside the reserve."""
STOP_GRACE_SECONDS = 0.5
SERVED = tuple(methods(AGENT_SERVICE))
MAX_CALLS = LIMITS.max_watchers + LIMITS.max_calls_per_caller
"""Calls of one caller: all watchers may be theirs, and they may still ask."""
MAX_WORKERS = MAX_CALLS + LIMITS.max_health_calls + LIMITS.reserve_workers
"""Threads that the pool has to have."""


def agent_metrics() -> tuple[Metric, ...]:
    """The metrics of the agent's methods."""
    return grpc_metrics(SERVED)


class AgentServer:
    """Serves at LISTEN, and to this user alone at the socket in STATE_DIR."""

    def __init__(
        self, settings: ClientSettings, mailbox: Mailbox, boards: Boards, health: HealthState, metrics: Metrics
    ) -> None:
        """Bind both; calls are answered from :meth:`start` on. The lock of STATE_DIR must be held.

        Raises:
            UsageError: the address cannot be listened on.
        """
        rejected = rejections(metrics)
        token = settings.agent_token_file
        auth = AgentAuth(TokenFile(token, variable_name("client", "agent_token_file")) if token else None)
        shown = str(settings.server), str(settings.namespace)
        agent = AgentServicer(mailbox, boards, settings.targets, shown, auth)
        self._server = grpc.server(
            worker_pool(MAX_WORKERS, "dirsync-rpc"),
            interceptors=[
                CallLimitInterceptor(caller_key, MAX_CALLS, rejected),
                GrpcMetricsInterceptor(metrics, SERVED),
            ],
            options=server_options(MAX_CALLERS),
        )
        self._server.add_generic_rpc_handlers(
            (generic_handler(AGENT_SERVICE, agent.handlers(), rejected, admit=auth.admit),)
        )
        add_health_service(self._server, health, AGENT_SERVICE)
        if settings.reflection:
            add_reflection(self._server, (AGENT_SERVICE,), admission(auth.admit, rejected, REFLECTION_METHOD))
        self._security = security = _security(settings)
        credentials = security.credentials if security else None
        listen(self._server, settings.listen, variable_name("client", "listen"), credentials)
        self._socket = _bind_socket(self._server, settings.state_dir)

    def certificate_ends_at(self) -> float:
        """When the certificate ends that the next caller is shown. Unix time; 0 without one."""
        return self._security.certificate_ends_at() if self._security else 0.0

    def start(self) -> None:
        """Answer calls."""
        self._server.start()

    def stop(self) -> None:
        """End all calls and remove the socket."""
        self._server.stop(STOP_GRACE_SECONDS).wait(2 * STOP_GRACE_SECONDS)
        if self._socket is not None:
            self._socket.remove()
            self._socket.close()


def _bind_socket(server: grpc.Server, state_dir: Path) -> UnixSocket | None:
    """The socket, bound; None where the file system has no sockets, which is logged."""
    try:
        socket = UnixSocket(state_dir)
    except OSError as error:
        _no_socket(state_dir, str(error))
        return None
    socket.remove()
    mask = os.umask(0o177)  # the socket is never open to others, not even for a moment
    try:
        server.add_insecure_port(socket.target)
    except RuntimeError:
        socket.close()
        _no_socket(state_dir, "it cannot be bound there")
        return None
    finally:
        os.umask(mask)
    return socket


def _no_socket(state_dir: Path, reason: str) -> None:
    problem = f"{SOCKET} in {state_dir}: {reason}; the commands ask the agent at its address instead"
    get_logger().warning(Event.AGENT_DEGRADED, reason=problem)


def _security(settings: ClientSettings) -> ServerSecurity | None:
    """What the agent shows and asks for; None without TLS."""
    identity = own_identity(settings)
    if identity is None or not settings.serves_tls:
        return None
    authority = settings.tls_client_ca_file
    name = variable_name("client", "tls_client_ca_file")
    return ServerSecurity(identity, NamedFile(authority, name) if authority else None)
