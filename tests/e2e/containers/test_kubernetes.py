"""Every pod of every manifest, started for real, and what it is for."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.containers.cluster import Cluster, RunningPod
from tests.support.manifests import Pod, kustomizations, pods, render
from tests.support.metrics import scrape
from tests.support.trees import build, differences, equal
from tests.support.waiting import until

WITH_PODS = [name for name in kustomizations() if name != "client"]

Apply = Callable[[str], Cluster]

pytestmark = pytest.mark.needs("kubectl", "docker")


@pytest.fixture
def apply(session: str, images: dict[str, str], python_image: str, tmp_path: Path) -> Iterator[Apply]:
    """Starts what a directory of manifests renders to, after the server where it is not part of it."""
    names = {"dirsync-server": images["server"], "dirsync-client": images["client"], "python": python_image}
    clusters: list[Cluster] = []

    def apply(directory: str) -> Cluster:
        place = tmp_path / f"cluster-{secrets.token_hex(2)}"
        (place / "claims" / "data").mkdir(parents=True)
        build(place / "claims" / "data", {"photo": "of a cat", "album/cover": "of another"})
        clusters.append(cluster := Cluster(session, names, [*render("server"), *render(directory)], place))
        cluster.add_secret("dirsync-token", {"token": secrets.token_hex(32).encode()})
        for pod in sorted(with_server(directory), key=lambda pod: pod.kind != "StatefulSet"):
            cluster.start(pod)
        return cluster

    yield apply
    for cluster in clusters:
        cluster.close()


def with_server(directory: str) -> list[Pod]:
    """The pods of a directory, and the server where it has none."""
    found = pods(directory)
    return found if any(pod.kind == "StatefulSet" for pod in found) else [*pods("server"), *found]


def replica(cluster: Cluster) -> Path:
    """The replica in the server's volume."""
    return cluster.place / "claims" / "data-dirsync-server-0" / "replica"


def other(cluster: Cluster) -> RunningPod:
    """The pod that is not the server."""
    (pod,) = (pod for pod in cluster.pods if pod.pod.kind != "StatefulSet")
    return pod


def source(pod: RunningPod) -> Path:
    """What a client's pod mirrors."""
    return pod.volumes["dirsync-source"]


@pytest.mark.case("L06")
@pytest.mark.parametrize("directory", WITH_PODS)
def test_every_container_runs(apply: Apply, directory: str) -> None:
    """All containers start with exactly what their manifests give them; all probes succeed; all end well."""
    cluster = apply(directory)
    for running in cluster.pods:
        assert [container["name"] for container in running.pod.containers] == list(running.containers)
        for spec in running.pod.containers:
            if running.containers[spec["name"]].state["Running"]:
                for kind in ("startup", "liveness", "readiness"):
                    running.wait_for(kind, spec)
    if directory != "server":
        until(lambda: equal(source(other(cluster)), replica(cluster)), "the replica is what the source is")

    codes = {name: code for running in reversed(cluster.pods) for name, code in running.stop().items()}

    assert codes
    assert {0} == set(codes.values())


def test_last_words(apply: Apply) -> None:
    """What the app writes as it ends is mirrored before the sidecar ends."""
    cluster = apply("examples/sidecar")
    pod = other(cluster)
    build(source(pod), {f"last/{number}": "word" * number for number in range(500)})
    pod.stop()

    assert [] == differences(source(pod), replica(cluster))


def test_job_again(apply: Apply) -> None:
    """A CronJob's next run knows what it has sent, and sends what is new."""
    cluster = apply("examples/cronjob")
    first = other(cluster)
    build(source(first), {"new": "since then"})
    again = cluster.start(first.pod)
    (done,) = again.containers["client"].events("sync.completed")

    assert 1 == done["files"]
    assert [] == differences(source(again), replica(cluster))


@pytest.mark.parametrize("directory", ["overlays/monitoring", "overlays/production"])
def test_metrics(apply: Apply, directory: str) -> None:
    """What the monitors ask for is there, at the ports that they name."""
    cluster = apply(directory)
    for running, port in ((cluster.pods[0], 9101), (cluster.pods[1], 9102)):
        assert "dirsync_build_info" in scrape(running.sandbox.port(port)).names
