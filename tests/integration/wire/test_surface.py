"""What a person with grpcurl finds on both services: the methods of the contract, reflection, health."""

from collections.abc import Iterator

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.internal import api_implementation
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]

from tests.support.peers.wire import Answer, Wire
from tests.support.running.programs import Pair
from tests.support.running.waiting import until

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
HEALTH = "grpc.health.v1.Health"
CONTRACT = {
    "dirsync.v1.SyncService": [
        *("OpenSession", "ListDirectories", "GetSignature", "PushChanges"),
        *("WatchReplica", "ReadContent", "CloseSession"),
    ],
    "dirsync.v1.ReplicaService": ["GetStatus", "ListEntries", "StatEntry", "VerifyContent"],
    "dirsync.v1.AgentService": ["GetStatus", "SyncNow", "ListProblems", "ApproveHold", "ExplainPath", "WatchEvents"],
}
SERVICES = {
    "server": {"dirsync.v1.SyncService", "dirsync.v1.ReplicaService", HEALTH, REFLECTION},
    "client": {"dirsync.v1.AgentService", HEALTH, REFLECTION},
}
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module", params=SERVICES)
def service(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Wire]]:
    """The name of a service and a raw peer of it."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    process = pair.server()
    with Wire(process.address if request.param == "server" else pair.client().address) as wire:
        yield request.param, wire
    wrong = pair.end()

    assert wrong == []


def reflect(wire: Wire, **question: str) -> reflection_pb2.ServerReflectionResponse:
    """One question to reflection, and its answer."""
    request = reflection_pb2.ServerReflectionRequest(**question)
    answer = wire.stream(f"/{REFLECTION}/ServerReflectionInfo", [request])
    (response,) = answer.as_messages(reflection_pb2.ServerReflectionResponse)
    return response


def test_services(service: tuple[str, Wire]) -> None:
    """Reflection lists exactly the services of the contract."""
    name, wire = service
    listed = reflect(wire, list_services="").list_services_response.service

    assert SERVICES[name] == {each.name for each in listed}


def test_methods(service: tuple[str, Wire]) -> None:
    """Reflection describes exactly the methods of the contract."""
    name, wire = service
    found: dict[str, list[str]] = {}
    for symbol in SERVICES[name] & CONTRACT.keys():
        for raw in reflect(wire, file_containing_symbol=symbol).file_descriptor_response.file_descriptor_proto:
            for described in descriptor_pb2.FileDescriptorProto.FromString(raw).service:
                found[f"dirsync.v1.{described.name}"] = [method.name for method in described.method]

    assert {symbol: CONTRACT[symbol] for symbol in found} == found
    assert SERVICES[name] & CONTRACT.keys() == found.keys()


def test_health(service: tuple[str, Wire]) -> None:
    """The empty name is liveness, the service's own name readiness, any other is not known."""
    name, wire = service
    ready = {"server": "dirsync.v1.SyncService", "client": "dirsync.v1.AgentService"}[name]

    def check(what: str) -> Answer:
        return wire.call(f"/{HEALTH}/Check", health_pb2.HealthCheckRequest(service=what))

    # A client looks at its own readiness a few times a second.
    until(lambda: check(ready) == check(""), f"{ready} is serving")

    assert SERVING == check("").as_messages(health_pb2.HealthCheckResponse)[0].status
    assert "NOT_FOUND" == check("elsewhere").status.code


@pytest.mark.parametrize("side", SERVICES)
def test_reflection_off(tmp_path_factory: pytest.TempPathFactory, side: str) -> None:
    """With REFLECTION=false there is none, and health goes on."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    server = pair.server(reflection=side != "server")
    address = server.address if side == "server" else pair.client(reflection=False).address
    with Wire(address) as wire:
        reflected = wire.stream(f"/{REFLECTION}/ServerReflectionInfo", [reflection_pb2.ServerReflectionRequest()])
        healthy = wire.call(f"/{HEALTH}/Check", health_pb2.HealthCheckRequest())
    wrong = pair.end()

    assert wrong == []
    assert ("UNIMPLEMENTED", "OK") == (reflected.status.code, healthy.status.code)


def test_fast_protobuf() -> None:
    """The protobuf library that we install runs its fast backend."""
    assert "upb" == api_implementation.Type()
