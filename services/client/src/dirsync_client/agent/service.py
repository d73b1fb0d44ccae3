"""``AgentService``: what a running client shows and can be asked to do.

It reads the status board, and asks the engine for changes. It does not authenticate: if a token is set, the server
requires it for every method, those that only read too, because statuses contain names of files.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from dirsync import __version__
from dirsync.errors import LimitExceeded, NotFound, Unavailable
from dirsync.limits import LIMITS
from dirsync.runtime.log.logging import subscribe
from dirsync.runtime.page.shorten import shorten_path
from dirsync.tree.path import escape
from dirsync.wire.agent import (
    AgentStatus,
    ConflictView,
    HoldView,
    PathExplained,
    SyncResult,
    TargetStatus,
    TravelView,
    TwoWayView,
    decode_approve,
    decode_explain,
    decode_list_problems,
    decode_sync,
    encode_agent_status,
    encode_approved,
    encode_event,
    encode_explained,
    encode_problems,
    encode_sync_result,
    view_hold,
    view_untracked,
)
from dirsync_client.agent.auth import AgentAuth
from dirsync_client.mailbox import Mailbox
from dirsync_client.report.status import Status, TwoWayTotals
from dirsync_client.targets.boards import Boards
from dirsync_client.targets.place import TargetPlace

if TYPE_CHECKING:
    from dirsync.tree.guards.approvals import Released
    from dirsync_client.report.explain import Explanation
    from dirsync_client.report.travels import Travel

T = TypeVar("T")

SYNC_SECONDS = 3600.0
"""How long ``SyncNow`` waits for the sync."""
APPROVE_SECONDS = 10.0
"""How long ``ApproveHold`` waits for the engine."""
EXPLAIN_SECONDS = 4.0
"""How long ``ExplainPath`` waits for the engine."""
EVENTS_KEPT = 1000
"""Events that are kept for a slow reader; older ones are dropped and counted."""


class AgentServicer:
    """Handlers of ``AgentService``; each takes raw bytes."""

    def __init__(
        self,
        mailbox: Mailbox,
        boards: Boards,
        targets: Sequence[TargetPlace],
        shown: tuple[str, str],
        auth: AgentAuth,
    ) -> None:
        """``shown`` are the settings SERVER and NAMESPACE, as they would be written."""
        self._mailbox = mailbox
        self._boards = boards
        self._targets = targets
        self._server, self._namespace = shown
        self._auth = auth
        self._watchers = threading.BoundedSemaphore(LIMITS.max_watchers)

    def get_status(self, _raw: bytes, _context: grpc.ServicerContext) -> bytes:
        """Return the client's status."""
        statuses, status = self._boards.statuses(), self._boards.status
        return encode_agent_status(
            AgentStatus(
                state=status.state.value,
                in_sync=status.in_sync,
                pending=status.pending,
                lag_seconds=self._boards.lag(),
                last_error=status.stalled or status.last_error,
                seconds_since_success=self._seconds_since(status.last_success),
                entries=status.entries,
                source_digest=status.source_digest.hex(),
                replica_digest=status.replica_digest.hex(),
                holds=_holds(statuses.values()),
                problems=status.problem_count,
                untracked=status.untracked,
                untracked_paths=view_untracked(status.untracked_named),
                watch=status.watch,
                server=self._server,
                namespace=self._namespace,
                client_version=__version__,
                ready=not status.not_ready_reason,
                not_ready_reason=status.not_ready_reason,
                two_way=None if status.two_way is None else _view_two_way(status.two_way, self._boards.now()),
                targets=self._each(statuses) if self._boards.are_named else (),
            )
        )

    def _each(self, statuses: Mapping[str, Status]) -> tuple[TargetStatus, ...]:
        return tuple(
            TargetStatus(
                target=target.name,
                server=str(target.address),
                namespace=target.namespace,
                state=status.state.value,
                in_sync=status.in_sync,
                pending=status.pending,
                lag_seconds=self._boards.by_name[target.name].lag(),
                last_error=status.stalled or status.last_error,
                seconds_since_success=self._seconds_since(status.last_success),
                replica_digest=status.replica_digest.hex(),
                holds=_holds((status,)),
                problems=status.problem_count,
                ready=not status.not_ready_reason,
                not_ready_reason=status.not_ready_reason,
            )
            for target in self._targets
            for status in (statuses[target.name],)
        )

    def _seconds_since(self, time: float | None) -> float | None:
        return None if time is None else self._boards.now() - time

    def _known(self, target: str) -> str:
        """The name of a target, or nothing.

        Raises:
            NotFound: no target has this name.
        """
        if target and target not in self._boards.by_name:
            names = ", ".join(self._boards.by_name) if self._boards.are_named else "none, there is one without a name"
            msg = f"no target is called {target[:64]!r}; SERVER names {names}"
            raise NotFound(msg, reason="TARGET_NOT_FOUND")
        return target

    def sync_now(self, raw: bytes, context: grpc.ServicerContext) -> bytes:
        """Compare both sides and push the differences now."""
        target = self._known(decode_sync(raw))
        done = threading.Event()
        self._mailbox.sync(done.set, target)
        context.add_callback(done.set)
        done.wait(SYNC_SECONDS)
        statuses = self._boards.statuses(target)
        status = statuses[target] if target else self._boards.status
        result = SyncResult(status.in_sync, status.pending, _holds(statuses.values()), status.problem_count)
        return encode_sync_result(result)

    def list_problems(self, raw: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
        """Stream the paths that are not synced, and why."""
        target = self._known(decode_list_problems(raw))
        status = self._boards.statuses(target)[target] if target else self._boards.status
        yield from encode_problems(status.problems)

    def approve_hold(self, raw: bytes, _context: grpc.ServicerContext) -> bytes:
        """Release a hold."""
        hold_id, target = decode_approve(raw)
        answers: queue.SimpleQueue[Released] = queue.SimpleQueue()
        self._mailbox.approve(hold_id, answers.put, self._known(target))
        answer = _first(answers, APPROVE_SECONDS, lambda: "the client is busy or not connected; try again")
        if not answer.paths:
            msg = f"hold {hold_id[:64]!r} cannot be approved: {answer.message}"
            raise NotFound(msg, reason="HOLD_NOT_FOUND")
        return encode_approved(answer)

    def explain_path(self, raw: bytes, _context: grpc.ServicerContext) -> bytes:
        """Say what both sides have at a path, and what that means."""
        path, target = decode_explain(raw)
        answers: queue.SimpleQueue[Explanation] = queue.SimpleQueue()
        self._mailbox.explain(path, answers.put, self._known(target))
        busy = "the client is busy; try again"
        found = _first(answers, EXPLAIN_SECONDS, lambda: self._boards.status.stalled or busy)
        return encode_explained(
            PathExplained(
                path,
                found.standing.value,
                found.message,
                found.source,
                found.replica,
                found.rule,
                None if found.travel is None else _view(found.travel, self._boards.now()),
            )
        )

    def watch_events(self, _raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Stream log events as they happen."""
        if not self._watchers.acquire(blocking=False):
            raise LimitExceeded("max_watchers", f"{LIMITS.max_watchers} streams of events are open; close one")
        recheck = self._auth.recheck(context)
        feed = _Feed()
        unsubscribe = subscribe(feed.put)
        try:
            # The callback ends the feed, so that a stream that was cancelled holds no thread.
            if context.add_callback(feed.end):
                for message in feed.messages():
                    recheck()
                    yield message
        finally:
            unsubscribe()
            self._watchers.release()

    def handlers(self) -> dict[str, Any]:
        """Returns the handlers by method name."""
        return {
            "GetStatus": self.get_status,
            "SyncNow": self.sync_now,
            "ListProblems": self.list_problems,
            "ApproveHold": self.approve_hold,
            "ExplainPath": self.explain_path,
            "WatchEvents": self.watch_events,
        }


class _Feed:
    """Events for one reader; a slow reader misses the oldest."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lines: list[str] = []
        self._missed = 0
        self._ended = False

    def put(self, line: str) -> None:
        with self._changed:
            self._lines.append(line)
            if len(self._lines) > EVENTS_KEPT:
                del self._lines[0]
                self._missed += 1
            self._changed.notify()

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()

    def messages(self) -> Iterator[bytes]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._ended)
                if self._ended:
                    return
                lines, self._lines = self._lines, []
                missed, self._missed = self._missed, 0
            for line in lines:
                yield encode_event(line, missed)
                missed = 0


def _view(travel: "Travel", now: float) -> TravelView:
    return TravelView(
        travel.choice.strategy.value,
        travel.choice.reason.value,
        travel.size,
        travel.literal_bytes,
        max(0.0, now - travel.at),
        "" if travel.former is None else escape(travel.former),
    )


def _view_two_way(totals: TwoWayTotals, now: float) -> TwoWayView:
    latest = tuple(
        ConflictView(
            shorten_path(found.path),
            found.winner,
            found.resolution,
            "" if found.kept_as is None else shorten_path(found.kept_as),
            max(0.0, now - found.at),
        )
        for found in totals.latest
    )
    return TwoWayView(totals.received_changes, totals.received_bytes, totals.saved_bytes, totals.conflicts, latest)


def _first(answers: "queue.SimpleQueue[T]", seconds: float, why: Callable[[], str]) -> T:
    """The engine's answer.

    Raises:
        Unavailable: it does not come in time; ``why`` is asked for the reason then.
    """
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        raise Unavailable(why(), reason="AGENT_BUSY") from None


def _holds(statuses: Iterable[Status]) -> tuple[HoldView, ...]:
    """What is held anywhere; the same deletes at several targets are shown once."""
    return tuple(dict.fromkeys(view_hold(status.hold) for status in statuses if status.hold is not None))
