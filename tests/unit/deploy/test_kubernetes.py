"""The Kubernetes manifests, rendered and held against the real schemas, the programs and each other; offline."""

import copy
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

import dirsync
from dirsync.endpoint.quota import Quota
from dirsync.fs.write.durable import Fsync
from dirsync_server.tenancy.policies import Defaults
from dirsync_server.tenancy.tenants import read_tenants
from tests.support.outside.manifests import KUBERNETES, REPOSITORY, Manifest, Pod, kustomizations, of_kind, pods, render
from tests.unit.deploy.settings_of import load_settings

VERSION = "1.34"
ALL = kustomizations()
NOT_OF_KUBERNETES = {"Certificate", "Issuer", "PodMonitor", "PrometheusRule", "ServiceMonitor"}
"""Kinds that operators bring; their schemas are not among those of Kubernetes."""
PLAIN = {
    "client",
    *(f"examples/{name}" for name in ("cronjob", "job", "once", "scale-out", "scale-out-own", "sidecar")),
    "server",
}
SCALED = pytest.mark.parametrize("directory", ["examples/scale-out", "examples/scale-out-own", "overlays/scale-out"])

pytestmark = pytest.mark.needs("kubectl")
every = pytest.mark.parametrize("directory", ALL)
with_pods = pytest.mark.parametrize("directory", [name for name in ALL if name != "client"])


def test_all_are_known() -> None:
    """Whatever can be applied is tested."""
    assert {*PLAIN, *(f"overlays/{name}" for name in ("monitoring", "production", "scale-out", "tls", "token"))} == set(
        ALL
    )


class TestSchemas:
    """The real schemas, strictly."""

    @every
    def test_valid(self, directory: str) -> None:
        """Every manifest has exactly the fields that its kind knows, with the right types."""
        for manifest in render(directory):
            if manifest["kind"] not in NOT_OF_KUBERNETES:
                kubernetes_validate.validate(manifest, VERSION, strict=True)

    def test_misspelt(self) -> None:
        """Positive control: one wrong letter is found."""
        manifest = copy.deepcopy(of_kind("server", "StatefulSet")[0])
        spec = manifest["spec"]["template"]["spec"]
        spec["enableServiceLink"] = spec.pop("enableServiceLinks")

        with pytest.raises(kubernetes_validate.ValidationError, match="enableServiceLink"):
            kubernetes_validate.validate(manifest, VERSION, strict=True)


class TestRestricted:
    """What the pod security standard ``restricted`` asks for, and a little more."""

    @with_pods
    def test_containers(self, directory: str) -> None:
        """No container is root, gains rights, has capabilities, writes its image, or is unbounded in memory."""
        lax = [
            container["name"]
            for pod in pods(directory)
            for container in pod.containers
            if not _restricted(pod.spec.get("securityContext", {}), container)
        ]

        assert [] == lax

    @with_pods
    def test_pods(self, directory: str) -> None:
        """No pod has a token of the cluster, variables of service links, or anything of its node."""
        for pod in pods(directory):
            sources = {key for volume in pod.spec["volumes"] for key in volume if key != "name"}

            assert pod.spec["automountServiceAccountToken"] is False
            assert pod.spec["enableServiceLinks"] is False
            assert sources <= {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}
            assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys()

    @every
    def test_no_secrets(self, directory: str) -> None:
        """Secrets are named, never part of what is applied."""
        assert [] == of_kind(directory, "Secret")


def _restricted(pod: Manifest, container: Manifest) -> bool:
    own = container["securityContext"]
    return (
        (pod | own).get("runAsNonRoot") is True
        and (pod | own).get("runAsUser") != 0
        and (pod | own).get("seccompProfile") == {"type": "RuntimeDefault"}
        and own["allowPrivilegeEscalation"] is False
        and own["readOnlyRootFilesystem"] is True
        and own["capabilities"] == {"drop": ["ALL"]}
        and "memory" in container["resources"]["limits"]
    )


class TestPrograms:
    """What the manifests tell the programs is what the programs know."""

    @with_pods
    def test_settings(self, directory: str) -> None:
        """The environment of every container of ours makes valid settings, on top of its image's."""
        found = [load_settings(service, _environment(container)) for _, service, container in _ours(directory)]

        assert found

    @with_pods
    def test_images(self, directory: str) -> None:
        """Our images have the version of this tree."""
        images = {container["image"] for _, _, container in _ours(directory)}

        assert {image.partition(":")[0] + f":{dirsync.__version__}" for image in images} == images

    @with_pods
    def test_server_is_found(self, directory: str) -> None:
        """Clients ask a name and a port that the server's Service has."""
        (service,) = [one for one in of_kind("server", "Service") if one["spec"].get("clusterIP") != "None"]
        address = f"{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
        asked = {_environment(c)["DIRSYNC_CLIENT_SERVER"] for _, name, c in _ours(directory) if name == "client"}

        assert asked <= {address}

    @with_pods
    def test_mounts(self, directory: str) -> None:
        """Every mount has its volume, and the source is mounted for reading only."""
        for pod in pods(directory):
            volumes = {volume["name"] for volume in pod.spec["volumes"]} | set(pod.claims)
            mounts = [mount for container in pod.containers for mount in container["volumeMounts"]]

            assert {mount["name"] for mount in mounts} <= volumes
        sources = [m for _, _, c in _ours(directory) for m in c["volumeMounts"] if m["mountPath"] == "/source"]

        assert all(mount["readOnly"] for mount in sources)


class TestProbes:
    """Who is asked for health, and how."""

    @with_pods
    def test_ports(self, directory: str) -> None:
        """A probe asks a port that its container has."""
        for _, _, container in _ours(directory):
            ports = {key for port in container.get("ports", ()) for key in (port["name"], port["containerPort"])}
            asked = {(probe.get("grpc") or probe["httpGet"])["port"] for probe in _probes(container)}

            assert asked <= ports

    @pytest.mark.parametrize("directory", ["overlays/tls", "overlays/production"])
    def test_no_certificate_to_show(self, directory: str) -> None:
        """Where clients have to show certificates, a kubelet asks over HTTP."""
        probes = [probe for _, _, container in _ours(directory) for probe in _probes(container)]

        assert 5 == len(probes)
        assert all("httpGet" in probe and probe.get("grpc") is None for probe in probes)

    def test_grpc(self) -> None:
        """Elsewhere the server answers as any gRPC service does: liveness by no name, readiness by its own."""
        (server,) = pods("server")
        container = server.containers[0]

        assert {"port": 50051} == container["livenessProbe"]["grpc"] == container["startupProbe"]["grpc"]
        assert "dirsync.v1.SyncService" == container["readinessProbe"]["grpc"]["service"]

    @with_pods
    def test_sidecars(self, directory: str) -> None:
        """A sidecar has no say in its pod's readiness, and starts before everything else.

        It has no hook for the end: that would run when the pod begins to end, beside an app that still writes.
        """
        for pod, service, container in _ours(directory):
            if container.get("restartPolicy") == "Always":
                assert "client" == service
                assert "readinessProbe" not in container
                assert "lifecycle" not in container
                assert container == pod.containers[0]

    def test_hold(self) -> None:
        """Where the app is to be held, the sidecar has started when it is ready; elsewhere when it is alive."""
        paths = {
            directory: container["startupProbe"]["httpGet"]["path"]
            for directory in ("examples/sidecar", "overlays/production")
            for _, service, container in _ours(directory)
            if service == "client"
        }

        assert {"examples/sidecar": "/livez", "overlays/production": "/readyz"} == paths

    def test_once_comes_last(self) -> None:
        """The client that syncs once follows the init containers that make what it syncs."""
        (pod,) = pods("examples/once")

        assert ["build", "dirsync-client", "app"] == [container["name"] for container in pod.containers]


class TestNames:
    """What refers to what by name."""

    @every
    def test_selectors(self, directory: str) -> None:
        """Services, budgets and policies select pods that are there."""
        found = pods(directory) or pods("examples/job")
        for manifest in of_kind(directory, "Service", "PodDisruptionBudget", "NetworkPolicy"):
            selector = manifest["spec"].get("podSelector") or manifest["spec"]["selector"]
            labels: dict[str, str] = selector.get("matchLabels", selector)

            assert any(labels.items() <= pod.labels.items() for pod in found), manifest["metadata"]["name"]

    @with_pods
    def test_let_in(self, directory: str) -> None:
        """The server's policy lets in every pod that has a client in it."""
        (policy,) = of_kind("server", "NetworkPolicy")
        allowed = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
        kept_out = [
            pod.name
            for pod, service, _ in _ours(directory)
            if service == "client" and not allowed.items() <= pod.labels.items()
        ]

        assert [] == kept_out

    @pytest.mark.parametrize("directory", ["overlays/monitoring", "overlays/production"])
    def test_monitors(self, directory: str) -> None:
        """Monitors select what is there, at ports that it has, and the policy lets them in."""
        (of_services,), (of_pods,) = of_kind(directory, "ServiceMonitor"), of_kind(directory, "PodMonitor")
        services = [s for s in of_kind(directory, "Service") if _matches(of_services, s["metadata"]["labels"])]
        clients = [pod for pod in pods(directory) if _matches(of_pods, pod.labels)]
        ingress = [rule for policy in of_kind(directory, "NetworkPolicy") for rule in policy["spec"]["ingress"]]

        assert [["grpc", "metrics"]] == [[port["name"] for port in s["spec"]["ports"]] for s in services]
        assert "metrics" == of_services["spec"]["endpoints"][0]["port"]
        assert of_pods["spec"]["podMetricsEndpoints"][0]["port"] in {
            port["name"] for pod in clients for c in pod.containers for port in c.get("ports", ())
        }
        assert {"grpc", "metrics"} == {port["port"] for rule in ingress for port in rule["ports"]}

    @pytest.mark.parametrize("directory", ["overlays/monitoring", "overlays/production"])
    def test_dashboard(self, directory: str) -> None:
        """Grafana's sidecar finds the dashboard by its label, and it is that of the compose file."""
        (found,) = of_kind(directory, "ConfigMap")
        file = REPOSITORY / "deploy" / "grafana" / "dashboards" / "dirsync.json"

        assert "1" == found["metadata"]["labels"]["grafana_dashboard"]
        assert {file.name: file.read_text()} == found["data"]

    @pytest.mark.parametrize("directory", ["overlays/tls", "overlays/production"])
    def test_certificates(self, directory: str) -> None:
        """Each Secret with a certificate that a pod mounts is made, for the name by which clients ask."""
        made = {one["spec"]["secretName"]: one["spec"] for one in of_kind(directory, "Certificate")}
        issuers = {one["metadata"]["name"]: one["spec"] for one in of_kind(directory, "Issuer")}
        mounted = {
            volume["secret"]["secretName"]
            for pod in pods(directory)
            for volume in pod.spec["volumes"]
            if volume["name"] == "dirsync-tls"
        }

        assert {"dirsync-server-tls", "dirsync-client-tls"} == mounted
        assert mounted < made.keys()
        assert {one["issuerRef"]["name"] for one in made.values()} <= issuers.keys()
        assert issuers["dirsync"]["ca"]["secretName"] in made
        assert "dirsync-server" in made["dirsync-server-tls"]["dnsNames"]
        assert "client auth" in made["dirsync-client-tls"]["usages"]

    @pytest.mark.parametrize("component", ["tls", "token"])
    @pytest.mark.parametrize("directory", ["once", "job", "cronjob"])
    def test_components_reach_every_client(self, component: str, directory: str, tmp_path: Path) -> None:
        """What the overlays do to a sidecar, the components do to the other kinds of clients."""
        up = os.path.relpath(KUBERNETES, tmp_path.resolve())
        lines = ["resources:", f"- {up}/examples/{directory}", "components:", f"- {up}/components/{component}"]
        (tmp_path / "kustomization.yaml").write_text("\n".join(lines))
        (pod,) = pods(str(tmp_path))
        (container,) = [c for c in pod.containers if c["image"].startswith("dirsync-client")]
        environment = _environment(container)

        assert (component == "token") == ("DIRSYNC_CLIENT_TOKEN_FILE" in environment)
        assert (component == "tls") == ("DIRSYNC_CLIENT_TLS_CERT_FILE" in environment)
        assert (component == "tls") == ("DIRSYNC_CLIENT_INSECURE" not in environment)
        load_settings("client", environment)


class TestScaleOut:
    """Several servers behind Envoy."""

    @SCALED
    def test_envoy_knows_the_servers(self, directory: str) -> None:
        """It has a name for each pod that there may be, and its certificates and ports are those of its pod."""
        (config,) = [one for one in of_kind(directory, "ConfigMap") if "envoy.yaml" in one["data"]]
        resources = yaml.safe_load(config["data"]["envoy.yaml"])["static_resources"]
        (servers,) = [one for one in of_kind(directory, "StatefulSet") if one["metadata"]["name"] == "dirsync-server"]
        endpoints = resources["clusters"][0]["load_assignment"]["endpoints"][0]["lb_endpoints"]
        named = [one["endpoint"]["address"]["socket_address"]["address"] for one in endpoints]
        most = max((one["spec"]["maxReplicas"] for one in of_kind(directory, "HorizontalPodAutoscaler")), default=3)
        name, domain = servers["metadata"]["name"], servers["spec"]["serviceName"]
        (envoy,) = [c for pod in pods(directory) for c in pod.containers if c["name"] == "envoy"]
        listening = {one["address"]["socket_address"]["port_value"] for one in resources["listeners"]}

        assert [f"{name}-{number}.{domain}" for number in range(16)] == named
        assert most <= len(named)
        assert listening == {port["containerPort"] for port in envoy["ports"]}
        assert ("transport_socket" in resources["clusters"][0]) == directory.startswith("overlays")

    @SCALED
    def test_clients_reach_envoy_and_envoy_the_servers(self, directory: str) -> None:
        """The name that clients know leads to Envoy; the servers let nobody else in."""
        (service,) = [one for one in of_kind(directory, "Service") if one["metadata"]["name"] == "dirsync-server"]
        policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(directory, "NetworkPolicy")}
        sources = [
            source["podSelector"]["matchLabels"]
            for name in ("dirsync-server", "dirsync-envoy")
            for rule in policies[name]["ingress"]
            for source in rule["from"]
        ]
        (envoy,) = [pod for pod in pods(directory) if pod.name == "dirsync-envoy"]

        assert service["spec"]["selector"].items() <= envoy.labels.items()
        assert [{"app.kubernetes.io/name": "dirsync-envoy"}, {"dirsync/client": "true"}] == sources

    def test_storage(self) -> None:
        """The servers share a volume and scale, or have a volume each and do not."""
        found = {}
        for directory in ("examples/scale-out", "examples/scale-out-own"):
            (server,) = [pod for pod in pods(directory) if pod.name == "dirsync-server"]
            environment = _environment(server.containers[0])
            shared = environment.get("DIRSYNC_SERVER_STORAGE") == "shared"
            scales = bool(of_kind(directory, "HorizontalPodAutoscaler"))
            found[directory] = shared, scales, server.claims, "DIRSYNC_SERVER_NAMESPACE_IDLE" in environment

        assert {
            "examples/scale-out": (True, True, (), False),
            "examples/scale-out-own": (False, False, ("data",), True),
        } == found

    def test_namespaces(self, tmp_path: Path) -> None:
        """What makes the namespaces makes one for each client, with tokens that its servers take."""
        script = REPOSITORY / "deploy" / "scale-out" / "tenants.py"
        subprocess.run([sys.executable, script, "--count=50", "--root=/data", tmp_path], check=True, timeout=60)
        defaults = Defaults(Quota(1, 1, 1, 0), Fsync.BATCH, fixed=False, file_mode=0o644, dir_mode=0o755)
        tenants = read_tenants(tmp_path / "tenants.toml", defaults, certificates=False)
        (clients,) = [
            one for one in of_kind("examples/scale-out", "StatefulSet") if one["metadata"]["name"] == "project"
        ]
        expected = [f"project-{number}" for number in range(clients["spec"]["replicas"])]
        token = hashlib.sha256((tmp_path / "tokens" / "project-7").read_bytes()).digest()
        tokens = tenants["project-7"].tokens

        assert expected == list(tenants)
        assert tokens is not None
        assert [token] == [one.sha256 for one in tokens]


def test_version_is_written_where_it_is_applied() -> None:
    """Every tag in the sources of the manifests, and in what is said of them, is the version of this tree."""
    files = [*(REPOSITORY / "deploy").rglob("*.yaml"), REPOSITORY / "docs" / "deployment.md"]
    tags = {tag for file in files for tag in re.findall(r"newTag: ([\w.]+)", file.read_text())}

    assert {dirsync.__version__} == tags


def _ours(directory: str) -> Iterator[tuple[Pod, str, Manifest]]:
    """The containers of our images, with their pod and service."""
    for pod in pods(directory):
        for container in pod.containers:
            image = container["image"].partition(":")[0]
            if image.startswith("dirsync-"):
                yield pod, image.removeprefix("dirsync-"), container


def _environment(container: Manifest) -> dict[str, str]:
    return {variable["name"]: variable.get("value", "from-the-pod") for variable in container["env"]}


def _probes(container: Manifest) -> list[Manifest]:
    return [container[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness") if f"{kind}Probe" in container]


def _matches(monitor: Manifest, labels: dict[str, Any]) -> bool:
    wanted: dict[str, str] = monitor["spec"]["selector"]["matchLabels"]
    return wanted.items() <= labels.items()
