"""Pods on a Docker engine: what a kubelet does with a rendered manifest, as far as a program can tell.

Every container gets its image, command, environment, user, groups, mounts, capabilities and memory; a pod's containers
share a network, Services are names in it, init containers run in their order, sidecars among them, and probes are made
from outside as a kubelet makes them. Policies, budgets and claims' sizes are not looked at.
"""

import http.client
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from tests.support.outside.engine import LABEL, Container, docker, hardened, start
from tests.support.outside.manifests import Manifest, Pod
from tests.support.peers.authority import Authority
from tests.support.running.metrics import get
from tests.support.running.waiting import until

PROBE_SECONDS = 30.0
"""How long a probe may fail before the pod has failed."""

Secret = Mapping[str, bytes]


class Cluster:
    """A network with the pods in it; all of them are gone after :meth:`close`."""

    def __init__(self, session: str, images: Mapping[str, str], manifests: Iterable[Manifest], place: Path) -> None:
        """``images`` are those to take, by the name before the tag; ``manifests`` are what else is applied."""
        self._session = session
        self.images = images
        self.place = place
        self.network = docker("network", "create", f"--label={LABEL}={session}", f"{session}-{place.name}").strip()
        manifests = list(manifests)
        self._services = [manifest for manifest in manifests if manifest["kind"] == "Service"]
        self._secrets = certificates(manifests, place)
        self.pods: list[RunningPod] = []

    def add_secret(self, name: str, secret: Secret) -> None:
        """A Secret that was made by hand."""
        self._secrets[name] = secret

    def start(self, pod: Pod) -> "RunningPod":
        """Start a pod; it is ready when this returns, or done where it is one that ends."""
        running = RunningPod(self, pod)
        self.pods.append(running)
        running.start()
        return running

    def close(self) -> None:
        """End everything at once."""
        containers = [c for pod in self.pods for c in (*pod.containers.values(), pod.sandbox)]
        if containers:
            docker("rm", "--force", "--volumes", *(container.name for container in reversed(containers)))
        docker("network", "rm", self.network)

    def names_of(self, pod: Pod) -> list[str]:
        """The Services that lead to a pod."""
        return [
            service["metadata"]["name"]
            for service in self._services
            if service["spec"]["selector"].items() <= pod.labels.items()
        ]

    def run(
        self, image: str, *command: str, options: Iterable[str], **more: Mapping[str, str] | list[str]
    ) -> Container:
        """Start a container of the image that has this name here."""
        name = self.images[image.partition(":")[0]]
        return start(self._session, name, *command, options=options, **more)  # type: ignore[arg-type]

    def directory(self, pod: Pod, volume: Manifest) -> Path:
        """The directory of this machine that a volume is."""
        group = pod.spec.get("securityContext", {}).get("fsGroup", 0)
        if "persistentVolumeClaim" in volume:
            return _make(self.place / "claims" / volume["persistentVolumeClaim"]["claimName"], group)
        if "secret" in volume:
            asked = volume["secret"]
            path = self.place / "secrets" / pod.name / asked["secretName"]
            return _make_secret(path, self._secrets[asked["secretName"]], asked["defaultMode"], group)
        assert "emptyDir" in volume
        return _make(self.place / "empty" / pod.name / volume["name"], group)


class RunningPod:
    """A pod and its containers."""

    def __init__(self, cluster: Cluster, pod: Pod) -> None:
        self.pod = pod
        self._cluster = cluster
        claims = [{"name": name, "persistentVolumeClaim": {"claimName": f"{name}-{pod.name}-0"}} for name in pod.claims]
        self.volumes = {v["name"]: cluster.directory(pod, v) for v in [*pod.spec["volumes"], *claims]}
        ports = [str(port["containerPort"]) for c in pod.containers for port in c.get("ports", ())]
        self.sandbox = cluster.run(
            "dirsync-server",
            options=[
                *hardened(user="65535:65535"),
                f"--network={cluster.network}",
                *(f"--network-alias={name}" for name in cluster.names_of(pod)),
                *(f"--publish=127.0.0.1:0:{port}" for port in ports),
                "--no-healthcheck",
            ],
            entrypoint=["sleep", "infinity"],
        )
        self.ports = self.sandbox.ports() if ports else {}
        """Where the pod's ports are to be found on this machine, by their numbers."""
        self.containers: dict[str, Container] = {}

    def start(self) -> None:
        """Run the init containers to their ends, the sidecars to their starts, then the others to their readiness."""
        for spec in self.pod.spec.get("initContainers", ()):
            container = self._run(spec)
            if spec.get("restartPolicy") == "Always":
                self.wait_for("startup", spec)
            else:
                self._wait_for_success(spec, container)
        for spec in self.pod.spec["containers"]:
            container = self._run(spec)
            if self.pod.kind in ("Job", "CronJob"):
                self._wait_for_success(spec, container)
            for kind in ("startup", "readiness"):
                self.wait_for(kind, spec)

    def stop(self) -> dict[str, int]:
        """End it as a kubelet does; the exit statuses by container.

        All hooks run when the pod begins to end, those of sidecars too. Then the app is told to end, and the sidecars
        are once it has, the last one first.
        """
        codes: dict[str, int] = {}
        for spec in self.pod.containers:
            hook = spec.get("lifecycle", {}).get("preStop")
            if hook:
                self.containers[spec["name"]].execute(*hook["exec"]["command"])
        for spec in reversed(self.pod.containers):
            container = self.containers[spec["name"]]
            codes[spec["name"]] = container.stop() if container.state["Running"] else container.state["ExitCode"]
        return codes

    def wait_for(self, kind: str, spec: Manifest) -> None:
        """Make a probe until it succeeds; without one there is nothing to wait for."""
        probe = spec.get(f"{kind}Probe")
        if probe is None:
            return
        container = self.containers[spec["name"]]
        try:
            until(lambda: self._probe(spec, probe), f"the {kind} probe succeeds", seconds=PROBE_SECONDS)
        except AssertionError as error:
            error.add_note(f"{spec['name']} of {self.pod.name} said: {container.lines()[-5:]}")
            raise

    def _probe(self, spec: Manifest, probe: Manifest) -> bool:
        if probe.get("grpc"):
            return _serving(self.ports[probe["grpc"]["port"]], probe["grpc"].get("service", ""))
        named = {port["name"]: port["containerPort"] for port in spec.get("ports", ())}
        asked = probe["httpGet"]["port"]
        try:
            return get(self.ports[named.get(asked, asked)], probe["httpGet"]["path"]).status < 400
        except (OSError, http.client.HTTPException):
            return False  # before the program listens, the engine takes the connection and drops it

    def _run(self, spec: Manifest) -> Container:
        context = {**self.pod.spec.get("securityContext", {}), **spec["securityContext"]}
        command: list[str] = spec.get("command", [])
        mounts = [
            f"--volume={self.volumes[mount['name']]}:{mount['mountPath']}" + (":ro" if mount.get("readOnly") else "")
            for mount in spec["volumeMounts"]
        ]
        container = self._cluster.run(
            spec["image"],
            *spec.get("args", []),
            options=[f"--network=container:{self.sandbox.name}", "--no-healthcheck", *_rights(context, spec), *mounts],
            environment={variable["name"]: variable["value"] for variable in spec.get("env", ())},
            entrypoint=command,
        )
        self.containers[spec["name"]] = container
        return container

    def _wait_for_success(self, spec: Manifest, container: Container) -> None:
        code = container.wait(60)

        assert 0 == code, f"{spec['name']}: {container.lines()}"


def certificates(manifests: Iterable[Manifest], place: Path) -> dict[str, Secret]:
    """The Secrets that cert-manager makes of Certificates, all by one authority."""
    asked = [one["spec"] for one in manifests if one["kind"] == "Certificate" and not one["spec"].get("isCA")]
    if not asked:
        return {}
    made = place / "authority"
    made.mkdir()
    authority = Authority(made, "cert-manager")
    secrets: dict[str, Secret] = {}
    for spec in asked:
        files = authority.issue(spec["secretName"], *spec["dnsNames"], *spec.get("ipAddresses", ()))
        secrets[spec["secretName"]] = {
            "ca.crt": authority.file.read_bytes(),
            "tls.crt": files["tls_cert_file"].read_bytes(),
            "tls.key": files["tls_key_file"].read_bytes(),
        }
    return secrets


def _rights(context: Manifest, spec: Manifest) -> list[str]:
    """What a security context and limits are as options; without a user the image's own, as in a cluster."""
    options = [f"--memory={spec['resources']['limits']['memory'].removesuffix('i').lower()}"]
    if "runAsUser" in context:
        options.append(f"--user={context['runAsUser']}:{context.get('runAsGroup', 0)}")
    if "fsGroup" in context:
        options.append(f"--group-add={context['fsGroup']}")
    if context.get("readOnlyRootFilesystem"):
        options.append("--read-only")
    if not context.get("allowPrivilegeEscalation", True):
        options.append("--security-opt=no-new-privileges:true")
    return [*options, *(f"--cap-drop={name}" for name in context.get("capabilities", {}).get("drop", ()))]


def _make(path: Path, group: int) -> Path:
    """A volume: root's, and writable by the pod's group as ``fsGroup`` makes it."""
    if not path.exists():
        path.mkdir(parents=True)
    if os.geteuid() == 0:
        os.chown(path, 0, group)
    path.chmod(0o2775 if group and os.geteuid() == 0 else 0o777)
    return path


def _make_secret(path: Path, secret: Secret, mode: int, group: int) -> Path:
    """A volume as a kubelet writes it: links to a directory that is replaced as a whole."""
    version = path / "..version"
    version.mkdir(parents=True)
    (path / "..data").symlink_to(version.name)
    for name, content in secret.items():
        file = version / name
        file.write_bytes(content)
        file.chmod(mode)
        if os.geteuid() == 0:
            os.chown(file, 0, group)
        (path / name).symlink_to(f"..data/{name}")
    return path


def _serving(port: int, service: str) -> bool:
    """Whether ``grpc.health.v1`` says so."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
