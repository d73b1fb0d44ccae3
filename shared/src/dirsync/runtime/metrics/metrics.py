"""The values behind ``/metrics``: plain numbers under a lock each, made for all label sets at the start.

A name, label or label value that the catalogue does not know is a ``KeyError`` (``TypeError`` where the type does not
match): a typing error must fail a test and not make a new series. Whoever counts often takes a handle once
(:meth:`Metrics.counter`, :meth:`Metrics.gauge`, :meth:`Metrics.histogram`). prometheus_client is imported at the first
scrape only (:mod:`dirsync.runtime.metrics.exposition`), because a short run is never scraped.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate
from threading import Lock

from dirsync import __version__
from dirsync.runtime.metrics.catalogue import CATALOGUE, Metric, MetricType


class Counter:
    """A number that only grows."""

    __slots__ = ("_lock", "_value")

    def __init__(self) -> None:
        self._value = 0
        self._lock = Lock()

    def inc(self, amount: int = 1) -> None:
        """Add ``amount``, which is not negative."""
        if amount < 0:
            msg = f"a counter cannot go down by {-amount}"
            raise ValueError(msg)
        with self._lock:
            self._value += amount

    def read(self) -> float:
        """The number now."""
        return self._value


class Gauge:
    """A number that is set, or asked for when it is read."""

    __slots__ = ("_lock", "_source", "_value")

    def __init__(self) -> None:
        self._value: float = 0
        self._source: Callable[[], float] | None = None
        self._lock = Lock()

    def set(self, value: float) -> None:
        """Replace the number."""
        with self._lock:
            self._value = value

    def add(self, amount: float) -> None:
        """Move the number up or down."""
        with self._lock:
            self._value += amount

    def ask(self, source: Callable[[], float]) -> None:
        """From now on call ``source`` for the number: from any thread, quick, and without waiting for a lock."""
        self._source = source

    def read(self) -> float:
        """The number now; NaN where its source fails."""
        if self._source is None:
            return self._value
        try:
            return float(self._source())
        except Exception:  # noqa: BLE001 - one broken gauge must not take the others' scrape with it
            return float("nan")


class Histogram:
    """How often values fell into which bucket."""

    __slots__ = ("_bounds", "_counts", "_lock", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = Lock()

    def observe(self, value: float) -> None:
        """Count one value."""
        index = bisect_left(self._bounds, value)
        with self._lock:
            self._counts[index] += 1
            self._sum += value

    def read(self) -> float:
        """How many values were counted."""
        return sum(self._counts)

    def snapshot(self) -> tuple[list[tuple[str, float]], float]:
        """Cumulative counts by upper bound (as text, the last ``+Inf``), and the sum of all values."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        bounds = [*(repr(bound) for bound in self._bounds), "+Inf"]
        return list(zip(bounds, map(float, accumulate(counts)), strict=True)), total


Series = Counter | Gauge | Histogram


class Metrics:
    """All values of one process."""

    def __init__(self, further: Iterable[Metric] = (), catalogue: Iterable[Metric] = CATALOGUE) -> None:
        """``catalogue`` is what this service measures; ``further`` metrics (those of its gRPC server) are added."""
        self.catalogue: tuple[Metric, ...] = (*catalogue, *further, _build_info())
        self._metrics = {metric.name: metric for metric in self.catalogue}
        self._series = {metric.name: {labels: _make(metric) for labels in metric.series} for metric in self.catalogue}
        self.gauge("dirsync_build_info", version=__version__).set(1)

    def counter(self, name: str, /, **labels: str) -> Counter:
        """The handle of one counter."""
        series = self._find(name, labels)
        if not isinstance(series, Counter):
            raise TypeError(name)
        return series

    def gauge(self, name: str, /, **labels: str) -> Gauge:
        """The handle of one gauge."""
        series = self._find(name, labels)
        if not isinstance(series, Gauge):
            raise TypeError(name)
        return series

    def histogram(self, name: str, /, **labels: str) -> Histogram:
        """The handle of one histogram."""
        series = self._find(name, labels)
        if not isinstance(series, Histogram):
            raise TypeError(name)
        return series

    def inc(self, name: str, amount: int = 1, /, **labels: str) -> None:
        """Add to a counter."""
        self.counter(name, **labels).inc(amount)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self.gauge(name, **labels).set(value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Count a value in a histogram."""
        self.histogram(name, **labels).observe(value)

    def value(self, name: str, /, **labels: str) -> float:
        """The value of a counter or gauge, or how many values a histogram has counted."""
        return self._find(name, labels).read()

    def series(self, metric: Metric) -> dict[tuple[str, ...], Series]:
        """All series of a metric by their label values."""
        return self._series[metric.name]

    def family(self, name: str, /) -> dict[tuple[str, ...], Counter]:
        """The handles of all series of a counter, by their label values in the catalogue's order: for hot paths."""
        return {values: series for values, series in self._series[name].items() if isinstance(series, Counter)}

    def count_lookup(self, cache: str, *, hits: int = 0, misses: int = 0, stale: int = 0) -> None:
        """Count what a cache was asked, and how it answered."""
        for result, count in (("hit", hits), ("miss", misses), ("stale", stale)):
            self.inc("dirsync_cache_lookups_total", count, cache=cache, result=result)

    def render(self) -> bytes:
        """Everything in the text format of Prometheus 0.0.4."""
        from dirsync.runtime.metrics.exposition import render  # noqa: PLC0415 - only a scrape pays for prometheus_client

        return render(self)

    def _find(self, name: str, labels: dict[str, str]) -> Series:
        metric = self._metrics[name]
        if len(labels) != len(metric.labels):
            raise KeyError(name, *labels)
        return self._series[name][tuple(labels[label] for label in metric.labels)]


def _make(metric: Metric) -> Series:
    match metric.type:
        case MetricType.COUNTER:
            return Counter()
        case MetricType.GAUGE:
            return Gauge()
        case MetricType.HISTOGRAM:
            return Histogram(metric.buckets)


def _build_info() -> Metric:
    text = "Which version runs; always 1."
    return Metric("dirsync_build_info", MetricType.GAUGE, text, ("version",), ((__version__,),))
