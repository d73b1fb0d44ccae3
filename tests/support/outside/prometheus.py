"""A real Prometheus that scrapes programs of this machine, and what its expressions name."""

import http.client
import json
import re
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from dirsync.runtime.metrics.catalogue import PER_TARGET, TARGET
from tests.support.outside.manifests import REPOSITORY
from tests.support.running.metrics import Samples, get
from tests.support.running.ports import free_port
from tests.support.running.waiting import until

RULES = REPOSITORY / "deploy" / "prometheus" / "rules.yml"
DASHBOARD = REPOSITORY / "deploy" / "grafana" / "dashboards" / "dirsync.json"
_SELECTOR = re.compile(r"\b((?:dirsync|grpc|process)[\w:]*|up)\b(?!\s*\()(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
_GROUPED = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
_ADDED = {"job", "instance"}
"""Labels that a scrape adds."""


class Selector(NamedTuple):
    """A metric in an expression, with the labels that it is asked for."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator and value."""


class Shown(NamedTuple):
    """An expression of a panel."""

    panel: str
    expr: str
    legend: str


def panels() -> Iterator[Shown]:
    """Every expression of the dashboard."""
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield Shown(panel["title"], target["expr"], target["legendFormat"])


def rules() -> list[dict[str, Any]]:
    """All alerts and recording rules."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def selectors(expr: str) -> Iterator[Selector]:
    """The metrics that an expression names; results of recording rules have a colon in their names."""
    for name, inside in _SELECTOR.findall(_GROUPED.sub("", expr)):
        yield Selector(name, tuple(_MATCHER.findall(inside)))


def labels_named(expr: str, legend: str = "") -> set[str]:
    """The labels that an expression groups by, or that a legend shows."""
    grouped = {label.strip() for found in _GROUPED.findall(expr) for label in found.split(",") if label.strip()}
    return grouped | set(re.findall(r"{{\s*(?:\$labels\.)?(\w+)\s*}}", legend))


def unknown(expr: str, legend: str, samples: Mapping[str, Samples]) -> list[str]:
    """The metrics, labels and values of labels in an expression that no scrape has; ``samples`` by service."""
    found = [selector for selector in selectors(expr) if ":" not in selector.name and selector.name != "up"]
    keys = [key for scrape in samples.values() for key in scrape.keys]
    wrong = [str(one) for one in found if not any(_matches(one, name, dict(labels)) for name, labels in keys)]
    names = {selector.name for selector in found}
    known = _ADDED | {label for name, labels in keys if name in names for label, _ in labels}
    if not PER_TARGET.isdisjoint(re.sub("_(bucket|count|sum)$", "", name) for name in names):
        known.add(TARGET)  # there only where servers have names
    named = labels_named(expr, legend) if found else set()
    return [*wrong, *sorted(named - known)]


def _matches(selector: Selector, name: str, labels: dict[str, str]) -> bool:
    if name != selector.name:
        return False
    for label, operator, value in selector.matchers:
        if label in _ADDED:
            continue
        if label not in labels:
            return False
        if operator == "=" and labels[label] != value:
            return False
        if operator == "=~" and not re.fullmatch(value, labels[label]):
            return False
    return True


def filled_in(expr: str, interval: str) -> str:
    """An expression of the dashboard as Grafana asks it with all clients and servers selected."""
    return expr.replace("$client", ".*").replace("$server", ".*").replace("$__rate_interval", interval)


class Prometheus:
    """A running Prometheus."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, **parameters: str) -> Any:
        """What its API says; None if it does not answer (yet)."""
        try:
            answer = get(self.port, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        except (OSError, http.client.HTTPException):
            return None
        return json.loads(answer.body).get("data") if answer.status == 200 else None

    def query(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of what an expression gives now."""
        data = self.ask("query", query=expr)
        assert data is not None, f"{expr} cannot be asked"
        return [(found["metric"], float(found["value"][1])) for found in data["result"]]

    def health(self) -> dict[str, str]:
        """The health of each job's target."""
        found = self.ask("targets")
        return {target["labels"]["job"]: target["health"] for target in found["activeTargets"]} if found else {}


@contextmanager
def prometheus(place: Path, ports: Mapping[str, int]) -> Iterator[Prometheus]:
    """A Prometheus with our rules that scrapes and judges once a second; ``ports`` by the job's name."""
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [RULES.name],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in ports.items()
        ],
    }
    place.mkdir(parents=True, exist_ok=True)
    (place / "prometheus.yml").write_text(yaml.safe_dump(config))
    shutil.copyfile(RULES, place / RULES.name)
    port = free_port()
    # Its pages name the file of a rule as it was given: without a directory of this machine.
    command = [
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (place / "log").open("wb") as log, subprocess.Popen(command, cwd=place, stdout=log, stderr=log) as process:
        try:
            running = Prometheus(port)
            until(lambda: set(running.health().values()) == {"up"}, "all targets are scraped", seconds=30)
            yield running
        finally:
            process.terminate()
            process.wait(20)
