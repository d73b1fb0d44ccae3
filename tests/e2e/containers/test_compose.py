"""``docker compose up`` as a person does it, in a clone, on a real engine."""

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # type: ignore[import-untyped]
    ProtoReflectionDescriptorDatabase,
)

from dirsync.limits import KIB, MIB
from tests.e2e.containers.conftest import Clones
from tests.e2e.containers.project import Project
from tests.support.outside.engine import docker, together
from tests.support.running.metrics import get, scrape
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, Link, Spec, build, differences, look

AT_ONCE_SECONDS = 2.0
TREE: Spec = {
    "a.txt": "hello",
    "docs/manual/page": "text\n" * 1000,
    "run": File(b"#!/bin/sh\n", mode=0o755),
    "link": Link("docs/manual"),
    "empty/": None,
}
USER = os.geteuid()
OWNER = 4321 if USER == 0 else USER
"""Whose clone the project is."""
NOBODY = 100_000
Arrange = Callable[[Project], None]
Owned = dict[Arrange, Project]
as_root = pytest.mark.needs("privileged")


class TestFirstTry:
    """A fresh clone."""

    @pytest.mark.case("L05")
    def test_mirror(self, project: Project) -> None:
        """What is put into the source is in the replica at once; after each way to end, nothing is uploaded again."""
        project.up()
        build(project.source, {**TREE, "large": random_bytes(5 * MIB)})
        project.until_equal()
        project.compose("stop")
        codes = {service: project.container(service).state["ExitCode"] for service in ("server", "client")}
        for end in ([], ["down"], ["down", "--volumes"]):
            if end:
                project.compose(*end)
            project.up()
            sent = scrape(project.port("client", 9102)).value("dirsync_wire_bytes_total", direction="sent")

            assert sent < 4 * KIB
        build(project.source, {"late": "later"})
        until((project.replica / "late").exists, "a new file is there at once", seconds=AT_ONCE_SECONDS)

        assert {"server": 0, "client": 0} == codes
        assert [] == differences(project.source, project.replica)


class TestRunning:
    """Both, while they do their work."""

    def test_doors(self, running: Project) -> None:
        """Both list their services through the published ports, are ready, and show themselves; on loopback only."""
        services = {
            "server": (50051, 9101, {"dirsync.v1.SyncService", "dirsync.v1.ReplicaService"}),
            "client": (50052, 9102, {"dirsync.v1.AgentService"}),
        }
        for service, (grpc_port, http_port, names) in services.items():
            container = running.container(service)
            ports = container.ports()
            listed = set(list_services(ports[grpc_port]))
            bindings = [b for found in container.inspect()["NetworkSettings"]["Ports"].values() for b in found or ()]

            assert names | {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} == listed
            assert 200 == get(ports[http_port], "/readyz").status
            assert {"127.0.0.1"} == {binding["HostIp"] for binding in bindings}
            assert "dirsync_build_info" in scrape(ports[http_port]).names

    @pytest.mark.needs("prometheus")
    @pytest.mark.parametrize("service, port", [("server", 9101), ("client", 9102)])
    def test_metrics(self, running: Project, service: str, port: int) -> None:
        """Prometheus' own checker has nothing to say about what they show."""
        shown = get(running.port(service, port), "/metrics").body
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=shown, capture_output=True, text=True, check=False, timeout=60
        )

        assert (0, "", "") == (checked.returncode, checked.stdout, checked.stderr)

    def test_commands(self, running: Project) -> None:
        """The client's commands work in its container."""
        build(running.source, {"commands": "work"})
        running.until_equal()
        client = running.container("client")
        until(lambda: client.execute("dirsync-client", "status").returncode == 0, "it is in sync")
        verified = client.execute("dirsync-client", "verify", "--deep", "--json")

        assert 0 == verified.returncode, verified.stderr

    @pytest.mark.case("L06")
    def test_hardened(self, running: Project) -> None:
        """While they work, no container is root, has capabilities, gains rights, writes its image, or is unbounded."""
        build(running.source, {"hardened": "works"})
        running.until_equal()
        for service in ("server", "client"):
            found = running.container(service).inspect()
            host = found["HostConfig"]

            assert running.user == found["Config"]["User"]
            assert host["ReadonlyRootfs"] is True
            assert ["ALL"] == host["CapDrop"]
            assert not host["CapAdd"]
            assert "no-new-privileges:true" in host["SecurityOpt"]
            assert 0 < host["Memory"] <= 512 * MIB
            assert 0 < host["PidsLimit"]
            assert "CapEff:\t0000000000000000" in running.container(service).execute("cat", "/proc/1/status").stdout


def made_by_the_engine(project: Project) -> None:
    """The mount points are missing; the project belongs to a user."""
    if USER == 0:
        os.chown(project.place / "docker-compose.yml", OWNER, OWNER)


def foreign(project: Project) -> None:
    """Empty mount points of an unknown user, and services that run as any user."""
    project.environment |= {"PUID": "12345", "PGID": "54321"}
    for path in (project.source, project.replica):
        path.mkdir(parents=True)
        os.chown(path, NOBODY, NOBODY)


def own(project: Project) -> None:
    """Both made by a user, for that user alone, who also runs the services."""
    project.environment |= {"PUID": "1000", "PGID": "1000"}
    for path in (project.source, project.replica):
        path.mkdir(parents=True)
        path.chmod(0o700)
        os.chown(path, 1000, 1000)


def not_empty(project: Project) -> None:
    """A replica of another user with something in it."""
    build(project.replica, {"precious": "data"})
    os.chown(project.replica, NOBODY, NOBODY)


@pytest.fixture(scope="module")
def owned(clones: Clones) -> Iterator[Owned]:
    """A project for each state that mount points can be in; all were started, some cannot run."""
    arranged: list[Arrange] = [made_by_the_engine, *([foreign, own, not_empty] if USER == 0 else [])]
    with ExitStack() as stack:
        projects = {arrange: stack.enter_context(clones()) for arrange in arranged}
        for arrange, project in projects.items():
            arrange(project)
        together(*(partial(project.try_compose, "up", "--detach", "--wait") for project in projects.values()))
        yield projects
        together(*(partial(project.down, "--volumes", "--timeout=3") for project in projects.values()))


class TestOwners:
    """Mount points of any owner."""

    def test_made_by_the_engine(self, owned: Owned) -> None:
        """Missing mount points are made; the replica becomes the services', the source the project's owner's."""
        project = owned[made_by_the_engine]
        build(project.source, TREE)
        project.until_equal()

        assert (OWNER, 65532) == (project.source.stat().st_uid, project.replica.stat().st_uid)

    @as_root
    def test_foreign(self, owned: Owned) -> None:
        """Empty mount points of another user work: the services get the replica, the source keeps its owner."""
        project = owned[foreign]
        build(project.source, TREE)
        project.until_equal()
        owners = {(p.lstat().st_uid, p.lstat().st_gid) for p in [project.replica, *project.replica.rglob("*")]}

        assert {(12345, 54321)} == owners
        assert NOBODY == project.source.stat().st_uid

    @as_root
    def test_own(self, owned: Owned) -> None:
        """A user who made both, and also runs the services, keeps both and owns the replica's files."""
        project = owned[own]
        build(project.source, {"private": File(b"x", mode=0o644)})
        project.until_equal()

        assert (1000, 1000) == (project.source.stat().st_uid, project.replica.stat().st_uid)
        assert 1000 == (project.replica / "private").stat().st_uid

    @as_root
    def test_not_empty(self, owned: Owned) -> None:
        """What holds something is left alone: nothing starts, and one line says whose it is and what to do."""
        project = owned[not_empty]
        (line,) = [line for line in project.container("prepare").lines() if "replica" in line]

        assert 1 == project.container("prepare").state["ExitCode"]
        assert f"./data/replica (owner {NOBODY}:{NOBODY}, mode 0755) cannot be written by uid 65532" in line
        assert f"PUID={NOBODY}" in line
        assert "sudo chown -R 65532:65532 ./data/replica" in line
        assert NOBODY == project.replica.stat().st_uid
        assert {"precious"} == set(look(project.replica))
        assert "created" == project.container("server").state["Status"]

    @as_root
    def test_another_user(self, project: Project) -> None:
        """Services that run as another user from now on keep their state: nothing is read or sent again."""
        build(project.source, {"large": random_bytes(MIB), "small": "s"})
        project.up()
        project.until_equal()
        project.down("--timeout=3")
        project.environment |= {"PUID": "12345", "PGID": "12345"}
        for path in (project.replica, *project.replica.rglob("*")):
            os.chown(path, 12345, 12345)
        project.up()
        project.until_equal()
        client = scrape(project.port("client", 9102))

        assert (0, 0) == tuple(client.value(f"dirsync_{name}_bytes_total") for name in ("hashed", "literal"))


class TestKilled:
    """Containers that end without notice."""

    @pytest.mark.case("A18")
    def test_server(self, project: Project) -> None:
        """A server killed while it takes files leaves whole ones only, and goes on with its volume where it was."""
        spec = {f"d{n % 7}/{n}": random_bytes(64 * KIB, seed=n) for n in range(200)}
        project.override("client", {"environment": {"DIRSYNC_CLIENT_BANDWIDTH_LIMIT": "8MiB"}})
        build(project.source, {**spec, "large": random_bytes(12 * MIB)})
        project.compose("up", "--detach")
        server = project.container("server")
        until(lambda: len(replica_files(project)) > 20, "files arrive")
        docker("kill", server.name)
        source, left = look(project.source), look(project.replica)
        whole = {path: seen for path, seen in left.items() if seen.kind == "file" and ".dirsync-staging" not in path}
        torn = [path for path, seen in whole.items() if seen.content != source[path].content]
        killed = server.state["ExitCode"]
        docker("start", server.name)
        project.until_equal(60)

        assert 137 == killed
        assert 20 < len(whole) < len(source)
        assert [] == torn

    @pytest.mark.case("A18")
    def test_client(self, running: Project) -> None:
        """A client that is killed is who it was when it returns, and what changed meanwhile follows."""
        server, client = running.container("server"), running.container("client")
        build(running.source, TREE)
        running.until_equal()
        before = len(server.events("session.opened"))
        docker("kill", client.name)
        build(running.source, {"a.txt": "changed while nobody looked", "new": "file"})
        (running.source / "run").unlink()
        docker("start", client.name)
        running.until_equal()
        sessions = server.events("session.opened")

        assert before + 1 == len(sessions)
        assert 1 == len({event["client"] for event in sessions})


class TestScale:
    """More containers of a service than there may be."""

    @pytest.mark.parametrize(
        "service, word", [("server", "in use by another process"), ("client", "another client is running")]
    )
    def test_second(self, running: Project, service: str, word: str) -> None:
        """The second refuses to share the first's volume and says so; the mirror goes on, and lives without it."""
        running.compose("up", "--detach", "--no-deps", "--no-recreate", f"--scale={service}=2", service)
        both = running.containers(service)

        assert 2 == len(both)
        until(lambda: any(word in line for one in both for line in one.lines()), "the second refuses")
        build(running.source, {f"{service} twice": "yes"})
        running.until_equal()
        running.compose("up", "--detach", "--no-deps", "--no-recreate", f"--scale={service}=1", service)
        build(running.source, {f"{service} afterwards": "too"})
        running.until_equal()


def list_services(port: int) -> list[str]:
    """What reflection says."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return sorted(ProtoReflectionDescriptorDatabase(channel).get_services())


def replica_files(project: Project) -> list[Path]:
    """The files of the replica so far."""
    return [path for path in project.replica.glob("d*/*") if path.is_file()]
