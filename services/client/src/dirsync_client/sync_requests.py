"""Requests to compare both sides now: each is answered when what was there when it was made is settled.

It waits for no quiet moment: where something is written all the time there is none.
"""

from collections.abc import Callable

from dirsync_client.reconcile.view import View

Answer = Callable[[], None]


class SyncRequests:
    """Those that are not answered."""

    def __init__(self) -> None:
        self._new: list[Answer] = []
        """No scan of the source has begun since."""
        self._scanning: list[Answer] = []
        """The scan that began since is under way."""
        self._scanned: list[Answer] = []
        """The source was looked at; the server may still look at its replica."""
        self._marked: list[tuple[float, Answer]] = []
        """Both sides were looked at then: what was noticed before has to be settled."""

    def add(self, answer: Answer) -> None:
        """A request was made."""
        self._new.append(answer)

    def scan_started(self) -> None:
        """A scan of the source begins."""
        self._scanning += self._new
        self._new = []

    def scan_finished(self) -> None:
        """It is done, and what it found was told or will be at once."""
        self._scanned += self._scanning
        self._scanning = []

    def advance(self, view: View, now: float) -> None:
        """Answer what can be answered; the view is that of an open session, after all that was found."""
        if self._scanned and not view.is_rescanning:
            self._marked += [(now, answer) for answer in self._scanned]
            self._scanned = []
        if not self._marked:
            return
        oldest = view.oldest_change
        for mark, answer in self._marked:
            if oldest is None or oldest > mark:
                answer()
        self._marked = [(mark, answer) for mark, answer in self._marked if oldest is not None and oldest <= mark]

    def answer_all(self) -> None:
        """Nothing is synced any more: nobody is to wait for it."""
        for answer in (*self._new, *self._scanning, *self._scanned, *(answer for _, answer in self._marked)):
            answer()
        self._new, self._scanning, self._scanned, self._marked = [], [], [], []
