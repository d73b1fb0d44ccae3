"""What a service shows over HTTP: its metrics, parsed by Prometheus' own library, and its health."""

import http.client
from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from dirsync.runtime.metrics.exposition import render
from dirsync.runtime.metrics.registry import PrometheusMetrics


class Answer(NamedTuple):
    """An HTTP answer."""

    status: int
    kind: str
    """The media type."""
    body: str


class Samples:
    """One scrape."""

    def __init__(self, text: str) -> None:
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self._values, f"{key} is there twice"
                self._values[key] = sample.value

    @property
    def keys(self) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        """Names and labels of all samples."""
        return set(self._values)

    @property
    def names(self) -> set[str]:
        """Names of all samples."""
        return {name for name, _ in self._values}

    def value(self, name: str, **labels: str) -> float:
        """One sample; fails the test if there is none with exactly these labels."""
        key = name, frozenset(labels.items())
        assert key in self._values, f"no {name} with {labels}"
        return self._values[key]

    def sums(self, name: str, label: str) -> Mapping[str, float]:
        """The samples of a name by the value of one of its labels."""
        found: dict[str, float] = {}
        for (sample, labels), value in self._values.items():
            if sample == name:
                key = dict(labels)[label]
                found[key] = found.get(key, 0.0) + value
        return found


def samples(metrics: PrometheusMetrics) -> Samples:
    """What a scrape of metrics in this process would see."""
    return Samples(render(metrics.registry).decode())


def get(port: int, path: str) -> Answer:
    """Ask a service of this machine, whatever the status of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers.get_content_type(), answer.read().decode())
    finally:
        connection.close()


def scrape(port: int) -> Samples:
    """What ``/metrics`` says now."""
    answer = get(port, "/metrics")

    assert answer.status == 200
    return Samples(answer.body)
