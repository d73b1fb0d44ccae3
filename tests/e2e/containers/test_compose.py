"""``docker compose up`` as a person does it, in a clone, on a real engine."""

import os
import subprocess
from pathlib import Path

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # type: ignore[import-untyped]
    ProtoReflectionDescriptorDatabase,
)

from dirsync.limits import KIB, MIB
from tests.e2e.containers.project import Project
from tests.support.content import random_bytes
from tests.support.engine import Container
from tests.support.metrics import get, scrape
from tests.support.trees import File, Link, Spec, build, differences, look
from tests.support.waiting import until

AT_ONCE_SECONDS = 2.0
TREE: Spec = {
    "a.txt": "hello",
    "docs/manual/page": "text\n" * 1000,
    "run": File(b"#!/bin/sh\n", mode=0o755),
    "link": Link("docs/manual"),
    "empty/": None,
}
USER = os.geteuid()
as_root = pytest.mark.needs("privileged")


class TestFirstTry:
    """A fresh clone."""

    def test_mirror(self, project: Project) -> None:
        """After ``up --wait``, what is put into the source is in the replica at once; and again after ``down``."""
        project.up()
        build(project.source, TREE)
        project.until_equal()
        build(project.source, {"late": "later"})
        until((project.replica / "late").exists, "a new file is there at once", seconds=AT_ONCE_SECONDS)
        project.down()
        project.up()
        build(project.source, {"later": "still"})
        project.until_equal(AT_ONCE_SECONDS)

    def test_nothing_is_uploaded_twice(self, project: Project) -> None:
        """Neither a restart nor a new pair of containers sends again what is there; not even with all state lost."""
        project.up()
        build(project.source, {**TREE, "large": random_bytes(5 * MIB)})
        project.until_equal()
        for again in (lambda: project.compose("restart"), project.down, lambda: project.down("--volumes")):
            again()
            project.up()
            sent = scrape(project.port("client", 9102)).value("dirsync_wire_bytes_total", direction="sent")

            assert sent < 4 * KIB
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
            listed = set(list_services(container.port(grpc_port)))
            bindings = [b for found in container.inspect()["NetworkSettings"]["Ports"].values() for b in found or ()]

            assert names | {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} == listed
            assert 200 == get(container.port(http_port), "/readyz").status
            assert {"127.0.0.1"} == {binding["HostIp"] for binding in bindings}
            assert "dirsync_build_info" in scrape(container.port(http_port)).names

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

            assert "65532:65532" == found["Config"]["User"]
            assert host["ReadonlyRootfs"] is True
            assert ["ALL"] == host["CapDrop"]
            assert not host["CapAdd"]
            assert "no-new-privileges:true" in host["SecurityOpt"]
            assert 0 < host["Memory"] <= 512 * MIB
            assert 0 < host["PidsLimit"]
            assert "CapEff:\t0000000000000000" in running.container(service).execute("cat", "/proc/1/status").stdout


class TestOwners:
    """Mount points, whoever made them."""

    def test_made_by_the_engine(self, project: Project) -> None:
        """Missing mount points are made; the replica becomes the services', the source the project's owner's."""
        owner = USER
        if USER == 0:
            owner = 4321
            os.chown(project.place / "docker-compose.yml", owner, owner)
        project.up()
        build(project.source, TREE)
        project.until_equal()

        assert (owner, 65532) == (project.source.stat().st_uid, project.replica.stat().st_uid)

    @as_root
    def test_foreign(self, project: Project) -> None:
        """Empty mount points of somebody whom nobody knows work, for services that run as anybody."""
        project.environment |= {"PUID": "12345", "PGID": "54321"}
        for path in (project.source, project.replica):
            path.mkdir(parents=True)
            os.chown(path, 100_000, 100_000)
        build(project.source, TREE)
        project.up()
        project.until_equal()
        owners = {(p.lstat().st_uid, p.lstat().st_gid) for p in [project.replica, *project.replica.rglob("*")]}

        assert {(12345, 54321)} == owners
        assert 100_000 == project.source.stat().st_uid

    @as_root
    def test_own(self, project: Project) -> None:
        """A person who has made both, and runs the services as himself, keeps both, and the replica's files are his."""
        project.environment |= {"PUID": "1000", "PGID": "1000"}
        for path in (project.source, project.replica):
            path.mkdir(parents=True)
            path.chmod(0o700)
            os.chown(path, 1000, 1000)
        project.up()
        build(project.source, {"private": File(b"x", mode=0o644)})
        project.until_equal()

        assert (1000, 1000) == (project.source.stat().st_uid, project.replica.stat().st_uid)
        assert 1000 == (project.replica / "private").stat().st_uid

    @as_root
    def test_not_empty(self, project: Project) -> None:
        """What holds something is left alone: nothing starts, and one line says whose it is and what to do."""
        build(project.replica, {"precious": "data"})
        os.chown(project.replica, 100_000, 100_000)
        done = project.try_compose("up", "--detach", "--wait")
        (line,) = [line for line in project.container("prepare").lines() if "replica" in line]

        assert 0 != done.returncode
        assert "./data/replica (owner 100000:100000, mode 0755) cannot be written by uid 65532" in line
        assert "PUID=100000" in line
        assert "sudo chown -R 65532:65532 ./data/replica" in line
        assert 100_000 == project.replica.stat().st_uid
        assert {"precious"} == set(look(project.replica))
        assert "created" == project.container("server").state["Status"]


class TestKilled:
    """Containers that end without notice."""

    @pytest.mark.case("A18")
    def test_server(self, project: Project) -> None:
        """A server killed while it takes files leaves whole ones only, and goes on with its volume where it was."""
        spec = {f"d{n % 7}/{n}": random_bytes(64 * KIB, seed=n) for n in range(200)}
        project.override("client", DIRSYNC_CLIENT_BANDWIDTH_LIMIT="8MiB")
        project.up("server")
        build(project.source, {**spec, "large": random_bytes(12 * MIB)})
        project.compose("up", "--detach", "client")
        until(lambda: len(replica_files(project)) > 20, "files arrive")
        project.compose("kill", "--signal=KILL", "server")
        source, left = look(project.source), look(project.replica)
        whole = {path: seen for path, seen in left.items() if seen.kind == "file" and ".dirsync-staging" not in path}
        torn = [path for path, seen in whole.items() if seen.content != source[path].content]
        killed = project.container("server").state["ExitCode"]
        project.override("client")
        project.up()
        project.until_equal(60)

        assert 137 == killed
        assert 20 < len(whole) < len(source)
        assert [] == torn

    @pytest.mark.case("A18")
    def test_client(self, project: Project) -> None:
        """A client that is killed is who it was when it returns, and what changed meanwhile follows."""
        project.up()
        build(project.source, TREE)
        project.until_equal()
        project.compose("kill", "--signal=KILL", "client")
        build(project.source, {"a.txt": "changed while nobody looked", "new": "file"})
        (project.source / "run").unlink()
        project.up()
        project.until_equal()
        sessions = project.container("server").events("session.opened")

        assert 2 == len(sessions)
        assert 1 == len({event["client"] for event in sessions})


class TestScale:
    """More containers of a service than there may be."""

    @pytest.mark.parametrize(
        "service, word", [("server", "in use by another process"), ("client", "another client is running")]
    )
    def test_second(self, project: Project, service: str, word: str) -> None:
        """The second refuses to share the first's volume and says so; the mirror goes on, and lives without it."""
        project.up()
        project.compose("up", "--detach", "--no-deps", "--no-recreate", f"--scale={service}=2", service)
        names = project.compose("ps", "--all", "--quiet", service).split()

        assert 2 == len(names)
        until(lambda: any(word in line for name in names for line in Container(name).lines()), "the second refuses")
        build(project.source, TREE)
        project.until_equal()
        project.compose("up", "--detach", "--no-deps", "--no-recreate", f"--scale={service}=1", service)
        build(project.source, {"afterwards": "too"})
        project.until_equal()


class TestStopping:
    """The end of both."""

    @pytest.mark.case("L05")
    def test_stop(self, project: Project) -> None:
        """Both end by themselves within the time that compose gives, with status 0."""
        project.up()
        project.compose("stop")
        codes = {service: project.container(service).state["ExitCode"] for service in ("server", "client")}

        assert {"server": 0, "client": 0} == codes


def list_services(port: int) -> list[str]:
    """What reflection says."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return sorted(ProtoReflectionDescriptorDatabase(channel).get_services())


def replica_files(project: Project) -> list[Path]:
    """The files of the replica so far."""
    return [path for path in project.replica.glob("d*/*") if path.is_file()]
