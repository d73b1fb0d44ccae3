"""Every pod of every manifest, started for real, and what it is for.

Most of a pod's life is waiting, so the lives of all go on at the same time, and the tests look at what became of each.
"""

import secrets
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.containers.cluster import Cluster, RunningPod
from tests.support.outside.engine import AT_ONCE, together
from tests.support.outside.manifests import Pod, kustomizations, pods, render
from tests.support.running.metrics import scrape
from tests.support.running.waiting import until
from tests.support.trees.trees import build, differences, equal

WITH_PODS = [name for name in kustomizations() if name != "client" and "scale-out" not in name]
"""What is started. Those that scale out have a pod of Envoy, whose image is in a registry that a test does not reach:
``tests/integration/scale`` runs the same configuration in the real Envoy, in front of real servers."""
SIDECARS = [name for name in WITH_PODS if name.startswith("overlays/") or name == "examples/sidecar"]
FINITE = ("Job", "CronJob")

Apply = Callable[[str], Cluster]

pytestmark = pytest.mark.needs("kubectl", "docker")


class Life(NamedTuple):
    """What became of the pods of one directory."""

    started: dict[str, list[str]]
    """The containers of each pod in the order in which they started."""
    codes: dict[str, int]
    """How each ended."""
    metrics: dict[str, bool]
    """By pod whether it showed metrics at the port that the monitors name."""
    differences: list[str]
    """Of source and replica, after the end: with what was written last."""


@pytest.fixture(scope="module")
def apply(
    session: str, images: dict[str, str], python_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Apply]:
    """Starts what a directory of manifests renders to, after the server where it is not part of it."""
    names = {"dirsync-server": images["server"], "dirsync-client": images["client"], "python": python_image}
    base = tmp_path_factory.mktemp("clusters")
    clusters: list[Cluster] = []

    def apply(directory: str) -> Cluster:
        place = base / f"cluster-{secrets.token_hex(4)}"
        (place / "claims" / "data").mkdir(parents=True)
        build(place / "claims" / "data", {"photo": "of a cat", "album/cover": "of another"})
        clusters.append(cluster := Cluster(session, names, [*render("server"), *render(directory)], place))
        cluster.add_secret("dirsync-token", {"token": secrets.token_hex(32).encode()})
        for pod in sorted(with_server(directory), key=lambda pod: pod.kind != "StatefulSet"):
            cluster.start(pod)
        return cluster

    yield apply
    together(*(cluster.close for cluster in clusters))


@pytest.fixture(scope="module")
def lives(apply: Apply) -> Iterator[Mapping[str, Future[Life]]]:
    """The lives of all directories, from start to end."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {directory: pool.submit(live, apply, directory) for directory in WITH_PODS}


def live(apply: Apply, directory: str) -> Life:
    """Start the pods, see that all their probes succeed, let them do their work to the last file, and end them."""
    cluster = apply(directory)
    running = [pod for pod in cluster.pods if pod.pod.kind not in FINITE]
    for pod in running:
        for spec in pod.pod.containers:
            if spec.get("restartPolicy") == "Always" or spec in pod.pod.spec["containers"]:
                for kind in ("startup", "liveness", "readiness"):
                    pod.wait_for(kind, spec)
    client = next((pod for pod in cluster.pods if pod.pod.kind != "StatefulSet"), None)
    if client is not None:
        until(lambda: equal(source(client), replica(cluster)), f"{directory}: the replica is what the source is")
    shown = {
        pod.pod.name: "dirsync_build_info" in scrape(pod.ports[port]).names
        for pod in running
        for port in (9101, 9102)
        if port in pod.ports
    }
    if client is not None and directory in SIDECARS:
        build(source(client), {f"last/{number}": "word" * number for number in range(200)})
    codes = {name: code for pod in reversed(cluster.pods) for name, code in pod.stop().items()}
    return Life(
        {pod.pod.name: list(pod.containers) for pod in cluster.pods},
        codes,
        shown,
        differences(source(client), replica(cluster)) if client else [],
    )


def with_server(directory: str) -> list[Pod]:
    """The pods of a directory, and the server where it has none."""
    found = pods(directory)
    return found if any(pod.kind == "StatefulSet" for pod in found) else [*pods("server"), *found]


def replica(cluster: Cluster) -> Path:
    """The replica in the server's volume."""
    return cluster.place / "claims" / "data-dirsync-server-0" / "replica"


def source(pod: RunningPod) -> Path:
    """What a client's pod mirrors."""
    return pod.volumes["dirsync-source"]


@pytest.mark.case("L06")
@pytest.mark.parametrize("directory", WITH_PODS)
def test_every_container_runs(lives: Mapping[str, Future[Life]], directory: str) -> None:
    """All containers start with exactly what their manifests say; all probes succeed; all end well."""
    life = lives[directory].result()

    assert {pod.name: [spec["name"] for spec in pod.containers] for pod in with_server(directory)} == life.started
    assert {name for names in life.started.values() for name in names} == life.codes.keys()
    assert {0} == set(life.codes.values())


@pytest.mark.parametrize("directory", SIDECARS)
def test_last_words(lives: Mapping[str, Future[Life]], directory: str) -> None:
    """What the app writes as it ends is mirrored before the sidecar ends."""
    assert [] == lives[directory].result().differences


@pytest.mark.parametrize("directory", ["overlays/monitoring", "overlays/production"])
def test_metrics(lives: Mapping[str, Future[Life]], directory: str) -> None:
    """What the monitors ask for is there, at the ports that they name."""
    assert {"dirsync-server": True, "journal": True} == lives[directory].result().metrics


def test_job_again(apply: Apply) -> None:
    """A CronJob's next run knows what it has sent, and sends what is new."""
    cluster = apply("examples/cronjob")
    first = next(pod for pod in cluster.pods if pod.pod.kind == "CronJob")
    build(source(first), {"new": "since then"})
    again = cluster.start(first.pod)
    (done,) = again.containers["client"].events("sync.completed")

    assert 1 == done["files"]
    assert [] == differences(source(again), replica(cluster))
