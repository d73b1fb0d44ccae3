"""What stands still shows in the status, the metrics, and readiness, and is over when it goes on."""

from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync_client.lifecycle.activity import Activities, Part
from dirsync_client.lifecycle.readiness import not_ready_reason
from dirsync_client.lifecycle.supervisor import Supervisor
from dirsync_client.report.status import StatusBoard


class Supervised:
    """A supervisor with a clock that stands."""

    def __init__(self) -> None:
        self.now = 100.0
        self.activities = Activities(lambda: self.now)
        self.board = StatusBoard(lambda: self.now)
        self.metrics = PrometheusMetrics((), CLIENT_CATALOGUE)
        self.resumed = 0
        self.supervisor = Supervisor(self.activities, 4.0, {"": self.board}, lambda _name: self.metrics, self._resume)
        self.board.update(in_sync=True, last_success=self.now, first_sync_done=True)

    def in_sync(self) -> bool:
        """By the status."""
        return self.board.status.in_sync

    def value(self, name: str, **labels: str) -> float | None:
        """A metric."""
        return self.metrics.registry.get_sample_value(name, labels)

    def _resume(self) -> None:
        self.resumed += 1


def test_stall() -> None:
    """Nothing is in sync, the lag grows, and readiness has the reason, until it goes on."""
    client = Supervised()
    client.supervisor.check()
    assert "" == not_ready_reason(client.board.status, client.board.now())
    client.activities.engine.begin(Part.SOURCE)
    client.now += 5
    client.supervisor.check()

    assert not client.in_sync()
    assert 5.0 == client.board.lag()
    assert "the source does not answer" in not_ready_reason(client.board.status, client.board.now())
    assert (0.0, 1.0) == (client.value("dirsync_in_sync"), client.value("dirsync_stalled", part="source"))
    client.board.update(in_sync=True)  # by what the engine knew before
    assert not client.in_sync()
    assert 0 == client.resumed


def test_resume() -> None:
    """When it goes on everything is looked at again, and in sync is what the engine says from then on."""
    client = Supervised()
    client.activities.engine.begin(Part.SOURCE)
    client.now += 5
    client.supervisor.check()
    client.activities.engine.rest()
    client.supervisor.check()

    assert 1 == client.resumed
    assert "" == client.board.status.stalled
    assert not client.in_sync()
    assert 0.0 == client.board.lag()
    client.board.update(in_sync=True)
    client.supervisor.check()
    assert client.in_sync()
    assert (1.0, 0.0) == (client.value("dirsync_in_sync"), client.value("dirsync_stalled", part="source"))
    assert 1 == client.resumed
