"""What code that counts knows of metrics: handles of counters, gauges and histograms, found by name and labels.

There are two kinds of :class:`Metrics`. A service that is scraped has
:class:`~dirsync.runtime.metrics.registry.PrometheusMetrics`. A short command is never scraped: it has
:class:`NoMetrics`, which keeps no numbers and does not import prometheus_client.

With both kinds a name, label or label value that the catalogue does not know is a ``KeyError``, and a handle of the
wrong type a ``TypeError``: a typing error must fail a test and not make a new series. Code that counts often fetches
its handles once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from dirsync.runtime.metrics.catalogue import CATALOGUE, TARGET, Metric, MetricType


class Counter(Protocol):
    """A number that only grows."""

    def inc(self, amount: float = 1) -> None:
        """Add ``amount``, which is not negative."""


class Gauge(Protocol):
    """A number that is set, or asked for at each scrape."""

    def set(self, value: float) -> None:
        """Replace the number."""

    def set_function(self, f: Callable[[], float]) -> None:
        """Call ``f`` for the number from now on: from any thread, quick, and without waiting for a lock."""


class Histogram(Protocol):
    """How often values fell into which bucket."""

    def observe(self, amount: float) -> None:
        """Count one value."""


class Metrics(ABC):
    """The handles of all series of one process."""

    def __init__(self, further: Iterable[Metric] = (), catalogue: Iterable[Metric] = CATALOGUE) -> None:
        """``catalogue`` is what this service measures; ``further`` metrics (those of its gRPC server) are added."""
        self.catalogue: tuple[Metric, ...] = (*catalogue, *further)
        self._metrics = {metric.name: metric for metric in self.catalogue}
        self._handles = {metric.name: self._make(metric) for metric in self.catalogue}

    @abstractmethod
    def _make(self, metric: Metric) -> dict[tuple[str, ...], Any]:
        """The handles of all series of a metric, by their label values."""

    def counter(self, name: str, /, **labels: str) -> Counter:
        """The handle of one counter."""
        counter: Counter = self._find(MetricType.COUNTER, name, labels)
        return counter

    def gauge(self, name: str, /, **labels: str) -> Gauge:
        """The handle of one gauge."""
        gauge: Gauge = self._find(MetricType.GAUGE, name, labels)
        return gauge

    def histogram(self, name: str, /, **labels: str) -> Histogram:
        """The handle of one histogram."""
        histogram: Histogram = self._find(MetricType.HISTOGRAM, name, labels)
        return histogram

    def family(self, name: str, /) -> Mapping[tuple[str, ...], Counter]:
        """The handles of all series of a counter, by their label values in the catalogue's order: for hot paths."""
        if self._metrics[name].type is not MetricType.COUNTER:
            raise TypeError(name)
        return self._handles[name]

    def inc(self, name: str, amount: int = 1, /, **labels: str) -> None:
        """Add to a counter."""
        self.counter(name, **labels).inc(amount)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self.gauge(name, **labels).set(value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Count a value in a histogram."""
        self.histogram(name, **labels).observe(value)

    def count_lookup(self, cache: str, *, hits: int = 0, misses: int = 0, stale: int = 0) -> None:
        """Count what a cache was asked, and how it answered."""
        for result, count in (("hit", hits), ("miss", misses), ("stale", stale)):
            self.inc("dirsync_cache_lookups_total", count, cache=cache, result=result)

    def handles(self, name: str, /) -> Mapping[tuple[str, ...], Any]:
        """The handles of all series of a metric, by their label values in the catalogue's order."""
        return self._handles[name]

    def of_target(self, name: str) -> "Metrics":
        """These metrics as one target counts them; ``name`` is a value of the label ``target``."""
        return TargetMetrics(self, name)

    def _find(self, kind: MetricType, name: str, labels: dict[str, str]) -> Any:
        metric = self._metrics[name]
        if len(labels) != len(metric.labels):
            raise KeyError(name, *labels)
        handle = self._handles[name][tuple(labels[label] for label in metric.labels)]
        if metric.type is not kind:
            raise TypeError(name)
        return handle


class TargetMetrics(Metrics):
    """The metrics of a process as one of its targets counts them: the label ``target`` is set everywhere."""

    def __init__(self, metrics: Metrics, target: str) -> None:
        self._all = {metric.name: metrics.handles(metric.name) for metric in metrics.catalogue}
        self._target = target
        super().__init__((), metrics.catalogue)
        self._metrics = {name: _without_target(metric) for name, metric in self._metrics.items()}

    def _make(self, metric: Metric) -> dict[tuple[str, ...], Any]:
        handles = self._all[metric.name]
        if TARGET not in metric.labels:
            return dict(handles)
        return {values[:-1]: handle for values, handle in handles.items() if values[-1] == self._target}


def _without_target(metric: Metric) -> Metric:
    return replace(metric, labels=tuple(label for label in metric.labels if label != TARGET))


class NoMetrics(Metrics):
    """The metrics of a process that is never scraped: the handles keep no numbers."""

    def _make(self, metric: Metric) -> dict[tuple[str, ...], Any]:
        return dict.fromkeys(metric.series, _Forgets())


class _Forgets:
    def inc(self, amount: float = 1) -> None: ...

    def set(self, value: float) -> None: ...

    def set_function(self, f: Callable[[], float]) -> None: ...

    def observe(self, amount: float) -> None: ...


NO_COUNTER: Counter = _Forgets()
"""For code that need not be counted."""
