"""What a service shows over HTTP: its metrics, parsed by Prometheus' own library, and its health."""

import http.client
from collections.abc import Mapping
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families


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
    def names(self) -> set[str]:
        """Names of all samples."""
        return {name for name, _ in self._values}

    def value(self, name: str, **labels: str) -> float:
        """One sample."""
        return self._values[name, frozenset(labels.items())]

    def sums(self, name: str, label: str) -> Mapping[str, float]:
        """The samples of a name by the value of one of its labels."""
        found: dict[str, float] = {}
        for (sample, labels), value in self._values.items():
            if sample == name:
                key = dict(labels)[label]
                found[key] = found.get(key, 0.0) + value
        return found


def get(port: int, path: str) -> Answer:
    """Ask a service of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers.get_content_type(), answer.read().decode())
    finally:
        connection.close()


def scrape(port: int) -> Samples:
    """The metrics that a service shows."""
    return Samples(get(port, "/metrics").body)
