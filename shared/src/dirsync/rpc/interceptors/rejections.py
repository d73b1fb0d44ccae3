"""Counts and logs the requests that end with an error of ours."""

from collections.abc import Callable

from dirsync.errors import AccessError, DirsyncError
from dirsync.rpc.auth.gate import RateLimited
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.catalogue import rejection
from dirsync.runtime.metrics.metrics import Metrics


def rejections(metrics: Metrics) -> Callable[[DirsyncError, str], None]:
    """The function that :func:`dirsync.rpc.service.generic_handler` calls with the error and the method."""
    log = get_logger()

    def rejected(error: DirsyncError, method: str) -> None:
        if isinstance(error, RateLimited):
            # Callers must not see the difference; the gate has logged it, once.
            metrics.inc("dirsync_rejected_total", reason="rate_limited")
            return
        metrics.inc("dirsync_rejected_total", reason=rejection(error))
        event = Event.AUTH_REJECTED if isinstance(error, AccessError) else Event.REQUEST_REJECTED
        log.warning(event, method=method, reason=error.reason, problem=str(error))

    return rejected
