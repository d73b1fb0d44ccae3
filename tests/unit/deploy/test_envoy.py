"""The configurations of Envoy: made from one template, and what the two ways have in common and not."""

from typing import Any

import pytest
import yaml

from scripts.envoy import CONFIGURATIONS, TEMPLATE, Configuration, render
from tests.support.outside.manifests import REPOSITORY

every = pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda one: one.path)


def cluster(configuration: Configuration) -> dict[str, Any]:
    """The servers as Envoy sees them."""
    config: dict[str, Any] = yaml.safe_load((REPOSITORY / configuration.path).read_text())
    found: dict[str, Any] = config["static_resources"]["clusters"][0]
    return found


def routes(configuration: Configuration) -> list[dict[str, Any]]:
    """The routes for clients, in the order in which they are tried."""
    config = yaml.safe_load((REPOSITORY / configuration.path).read_text())
    (chain,) = config["static_resources"]["listeners"][0]["filter_chains"]
    found: list[dict[str, Any]] = chain["filters"][0]["typed_config"]["route_config"]["virtual_hosts"][0]["routes"]
    return found


@every
def test_fresh(configuration: Configuration) -> None:
    """Each is what the template makes."""
    assert render(TEMPLATE.read_text(), configuration) == (REPOSITORY / configuration.path).read_text()


@every
def test_routed_by_namespace(configuration: Configuration) -> None:
    """The ring hashes names of servers, and of a call its namespace and nothing else."""
    found = cluster(configuration)
    to_servers = [one["route"] for one in routes(configuration) if "route" in one]

    assert "RING_HASH" == found["lb_policy"]
    assert found["common_lb_config"]["consistent_hashing_lb_config"]["use_hostname_for_hashing"] is True
    assert [[{"header": {"header_name": "dirsync-namespace"}, "terminal": True}]] * 2 == [
        one["hash_policy"] for one in to_servers
    ]


@every
def test_push_streams_are_left_alone(configuration: Configuration) -> None:
    """They come first, have no limit of time, and are not kept to be repeated."""
    push, others = routes(configuration)[:2]

    assert push["match"]["prefix"].endswith("/PushChanges")
    assert ("0s", "0s") == (push["route"]["timeout"], push["route"]["idle_timeout"])
    assert ("retry_policy" in push["route"], "retry_policy" in others["route"]) == (False, True)


@every
def test_health_moves_namespaces_only_where_they_can_go(configuration: Configuration) -> None:
    """With shared storage an unhealthy server is out of the ring; with a volume each it stays in it."""
    found = cluster(configuration)
    panic = found["common_lb_config"]["healthy_panic_threshold"]["value"]

    assert (0 if "shared" in configuration.words else 100) == panic
    assert ("shared" in configuration.words) == found.get("close_connections_on_host_health_failure", False)
    assert "dirsync.v1.SyncService" == found["health_checks"][0]["grpc_health_check"]["service_name"]


@every
def test_a_status_of_one_namespace_ejects_no_server(configuration: Configuration) -> None:
    """UNAVAILABLE counts as nothing; only what says that a server is not reached does."""
    outliers = cluster(configuration)["outlier_detection"]
    enforced = {name for name, value in outliers.items() if name.startswith("enforcing") and value}

    assert {"enforcing_consecutive_local_origin_failure"} == enforced
    assert outliers["split_external_local_origin_errors"] is True
