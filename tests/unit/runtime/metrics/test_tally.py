"""Additions to counters that are put together first."""

from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.runtime.metrics.tally import Tally

LITERAL, LOGICAL = "dirsync_literal_bytes_total", "dirsync_logical_bytes_total"


def test_sums() -> None:
    """The counters get the sums at the flush, once."""
    metrics, tally = PrometheusMetrics(), Tally()
    tally.note(metrics.counter(LITERAL), 3)
    tally.note(metrics.counter(LOGICAL))
    tally.note(metrics.counter(LITERAL), 4)
    before = metrics.values(LITERAL, LOGICAL)
    tally.flush()
    tally.flush()

    assert {LITERAL: {(): 0}, LOGICAL: {(): 0}} == before
    assert {LITERAL: {(): 7}, LOGICAL: {(): 1}} == metrics.values(LITERAL, LOGICAL)
