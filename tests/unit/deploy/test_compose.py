"""``docker-compose.yml`` as text: what every service must have. Real engines are in ``tests/e2e``."""

import configparser
import re
import subprocess
from typing import Any

import pytest
import yaml

from dirsync.limits import MIB
from dirsync.runtime.config.values import parse_duration, parse_size
from dirsync_client.settings import ClientSettings
from tests.support.outside.manifests import REPOSITORY
from tests.unit.deploy.settings_of import load_settings


class _Merging(yaml.SafeLoader):
    """Reads the tags by which compose overrides what another file says."""


_Merging.add_multi_constructor(
    "!",
    lambda loader, _tag, node: (
        loader.construct_sequence(node) if isinstance(node, yaml.SequenceNode) else loader.construct_mapping(node)
    ),
)

FAN_OUT: dict[str, Any] = yaml.load(
    (REPOSITORY / "deploy" / "compose" / "fan-out.yml").read_text(),
    _Merging,
)
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "environment" in service}

every = pytest.mark.parametrize("name", SERVICES)


@every
def test_hardened(name: str) -> None:
    """No service writes its image, gains rights, keeps capabilities without need, or is unbounded in memory."""
    service = SERVICES[name]
    root = name.startswith("prepare")

    assert service["read_only"] is True
    assert ["ALL"] == service["cap_drop"]
    assert ["no-new-privileges:true"] == service["security_opt"]
    assert root == ("cap_add" in service) == service["user"].startswith("0")
    assert re.fullmatch(r"\d+m", service["mem_limit"])


@every
def test_networks(name: str) -> None:
    """What needs no network has none; the rest is in one of its own."""
    alone = name.startswith("prepare") or name in {"certificates", "tenants-scale"}
    expected = {"network_mode": "none"} if alone else {"networks": ["mirror"]}

    assert expected == {key: SERVICES[name][key] for key in ("network_mode", "networks") if key in SERVICES[name]}


def test_ports() -> None:
    """Everything is published on loopback, each port once."""
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    defaults = [re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-(\d+)\}:\d+", port) for port in published]
    numbers = {match[1] for match in defaults if match}

    assert len(published) == len(numbers)


def test_fan_out() -> None:
    """The example with a second server names both, as the client takes them, and waits for both."""
    client = FAN_OUT["services"]["client"]
    settings = load_settings("client", {**SERVICES["client"]["environment"], **client["environment"]})
    assert isinstance(settings, ClientSettings)
    targets = {target.name: str(target.address).partition(":")[0] for target in settings.targets}

    assert {"north": "server", "south": "server-south"} == targets
    assert {"server-south"} == client["depends_on"].keys()
    assert {"prepare-south", "server-south", "client"} == FAN_OUT["services"].keys()


@pytest.mark.needs("docker")
def test_fan_out_fits() -> None:
    """Compose puts the example together with the file that it adds to."""
    files = [f"--file={REPOSITORY / name}" for name in ("docker-compose.yml", "deploy/compose/fan-out.yml")]
    done = subprocess.run(
        ["docker", "compose", *files, "config", "--quiet"], capture_output=True, text=True, check=False, timeout=60
    )

    assert 0 == done.returncode, done.stderr


def test_profiles() -> None:
    """Without a profile there are both services and what prepares their mounts."""
    profiles = {name: service.get("profiles") for name, service in SERVICES.items()}

    assert {"prepare", "server", "client"} == {name for name, own in profiles.items() if own is None}
    assert {"prometheus", "grafana"} == {name for name, own in profiles.items() if own == ["monitoring"]}
    assert 4 == sum(own == ["tls"] for own in profiles.values())
    assert {name for name in SERVICES if "-scale" in name} == {n for n, own in profiles.items() if own == ["scale"]}


@pytest.mark.parametrize("name", OURS)
def test_settings(name: str) -> None:
    """The environment of the services makes valid settings; only the pair without TLS is insecure."""
    service = name.partition("-")[0]
    settings = load_settings(service, OURS[name]["environment"])

    assert settings.insecure == ("-tls" not in name)
    assert settings.tls_given == ("-tls" in name)


@pytest.mark.parametrize("name", OURS)
def test_health(name: str) -> None:
    """Health is readiness, asked with the image's own command, and start-up is waited for."""
    check = OURS[name]["healthcheck"]
    service = name.partition("-")[0]

    assert ["CMD", f"dirsync-{service}", "health", "--ready"] == check["test"]
    assert "5m" == check["start_period"]
    assert "unless-stopped" == OURS[name]["restart"]


@pytest.mark.parametrize("name", OURS)
def test_memory(name: str) -> None:
    """The promised 128 MiB fit, with room for the entries of a large tree."""
    megabytes = OURS[name]["mem_limit"].removesuffix("m")

    assert 128 * MIB < parse_size(f"{megabytes}MiB")


@pytest.mark.needs("prometheus")
def test_prometheus() -> None:
    """Prometheus takes its configuration, and asks the ports at which the services answer."""
    file = REPOSITORY / "deploy" / "prometheus" / "prometheus.yml"
    done = subprocess.run(
        ["promtool", "check", "config", file], capture_output=True, text=True, check=False, timeout=60
    )
    jobs = {job["job_name"]: job["dns_sd_configs"][0] for job in yaml.safe_load(file.read_text())["scrape_configs"]}

    assert 0 == done.returncode, done.stdout + done.stderr
    for service, port in (("server", 9101), ("client", 9102)):
        assert [name for name in OURS if name.startswith(service)] == jobs[f"dirsync-{service}"]["names"]
        assert port == jobs[f"dirsync-{service}"]["port"]


def test_time_to_end() -> None:
    """A client has more time to end than it takes by itself, and ends before its server."""
    for name, service in OURS.items():
        if not name.startswith("client"):
            continue
        grace = load_settings("client", {"DIRSYNC_CLIENT_INSECURE": "true"}).shutdown_grace
        assert parse_duration(service["stop_grace_period"]) > grace
        assert (
            {one for one in OURS if one.startswith(name.replace("client", "server").rstrip("-12"))}
            >= set(service["depends_on"]) - {"envoy-scale"}
            != set()
        )


def test_envoy() -> None:
    """Envoy has the configuration that names the servers of its profile, and clients connect to where it listens."""
    config = yaml.safe_load((REPOSITORY / "deploy" / "envoy" / "compose.yaml").read_text())
    listener, servers = config["static_resources"]["listeners"][0], config["static_resources"]["clusters"][0]
    endpoints = servers["load_assignment"]["endpoints"][0]["lb_endpoints"]
    named = [one["endpoint"]["address"]["socket_address"]["address"] for one in endpoints]
    port = listener["address"]["socket_address"]["port_value"]

    assert [name for name in SERVICES if name.startswith("server-scale")] == named
    assert {f"envoy-scale:{port}"} == {
        OURS[name]["environment"]["DIRSYNC_CLIENT_SERVER"] for name in OURS if name.startswith("client-scale")
    }


def test_grafana() -> None:
    """Grafana asks the Prometheus beside it, as often as that scrapes, and finds the dashboard where it is mounted."""
    folder = REPOSITORY / "deploy" / "grafana"
    (source,) = yaml.safe_load((folder / "provisioning" / "datasources" / "prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "provisioning" / "dashboards" / "dirsync.yaml").read_text())["providers"]
    scrape = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "prometheus.yml").read_text())["global"]
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])
    ini = configparser.ConfigParser()
    ini.read(folder / "grafana.ini")
    port = SERVICES["prometheus"]["ports"][0].rpartition(":")[2]

    assert f"http://prometheus:{port}" == source["url"]
    assert scrape["scrape_interval"] == source["jsonData"]["timeInterval"]
    assert "/etc/grafana/provisioning" == mounts["./deploy/grafana/provisioning"]
    assert "/etc/grafana/grafana.ini" == mounts["./deploy/grafana/grafana.ini"]
    assert provider["options"]["path"] == mounts["./deploy/grafana/dashboards"]
    assert f"{provider['options']['path']}/dirsync.json" == ini["dashboards"]["default_home_dashboard_path"]
    assert "Viewer" == ini["auth.anonymous"]["org_role"]
    assert ini.getboolean("security", "disable_initial_admin_creation")
