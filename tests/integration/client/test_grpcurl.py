"""Every command of docs/grpcurl.md, against a real pair: by grpcurl if it is there, and by what it does in any case."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.outside.grpcurl import Answer, run
from tests.support.outside.manifests import REPOSITORY
from tests.support.running.programs import Client, Pair
from tests.support.trees.trees import build

pytestmark = pytest.mark.programs

SERVER_PORT, AGENT_PORT = 50051, 50052
COMMANDS = re.findall(r"^grpcurl .+", (REPOSITORY / "docs" / "grpcurl.md").read_text(), re.MULTILINE)
ENDS_OTHERWISE = {"WatchEvents": "DEADLINE_EXCEEDED", "ApproveHold": "NOT_FOUND"}
"""What has another status than OK: as the page says."""
FIELDS = {
    "AgentService/GetStatus": "inSync",
    "SyncNow": "inSync",
    "ExplainPath": "state",
    "ReplicaService/GetStatus": "rootDigestHex",
    "ListEntries": "entries",
    "StatEntry": "entry",
    "VerifyContent": "summary",
    "Health/Check": "status",
}
"""A field that the answer has."""


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, str]]:
    """The addresses of a pair, by the ports that the page has for them."""
    pair = Pair(tmp_path_factory.mktemp("pair"))
    build(pair.source, {"notes/today": "hello"})
    server = pair.server()
    client: Client = pair.client()
    client.wait_until_in_sync()
    yield {SERVER_PORT: server.address, AGENT_PORT: client.address}
    wrong = pair.end()

    assert wrong == []


def expected_code(command: str) -> str:
    """How a command ends."""
    return next((code for method, code in ENDS_OTHERWISE.items() if command.endswith(method)), "OK")


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, ports: dict[int, str]) -> None:
    """A command of the page does what the page says."""
    answer: Answer = run(command, ports)

    assert expected_code(command) == answer.code
    fields = (field for method, field in FIELDS.items() if command.endswith(method) and not answer.lines)
    field = next(fields, None)
    assert field is None or any(field in message for message in answer.messages)
    assert answer.messages or answer.lines or answer.code != "OK" or command.endswith("ListProblems")
    if shutil.which("grpcurl"):
        for port, address in ports.items():
            command = command.replace(f"127.0.0.1:{port}", address)
        ended = subprocess.run(["sh", "-c", command], capture_output=True, check=False)

        assert (answer.code == "OK") == (ended.returncode == 0)


def test_all_methods() -> None:
    """The page has a command for each method that changes nothing, and for each of the agent."""
    services = {"replica_service": "ReplicaService", "agent_service": "AgentService"}
    missing = [
        f"{service}/{method}"
        for file, service in services.items()
        for method in re.findall(r"rpc (\w+)", (REPOSITORY / "proto" / "dirsync" / "v1" / f"{file}.proto").read_text())
        if not any(command.endswith(f"{service}/{method}") for command in COMMANDS)
    ]

    assert [] == missing
