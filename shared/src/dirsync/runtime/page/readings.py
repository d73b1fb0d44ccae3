"""The sums of a service's metrics, as its page shows them."""

from collections.abc import Mapping

from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.runtime.page.document import Traffic

_TRAFFIC = (
    "dirsync_logical_bytes_total",
    "dirsync_literal_bytes_total",
    "dirsync_wire_bytes_total",
    "dirsync_saved_bytes_total",
    "dirsync_files_transferred_total",
)
_TOTALS = ("dirsync_wire_bytes_total", "dirsync_saved_bytes_total", "dirsync_changes_applied_total")


class Readings:
    """Reads metrics; from any thread."""

    def __init__(self, metrics: PrometheusMetrics) -> None:
        self._metrics = metrics

    def by_label(self, name: str) -> dict[str, int]:
        """A metric with one label, by its value."""
        return _by_label(self._metrics.values(name)[name])

    def number(self, name: str) -> int:
        """A metric without labels."""
        return int(self._metrics.values(name)[name][()])

    @property
    def traffic(self) -> Traffic:
        """The sums since the start."""
        found = self._metrics.values(*_TRAFFIC)
        return Traffic(
            logical_bytes=int(found["dirsync_logical_bytes_total"][()]),
            literal_bytes=int(found["dirsync_literal_bytes_total"][()]),
            wire_bytes=_by_label(found["dirsync_wire_bytes_total"]),
            saved_bytes=_by_label(found["dirsync_saved_bytes_total"]),
            files=_by_label(found["dirsync_files_transferred_total"]),
        )

    @property
    def totals(self) -> dict[str, float]:
        """What a :class:`~dirsync.runtime.page.history.History` takes the differences of."""
        found = self._metrics.values(*_TOTALS)
        wire = found["dirsync_wire_bytes_total"]
        changes = found["dirsync_changes_applied_total"]
        return {
            "sent_bytes": wire["sent",],
            "received_bytes": wire["received",],
            "saved_bytes": sum(found["dirsync_saved_bytes_total"].values()),
            "changes": sum(value for (_, outcome), value in changes.items() if outcome == "applied"),
        }


def _by_label(series: Mapping[tuple[str, ...], float]) -> dict[str, int]:
    return {values[0]: int(value) for values, value in series.items()}
