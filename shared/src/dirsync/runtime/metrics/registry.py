"""The metrics of a service, as prometheus_client keeps them, in a registry of our own.

The library's default registry is not used: it would show collectors that are not ours. The process's own figures
(memory, descriptors, CPU) come from the library's collector.
"""

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from dirsync import __version__
from dirsync.runtime.metrics.catalogue import CATALOGUE, TARGET, Metric, MetricType
from dirsync.runtime.metrics.metrics import Metrics

# Each counter and histogram would have one more series. The library has this switch for the whole process only.
disable_created_metrics()  # type: ignore[no-untyped-call] # the one function that the library left out


class PrometheusMetrics(Metrics):
    """Metrics that can be scraped; all series exist from the start."""

    def __init__(self, further: Iterable[Metric] = (), catalogue: Iterable[Metric] = CATALOGUE) -> None:
        """As for :class:`Metrics`."""
        self.registry = CollectorRegistry()
        super().__init__(further, catalogue)
        Info("dirsync_build", "Version of the program; always 1.", registry=self.registry).info(
            {"version": __version__}
        )
        ProcessCollector(registry=self.registry)

    def values(self, *names: str) -> dict[str, dict[tuple[str, ...], float]]:
        """The present values of counters and gauges, by name and then by label values in the catalogue's order.

        What is counted for each target is summed.
        """
        found: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in names}
        for family in self.registry.restricted_registry(names).collect():
            for sample in family.samples:
                labels = [label for label in self._metrics[sample.name].labels if label != TARGET]
                key, known = tuple(sample.labels[label] for label in labels), found[sample.name]
                known[key] = known.get(key, 0.0) + sample.value
        return found

    def _make(self, metric: Metric) -> dict[tuple[str, ...], Any]:
        parent = self._register(metric)
        return {values: parent.labels(*values) if values else parent for values in metric.series}

    def _register(self, metric: Metric) -> Counter | Gauge | Histogram:
        match metric.type:
            case MetricType.COUNTER:
                return Counter(metric.name, metric.help, metric.labels, registry=self.registry)
            case MetricType.GAUGE:
                return _Gauge(metric.name, metric.help, metric.labels, registry=self.registry)
            case MetricType.HISTOGRAM:
                return Histogram(
                    metric.name, metric.help, metric.labels, registry=self.registry, buckets=metric.buckets
                )


class _Gauge(Gauge):
    """A gauge that is not a number where its function fails: the other metrics must still be scraped."""

    def set_function(self, f: Callable[[], float]) -> None:
        def guarded() -> float:
            try:
                return float(f())
            except Exception:  # noqa: BLE001 - whatever the function raises
                return float("nan")

        super().set_function(guarded)
