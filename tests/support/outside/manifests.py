"""The Kubernetes manifests of this repository, rendered by kustomize, and what they say of pods and containers."""

import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
KUBERNETES = REPOSITORY / "deploy" / "kubernetes"

Manifest = dict[str, Any]


class Pod(NamedTuple):
    """A pod as a workload describes it."""

    kind: str
    """Of the workload."""
    name: str
    """Of the workload."""
    labels: dict[str, str]
    spec: Manifest
    claims: tuple[str, ...]
    """Names of volumes for which the workload has claims of its own."""

    @property
    def containers(self) -> list[Manifest]:
        """All containers in the order in which they start."""
        return [*self.spec.get("initContainers", ()), *self.spec["containers"]]


def kustomizations() -> list[str]:
    """The directories that can be applied, by their path below ``deploy/kubernetes``."""
    files = KUBERNETES.rglob("kustomization.yaml")
    return sorted(
        str(file.parent.relative_to(KUBERNETES))
        for file in files
        if yaml.safe_load(file.read_text())["kind"] != "Component"
    )


@cache
def render(directory: str) -> tuple[Manifest, ...]:
    """What ``kubectl apply --kustomize`` would send."""
    done = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES / directory], capture_output=True, text=True, check=False, timeout=60
    )

    assert (0, "") == (done.returncode, done.stderr)
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(directory: str, *kinds: str) -> list[Manifest]:
    """The rendered manifests of these kinds."""
    return [manifest for manifest in render(directory) if manifest["kind"] in kinds]


def pods(directory: str) -> list[Pod]:
    """The pods of all rendered workloads."""
    return [pod for manifest in render(directory) for pod in _pod(manifest)]


def _pod(manifest: Manifest) -> Iterator[Pod]:
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    if "template" in spec:
        template = spec["template"]
        claims = tuple(claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ()))
        yield Pod(
            manifest["kind"],
            manifest["metadata"]["name"],
            template["metadata"]["labels"],
            template["spec"],
            claims,
        )
