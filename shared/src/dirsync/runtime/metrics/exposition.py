"""The metrics as text, through prometheus_client: it knows the format, we hold the numbers.

A registry of our own for each rendering, so that nothing of the library's global state (its ``_created`` series, other
collectors) shows up; the process's own figures (memory, descriptors, CPU) come from the library's collector.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from dirsync.runtime.metrics.catalogue import Metric, MetricType
from dirsync.runtime.metrics.metrics import Histogram, Metrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def render(metrics: Metrics) -> bytes:
    """Every series of ``metrics`` and of this process, in the text format of Prometheus 0.0.4."""
    registry = CollectorRegistry()
    registry.register(_Ours(metrics))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Ours(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        for metric in self._metrics.catalogue:
            yield _family(metric, self._metrics)


def _family(metric: Metric, metrics: Metrics) -> Family:
    family = _TYPES[metric.type](metric.name, metric.help, labels=metric.labels)
    for labels, series in metrics.series(metric).items():
        if isinstance(family, HistogramMetricFamily):
            if isinstance(series, Histogram):
                buckets, total = series.snapshot()
                family.add_metric(labels, buckets, total)
        else:
            family.add_metric(labels, series.read())
    return family


_TYPES: dict[MetricType, type[CounterMetricFamily] | type[GaugeMetricFamily] | type[HistogramMetricFamily]] = {
    MetricType.COUNTER: CounterMetricFamily,
    MetricType.GAUGE: GaugeMetricFamily,
    MetricType.HISTOGRAM: HistogramMetricFamily,
}
