"""The services of the API as their descriptors say: full names, and for each method which of its sides stream."""

from typing import NamedTuple

from dirsync.v1 import agent_service_pb2, replica_service_pb2, sync_service_pb2

SYNC_SERVICE: str = sync_service_pb2.DESCRIPTOR.services_by_name["SyncService"].full_name
REPLICA_SERVICE: str = replica_service_pb2.DESCRIPTOR.services_by_name["ReplicaService"].full_name
AGENT_SERVICE: str = agent_service_pb2.DESCRIPTOR.services_by_name["AgentService"].full_name

PUSH_CHANGES = f"/{SYNC_SERVICE}/PushChanges"
"""The one method whose requests go on for as long as a client lives."""
WATCH_REPLICA = f"/{SYNC_SERVICE}/WatchReplica"
READ_CONTENT = f"/{SYNC_SERVICE}/ReadContent"

NAMESPACE_KEY = "dirsync-namespace"
"""The metadata of a call that names its namespace, so that a proxy can choose the server by it."""

_DESCRIPTORS = {
    service.full_name: service
    for file in (sync_service_pb2, replica_service_pb2, agent_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
}


class Method(NamedTuple):
    """A method of a service and which of its sides stream."""

    service: str
    name: str
    client_streaming: bool
    server_streaming: bool

    @property
    def path(self) -> str:
        """The HTTP/2 path of the method."""
        return f"/{self.service}/{self.name}"


def methods(service: str) -> list[Method]:
    """The methods of a service, from its descriptor."""
    return [Method(service, m.name, m.client_streaming, m.server_streaming) for m in _DESCRIPTORS[service].methods]
