"""Hears from the server what others change in the replica, for one session."""

import threading
from collections.abc import Callable

from dirsync.errors import DirsyncError
from dirsync_client.receive.results import ReplicaReported
from dirsync_client.session.link import Link
from dirsync_client.session.stream_ended import StreamEnded


class ReplicaWatch:
    """One thread, made and closed with the session."""

    def __init__(self, link: Link, post: Callable[[ReplicaReported | StreamEnded], None]) -> None:
        self._watch = link.watch()
        self._post = post
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="dirsync-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the stream."""
        self._closed = True
        self._watch.close()
        self._thread.join()

    def _run(self) -> None:
        error: Exception | None = None
        try:
            for report in self._watch.reports():
                self._post(ReplicaReported.of(report))
        except DirsyncError as ended:
            error = ended
        except Exception as bug:  # noqa: BLE001  # a bug here must end the session, not leave it deaf
            error = bug
        if not self._closed:
            self._post(StreamEnded(error))
