"""The part of the engine that there is once for each server: how its sync goes, is told, ends, or fails.

The engine's thread only. The engine looks at the source and hands every target the same facts; a target that waits for
its server is stepped like the others, and a step waits for no server.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.source.source import Source
from dirsync.errors import DirsyncError
from dirsync.tree.guards.approvals import Released
from dirsync.tree.path import RelPath
from dirsync_client.lifecycle.ending import Deadlines, Ending, Left, Standing
from dirsync_client.mailbox import Completion
from dirsync_client.reconcile.events import Event, SourceChanged
from dirsync_client.report.explain import Explanation, explain
from dirsync_client.report.reporter import Reporter
from dirsync_client.report.status import State
from dirsync_client.sync_requests import SyncRequests
from dirsync_client.target import Target


class Moment(NamedTuple):
    """What a step of the engine is the same for all targets."""

    events: Sequence[Event]
    """What the source showed."""
    only_hints: bool
    """Nothing came in but hints."""
    may_connect: bool
    """The source was scanned with the ignore rules that a session has to agree on."""
    oldest_hint: float | None
    """When the oldest change was noticed that is not looked at yet."""


class TargetEngine:
    """One target, from the start of the client to its end."""

    def __init__(
        self,
        name: str,
        target: Target,
        reporter: Reporter,
        idle: Callable[[], bool],
        now: Monotonic = monotonic,
        *,
        fails_alone: bool = False,
    ) -> None:
        """Take over a target.

        Args:
            name: of the target; empty where there is only one, without a name.
            target: its session and reconciler.
            reporter: what it tells.
            idle: whether nothing has come in that concerns it, and no scan of the source is under way.
            now: the clock.
            fails_alone: an error ends this target, and not the client.
        """
        self.name = name
        self.target = target
        self.reporter = reporter
        self.syncs = SyncRequests()
        self.error: DirsyncError | None = None
        """Why nothing is sent to it any more."""
        self.is_over = False
        """Nothing is sent to it any more: it failed, or a single sync of it is done."""
        self._idle = idle
        self._now = now
        self._fails_alone = fails_alone
        self._was_quiet = False
        """The last moment that was reported was a quiet one."""
        self._ending: Ending | None = None
        self._unseen: list[RelPath] = []
        """What other targets found out about the source, and this one was not told yet."""

    def step(self, moment: Moment, completions: Sequence[Completion]) -> bool:
        """One round; true at a quiet moment, when nothing is known that is left to do.

        Raises:
            DirsyncError: trying again cannot help, and it does not fail alone.
        """
        if self.is_over:
            return True
        try:
            return self._step(moment, completions)
        except DirsyncError as error:
            if not self._fails_alone:
                raise
            self._fail(error)
            return True

    def _step(self, moment: Moment, completions: Sequence[Completion]) -> bool:
        target, reporter = self.target, self.reporter
        events = [*moment.events]
        if self._unseen:
            events.append(SourceChanged(self._unseen, retried=()))
            self._unseen = []
        decided = target.advance(events)
        target.take(completions)
        if moment.may_connect:
            target.connect_if_due(self._now())
        if target.is_open and target.view.is_changing:
            reporter.mark_dirty(self._now())
        quiet = self._idle() and target.is_open and not target.view.is_working
        if quiet and self._was_quiet and moment.only_hints and not decided:
            # A file is being written: nothing is new before it is looked at, and that may be due at once.
            return True
        self._was_quiet = quiet
        times = (moment.oldest_hint, target.view.oldest_change)
        oldest = min((time for time in times if time is not None), default=None)
        if target.is_open:
            reporter.publish(target.view, oldest, quiet=quiet)
            self.syncs.advance(target.view, self._now())
        else:
            reporter.behind(oldest)
        return quiet

    def connect_early(self) -> None:
        """Have the server look at its replica while the source is scanned."""
        self.target.connect_early()

    def see(self, paths: Sequence[RelPath]) -> None:
        """Another target found these paths of the source to be different."""
        if not self.is_over:
            self._unseen += paths

    @property
    def has_unseen(self) -> bool:
        """Whether there is something that :meth:`step` has to take."""
        return bool(self._unseen)

    @property
    def wake_at(self) -> tuple[float | None, float | None]:
        """When to step it at the latest: for the target, if sessions may be opened, and for the reporter."""
        if self.is_over:
            return None, None
        return self.target.wake_at, self.reporter.wake_at if self.target.is_open else None

    def mark_dirty(self, since: float) -> None:
        """Something of the source differs, or may."""
        if not self.is_over:
            self.reporter.mark_dirty(since)

    def disconnect(self) -> None:
        """End the session; the next one may begin at once."""
        if not self.is_over:
            self.target.disconnect()

    # Requests.

    def approve(self, hold_id: str) -> Released:
        """Release a hold, and say what that does."""
        return self.target.approve(hold_id)

    def explain(self, path: RelPath, source: Source) -> Explanation:
        """All that is known of a path."""
        return explain(path, source, self.target.view, self.reporter.travels)

    def request_sync(self, answer: Callable[[], None]) -> None:
        """Have both sides compared now; ``answer`` is called when that is done, at once if it never will be."""
        if self.is_over:
            answer()
            return
        self.reporter.mark_dirty(self._now())
        self.syncs.add(answer)

    # The end.

    def complete(self) -> None:
        """The single sync of this target is done: how it stands is not touched any more."""
        self.is_over = True
        self.target.begin_close()

    def _fail(self, error: DirsyncError) -> None:
        self.error = error
        self.is_over = True
        self.target.begin_close()
        self.reporter.given_up(error)
        self.syncs.answer_all()

    def begin_ending(self, deadlines: Deadlines) -> None:
        """The client is to end."""
        if not self.is_over:
            self._ending = Ending(deadlines)
            self.reporter.state(State.STOPPING)
            self.target.hurry()

    def is_ended(self, *, looked: bool, idle: bool, mailbox_empty: Callable[[], bool]) -> bool:
        """Whether the engine need not wait for this target, having been told to end.

        Args:
            looked: everything was looked at since the end began.
            idle: nothing of the source is being looked at, or is about to be.
            mailbox_empty: whether nothing has come in.
        """
        ending, target = self._ending, self.target
        if self.is_over or ending is None:
            return True
        # Asked before the mailbox: what was committed is posted before it counts as committed.
        committed = target.is_committed
        is_empty = mailbox_empty()
        # Without a session there is something to wait for only where the replica, as it was last known, differs.
        sending = target.view.is_sending if target.is_open else any(True for _ in target.view.differences)
        working = not (is_empty and idle) or sending
        standing = Standing(looked, working, committed and mailbox_empty(), target.refused)
        over = ending.is_over(standing, self._now())
        if not ending.sends:
            target.finish()
        return over

    def wake_in(self, now: float) -> float | None:
        """Seconds until :meth:`is_ended` has to be asked again at the latest."""
        return None if self._ending is None or self.is_over else self._ending.wake_in(now)

    def left(self, *, looked: bool) -> Left:
        """What is not at the server, and tell it."""
        paths, number = self.target.differing()
        left = Left(paths, number, looked)
        if not self.is_over:
            self.reporter.ended(left)
            self.reporter.state(State.STOPPING)
        return left
