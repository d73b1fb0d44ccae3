"""Whether a client does what people use it for, and if not, why."""

from dirsync_client.report.status import Status

MAX_READY_LAG_SECONDS = 300.0
"""A client whose oldest change is older than this is not ready."""


def not_ready_reason(status: Status, lag: float) -> str:
    """Why the client is not ready, in words for people; empty if it is. ``lag`` is that of its oldest change, in s."""
    if status.stalled:
        return status.stalled
    if status.last_success is None and status.hold is None:
        return status.last_error or "the first sync is not done"
    if status.hold is not None:
        return f"a guard holds deletes: dirsync-client approve {status.hold.id}"
    if status.last_error:
        return f"the server is lost: {status.last_error}"
    if lag > MAX_READY_LAG_SECONDS:
        return f"the oldest change waits for {lag:.0f} s"
    return ""
