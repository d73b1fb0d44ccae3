"""Descriptors, memory, a disk that turns read-only or is slow, one processor: bounded degradation, and recovery."""

import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import MIB
from tests.support.faults.privileges import tmpfs
from tests.support.faults.syscalls import Injection, prefix
from tests.support.peers.tenants import File as Tenants
from tests.support.running.figures import answer_seconds, descriptors, resident_kib
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.edits import scatter
from tests.support.trees.trees import File, build, differences, equal, look
from tests.support.trees.turns import neither

pytestmark = pytest.mark.programs

FEW = 48
"""Open files, of which a program uses some twenty at rest."""


def many(text: str) -> dict[str, str]:
    """Files in many directories."""
    return {f"d{number % 40}/e{number % 7}/f{number}": f"{text} {number}" for number in range(400)}


def allow_files(pid: int, number: int) -> None:
    """Change how many files a running process may have open."""
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, most))


@pytest.mark.case("B04")
@pytest.mark.parametrize("side", ["server", "client"])
def test_few_descriptors(pair: Pair, side: str) -> None:
    """With hardly a descriptor left nothing crashes and nothing is harmed; with enough of them all is well again."""
    server, client = pair.server(), pair.client(rescan_interval="1s")
    build(pair.source, many("old"))
    until(lambda: equal(pair.source, pair.replica), "the first state", seconds=30)
    old = look(pair.source)
    starved = server if side == "server" else client
    for process in (server, client):
        process.log.forgive("Too many open files")
        process.log.forgive("Resource temporarily unavailable")
    allow_files(starved.pid, descriptors(starved.pid) + 1)
    build(pair.source, many("newer") | {"large": File(random_bytes(3 * MIB)).content.hex()[:200_000]})
    time.sleep(3)
    found, alive = look(pair.replica), not starved.ended
    wanted = look(pair.source)
    allow_files(starved.pid, 1024)
    until(lambda: equal(pair.source, pair.replica), "the rest", seconds=60)

    assert alive
    assert [] == neither(found, old, wanted)


@pytest.mark.case("B05")
@pytest.mark.privileged
def test_read_only_in_the_middle(pair: Pair) -> None:
    """A file system that turns read-only: named, not ready, nothing harmed; it goes on when it can be written again."""
    with tmpfs(pair.replica, size="200m"):
        server = pair.server()
        client = pair.client(rescan_interval="1s")
        build(pair.source, {"f": "old", "d/g": "old"})
        until(lambda: equal(pair.source, pair.replica), "the first state")
        subprocess.run(("mount", "-o", "remount,ro", pair.replica), check=True, timeout=30)
        build(pair.source, {"f": "newer", "new": "new"})
        problem = client.wait_for("file.problem", kind="storage")
        until(lambda: server.get("/readyz").status == 503, "it is not ready")
        answer = server.get("/readyz")
        old = (pair.replica / "f").read_text()
        subprocess.run(("mount", "-o", "remount,rw", pair.replica), check=True, timeout=30)
        until(lambda: equal(pair.source, pair.replica), "the rest", seconds=30)
        until(lambda: server.get("/readyz").status == 200, "it is ready again")
        client.stop()
        server.stop()

    assert "Read-only file system" in problem["problem"]
    assert "read-only" in answer.body
    assert "old" == old


@pytest.mark.case("B10")
@pytest.mark.needs("strace")
def test_slow_disk(pair: Pair) -> None:
    """While each fsync takes 200 ms, another tenant and the health checks do not wait for it."""
    tenants = Tenants(pair.place).say("red").say("blue")
    (pair.place / "red").mkdir()
    (pair.place / "blue").mkdir()
    (pair.place / "token-red").write_text("red")
    (pair.place / "token-blue").write_text("blue")
    build(pair.place / "source-blue", {"x": "x"})
    slow = prefix(pair.place / "trace", Injection("fsync", "delay_exit=200000", "1+"))
    server = pair.server(prefix=slow, fsync="always", tenants_file=tenants.path)
    build(pair.source, {f"f{number}": str(number) for number in range(400)})
    client = pair.client(synced=False, namespace="red", token_file=pair.place / "token-red")
    until(lambda: list(pair.place.glob(".red*/staged*")), "the slow one is at work", seconds=60)
    healthy = sorted(answer_seconds(server, path) for path in ("/livez", "/readyz") * 15)
    other: dict[str, Any] = {"namespace": "blue", "token_file": pair.place / "token-blue"}
    started = time.monotonic()
    asked = pair.command("verify", source=pair.place / "source-blue", state_dir=pair.place / "other", **other)
    took = time.monotonic() - started
    still_at_work = len(list((pair.place / "red").iterdir())) < 400
    client.kill()
    server.excused = True
    for child in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)  # strace ends with it

    assert still_at_work
    assert healthy[-2] < 1
    assert 5 == asked.code
    assert took < 10


@pytest.mark.case("B11")
def test_quota_of_one_tenant(pair: Pair) -> None:
    """A tenant that is over its quota is refused by name, others are not, and nothing stays in staging."""
    tenants = Tenants(pair.place).say("red", 'quota_bytes = "1MiB"').say("blue")
    sides: dict[str, dict[str, Any]] = {}
    for name in ("red", "blue"):
        (pair.place / name).mkdir()
        (pair.place / f"token-{name}").write_text(name)
        source = pair.place / f"source-{name}"
        build(source, {"large": File(random_bytes(4 * MIB)), "small": "small"})
        sides[name] = {
            "namespace": name,
            "token_file": pair.place / f"token-{name}",
            "source": source,
            "state_dir": pair.place / f"state-{name}",
        }
    pair.server(tenants_file=tenants.path)
    results = {name: pair.once("--json", **side) for name, side in sides.items()}
    problems = {problem["path"]: problem for problem in results["red"].json["problems"]}
    left = [*pair.place.rglob("staged-*"), *pair.place.rglob("upload-*")]

    assert {"red": 4, "blue": 0} == {name: result.code for name, result in results.items()}
    assert ["large"] == list(problems)
    assert "limit" == problems["large"]["kind"]
    assert {"small"} == {path.name for path in (pair.place / "red").iterdir()}
    assert [] == differences(pair.place / "source-blue", pair.place / "blue")
    assert [] == left


@pytest.mark.case("B12")
def test_one_processor(pair: Pair) -> None:
    """On one processor, health answers while a delta is made, and the client can be ended in the middle of it."""
    one = ["taskset", "-c", "0"]
    server = pair.server(prefix=one)
    build(pair.source, {"large": File(random_bytes(192 * MIB))})
    client = pair.client(prefix=one, rescan_interval="1h")
    scatter(pair.source / "large", 2000)
    until(lambda: client.metrics().value("dirsync_in_sync") == 0, "it is noticed")
    waits = sorted(answer_seconds(process) for _ in range(20) for process in (client, server))
    scatter(pair.source / "large", 2000)
    time.sleep(0.5)
    started = time.monotonic()
    client.signal(signal.SIGTERM)
    code = client.wait(30)
    took = time.monotonic() - started
    server.stop()

    assert 0 == code
    assert took < 15
    assert waits[-3] < 1


class Limited:
    """A memory limit for processes, as a container has it."""

    def __init__(self, size: int) -> None:
        self.path = Path(f"/sys/fs/cgroup/memory/dirsync-test-{time.monotonic_ns()}")
        self.path.mkdir()
        (self.path / "memory.limit_in_bytes").write_text(str(size))

    @property
    def prefix(self) -> list[str]:
        """Runs a program under it."""
        return ["sh", "-c", f'echo $$ > {self.path}/cgroup.procs && exec "$@"', "sh"]

    def remove(self) -> None:
        """The programs have ended."""
        until(lambda: not (self.path / "cgroup.procs").read_text(), "all have ended")
        self.path.rmdir()


@pytest.mark.needs("cgroup")
def test_memory_limit(pair: Pair) -> None:
    """Both programs do their work in 128 MiB, whatever the size of a file."""
    limits = [Limited(128 * MIB), Limited(128 * MIB)]
    server = pair.server(prefix=limits[0].prefix)
    build(pair.source, {"large": File(random_bytes(200 * MIB)), **many("f")})
    client = pair.client(prefix=limits[1].prefix)
    client.wait_until_in_sync()
    scatter(pair.source / "large", 300)
    until(lambda: equal(pair.source, pair.replica), "the edits", seconds=60)
    resident = resident_kib(client.pid), resident_kib(server.pid)
    client.stop()
    server.stop()
    for limit in limits:
        limit.remove()

    assert max(resident) < 128 * 1024


@pytest.mark.case("A15")
@pytest.mark.parametrize("side", ["server", "client"])
@pytest.mark.parametrize("room", [0, 24, 80])
def test_out_of_memory(pair: Pair, side: str, room: int) -> None:
    """A program that gets no more memory in the middle of a transfer harms nothing; started again, it does the rest."""
    build(pair.source, {"kept": "old", "large": "old", **many("old")})
    server = pair.server()
    first = pair.once()
    old = look(pair.source)
    build(pair.source, {"large": File(random_bytes(40 * MIB)), **many("newer")})
    wanted = look(pair.source)
    client = pair.client(synced=False, rescan_interval="1s")
    starved = server if side == "server" else client
    starved.excused = True
    for process in (server, client):
        process.log.forgive("")  # whatever it says in its distress
    size = int(Path(f"/proc/{starved.pid}/statm").read_text().split()[0]) * resource.getpagesize()
    resource.prlimit(starved.pid, resource.RLIMIT_AS, (size + room * MIB, resource.RLIM_INFINITY))
    time.sleep(2)
    found = look(pair.replica)
    for process in (client, server):
        process.kill()
    after = look(pair.replica)
    pair.server()
    last = pair.once()

    assert (0, 0) == (first.code, last.code)
    assert [] == neither(found, old, wanted) + neither(after, old, wanted)
    assert [] == differences(pair.source, pair.replica)
