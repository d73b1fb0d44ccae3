"""The gRPC server of a running client: agent, health, reflection."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from dirsync.errors import UsageError
from dirsync.limits import LIMITS
from dirsync.rpc.auth.caller_key import holder_of
from dirsync.rpc.auth.tls import NamedFile, server_credentials
from dirsync.rpc.channel import server_options
from dirsync.rpc.health_service import add_health_service
from dirsync.rpc.interceptors.admission import admission
from dirsync.rpc.interceptors.call_limit import Turnstile
from dirsync.rpc.interceptors.call_metrics import GrpcMetricsInterceptor, grpc_metrics
from dirsync.rpc.interceptors.rejections import rejections
from dirsync.rpc.reflection import METHOD as REFLECTION_METHOD
from dirsync.rpc.reflection import add_reflection
from dirsync.rpc.service import generic_handler
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.secrets import TokenFile
from dirsync.runtime.http.health import HealthState
from dirsync.runtime.metrics.catalogue import Metric
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.wire.descriptors import AGENT_SERVICE, methods
from dirsync_client.agent.auth import AgentDoor
from dirsync_client.agent.service import AgentServicer
from dirsync_client.mailbox import Inbox
from dirsync_client.report.status import StatusBoard
from dirsync_client.session.channel import own_identity
from dirsync_client.settings import ClientSettings

MAX_CALLERS = 8
"""Programs that may keep a connection to the agent beside the reserve."""
SERVED = tuple(methods(AGENT_SERVICE))
MAX_CALLS = LIMITS.max_watchers + LIMITS.max_calls_per_caller
"""Calls of one caller: all watchers may be his, and he may still ask."""
MAX_WORKERS = MAX_CALLS + LIMITS.max_health_calls + LIMITS.reserve_workers
"""Threads that the pool has to have."""


def agent_metrics() -> tuple[Metric, ...]:
    """The metrics of the agent's methods."""
    return grpc_metrics(SERVED)


def make_agent_server(  # the parts that the app joins
    settings: ClientSettings,
    inbox: Inbox,
    board: StatusBoard,
    health: HealthState,
    metrics: Metrics,
    token: TokenFile | None,
    pool: ThreadPoolExecutor,
) -> grpc.Server:
    """The server, bound and not yet started.

    Raises:
        UsageError: the address cannot be listened on.
    """
    rejected = rejections(metrics)
    server = grpc.server(
        pool,
        interceptors=[Turnstile(holder_of, MAX_CALLS, rejected), GrpcMetricsInterceptor(metrics, SERVED)],
        options=server_options(MAX_CALLERS),
    )
    door = AgentDoor(token)
    agent = AgentServicer(inbox, board, str(settings.server), settings.namespace, door)
    server.add_generic_rpc_handlers((generic_handler(AGENT_SERVICE, agent.handlers(), rejected, admit=door.admit),))
    add_health_service(server, health, AGENT_SERVICE)
    if settings.reflection:
        add_reflection(server, (AGENT_SERVICE,), admission(door.admit, rejected, REFLECTION_METHOD))
    _bind(server, settings)
    return server


def _bind(server: grpc.Server, settings: ClientSettings) -> None:
    address, identity = str(settings.listen), own_identity(settings)
    try:
        if identity is not None and settings.serves_tls:
            authority = settings.tls_client_ca_file
            name = variable_name("client", "tls_client_ca_file")
            credentials = server_credentials(identity, NamedFile(authority, name) if authority else None)
            bound = server.add_secure_port(address, credentials)
        else:
            bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        name = variable_name("client", "listen")
        msg = f"{name}={address}: the port is taken, or the address is not of this machine; choose another"
        raise UsageError(msg)
