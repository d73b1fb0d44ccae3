"""Operations that were sent and are not settled, by the number that they have in the stream."""

import threading
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from dirsync.wire.push.results import Committed
from dirsync_client.reconcile.commands import Sent
from dirsync_client.reconcile.events import Settled

if TYPE_CHECKING:
    from dirsync.tree.outcome import Failure


class InFlight:
    """Thread-safe: the sender adds, the receiver settles."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batched: deque[tuple[int, Sent]] = deque()
        self._files: dict[int, Sent] = {}
        self._rescans: deque[bool] = deque()

    def batched(self, numbered: Iterable[tuple[int, Sent]]) -> None:
        """These go in one message; their numbers rise."""
        with self._lock:
            self._batched.extend(numbered)

    def file_begun(self, number: int, sent: Sent) -> None:
        """A file begins to travel in frames. The server may refuse it before it ends."""
        with self._lock:
            self._files[number] = sent

    def file_ended(self, number: int, sent: Sent) -> bool:
        """A file was sent to its end; false if the server has refused it meanwhile."""
        with self._lock:
            if number not in self._files:
                return False
            self._files[number] = sent
            return True

    def file_given_up(self, number: int) -> bool:
        """A file is not sent to its end; false if the server has refused it meanwhile."""
        with self._lock:
            return self._files.pop(number, None) is not None

    def commit_asked(self, *, rescan: bool) -> None:
        """A commit was asked for."""
        with self._lock:
            self._rescans.append(rescan)

    @property
    def unsettled(self) -> list[Sent]:
        """What was sent and is not settled."""
        with self._lock:
            return [*(sent for _, sent in self._batched), *self._files.values()]

    def settle(self, committed: Committed) -> Settled:
        """What a commit settles."""
        failures: dict[int, Failure] = {failure.number: failure for failure in committed.failures}
        applied: list[Sent] = []
        failed: list[tuple[Sent, Failure]] = []
        with self._lock:
            while self._batched and self._batched[0][0] <= committed.settled_number:
                number, sent = self._batched.popleft()
                failure = failures.pop(number, None)
                if failure is None:
                    applied.append(sent)
                else:
                    failed.append((sent, failure))
            for number in committed.files:
                file = self._files.pop(number, None)
                if file is not None:
                    applied.append(file)
            for number, failure in failures.items():
                file = self._files.pop(number, None)
                if file is not None:
                    failed.append((file, failure))
            rescanned = committed.requested and bool(self._rescans) and self._rescans.popleft()
        return Settled(applied, failed, committed.root_digest, rescanned, committed.version)
