"""``AgentService``: what a running client shows and can be asked to do.

It reads the status board, and asks the engine for changes. It does not authenticate: if a token is set, the server
requires it for every method, those that only read too, because statuses contain names of files.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import grpc

from dirsync import __version__
from dirsync.errors import LimitExceeded, NotFound, Unavailable
from dirsync.limits import LIMITS
from dirsync.runtime.log.logging import subscribe
from dirsync.wire.agent.approve import decode_approve, encode_approved
from dirsync.wire.agent.explain import decode_explain, encode_explained
from dirsync.wire.agent.problems import decode_list_problems, encode_problems
from dirsync.wire.agent.status import AgentStatus, TargetStatus, encode_agent_status, view_untracked
from dirsync.wire.agent.sync import SyncResult, decode_sync, encode_sync_result
from dirsync_client.agent.auth import AgentAuth
from dirsync_client.agent.feed import EventFeed
from dirsync_client.agent.views import view_explanation, view_holds, view_target, view_two_way
from dirsync_client.mailbox import Mailbox
from dirsync_client.report.status import Status
from dirsync_client.targets.boards import Boards
from dirsync_client.targets.place import TargetPlace

if TYPE_CHECKING:
    from dirsync.tree.guards.approvals import Released
    from dirsync_client.report.explain import Explanation

T = TypeVar("T")

SYNC_SECONDS = 3600.0
"""How long ``SyncNow`` waits for the sync."""
APPROVE_SECONDS = 10.0
"""How long ``ApproveHold`` waits for the engine."""
EXPLAIN_SECONDS = 4.0
"""How long ``ExplainPath`` waits for the engine."""


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
        statuses = self._boards.statuses()
        status = self._boards.together(statuses)
        now = self._boards.now()
        overall = view_target(("", self._server, self._namespace), status, self._boards.lag(), now)
        return encode_agent_status(
            AgentStatus(
                overall=overall._replace(holds=view_holds(statuses.values())),
                entries=status.entries,
                source_digest=status.source_digest.hex(),
                untracked=status.untracked,
                untracked_paths=view_untracked(status.untracked_named),
                watch=status.watch,
                client_version=__version__,
                two_way=None if status.two_way is None else view_two_way(status.two_way, now),
                targets=self._each(statuses, now) if self._boards.are_named else (),
            )
        )

    def _each(self, statuses: Mapping[str, Status], now: float) -> tuple[TargetStatus, ...]:
        return tuple(
            view_target(
                (target.name, str(target.address), target.namespace),
                statuses[target.name],
                self._boards.by_name[target.name].lag(),
                now,
            )
            for target in self._targets
        )

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
        status = self._boards.together(statuses)
        result = SyncResult(status.in_sync, status.pending, view_holds(statuses.values()), status.problem_count)
        return encode_sync_result(result)

    def list_problems(self, raw: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
        """Stream the paths that are not synced, and why."""
        target = self._known(decode_list_problems(raw))
        status = self._boards.together(self._boards.statuses(target))
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
        return encode_explained(view_explanation(path, found, self._boards.now()))

    def watch_events(self, _raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Stream log events as they happen."""
        if not self._watchers.acquire(blocking=False):
            raise LimitExceeded("max_watchers", f"{LIMITS.max_watchers} streams of events are open; close one")
        recheck = self._auth.recheck(context)
        feed = EventFeed()
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


def _first(answers: "queue.SimpleQueue[T]", seconds: float, why: Callable[[], str]) -> T:
    """The engine's answer.

    Raises:
        Unavailable: it does not come in time; ``why`` is asked for the reason then.
    """
    try:
        return answers.get(timeout=seconds)
    except queue.Empty:
        raise Unavailable(why(), reason="AGENT_BUSY") from None
