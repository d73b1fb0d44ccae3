"""``AgentService``: the door of a running client.

What it shows is the status board's; what it changes it asks of the engine. Who may call is not its affair: where a
token is set, the server that it is a part of asks for it before any method, for whoever can approve a hold can delete,
and what is shown has names of files.
"""

import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc

from dirsync import __version__
from dirsync.errors import LimitExceeded, NotFound, Unavailable
from dirsync.limits import LIMITS
from dirsync.runtime.log.logging import subscribe
from dirsync.wire.agent import (
    AgentStatus,
    HoldView,
    SyncResult,
    decode_approve,
    encode_agent_status,
    encode_approved,
    encode_event,
    encode_problems,
    encode_sync_result,
    view_hold,
)
from dirsync_client.agent.auth import AgentDoor
from dirsync_client.mailbox import Inbox
from dirsync_client.report.status import Status, StatusBoard

SYNC_SECONDS = 3600.0
"""How long a sync that was asked for is waited for."""
APPROVE_SECONDS = 10.0
EVENTS_KEPT = 1000
"""Events that wait for a slow reader before some are missed."""


class AgentServicer:
    """Handlers of ``AgentService``; each takes raw bytes."""

    def __init__(self, inbox: Inbox, board: StatusBoard, server: str, namespace: str, door: AgentDoor) -> None:
        self._inbox = inbox
        self._board = board
        self._server = server
        self._namespace = namespace
        self._door = door
        self._watchers = threading.BoundedSemaphore(LIMITS.max_watchers)

    def get_status(self, _raw: bytes, _context: grpc.ServicerContext) -> bytes:
        """What the client says of itself."""
        status = self._board.status
        since = None if status.last_success is None else self._board.now() - status.last_success
        return encode_agent_status(
            AgentStatus(
                state=status.state.value,
                in_sync=status.in_sync,
                pending=status.pending,
                lag_seconds=self._board.lag(),
                last_error=status.last_error,
                seconds_since_success=since,
                entries=status.entries,
                source_digest=status.source_digest.hex(),
                replica_digest=status.replica_digest.hex(),
                holds=_holds(status),
                problems=len(status.problems),
                untracked=status.untracked,
                watch=status.watch,
                server=self._server,
                namespace=self._namespace,
                client_version=__version__,
            )
        )

    def sync_now(self, _raw: bytes, context: grpc.ServicerContext) -> bytes:
        """Compare and push now."""
        done = threading.Event()
        self._inbox.sync(done.set)
        context.add_callback(done.set)
        done.wait(SYNC_SECONDS)
        status = self._board.status
        return encode_sync_result(SyncResult(status.in_sync, status.pending, _holds(status), len(status.problems)))

    def list_problems(self, _raw: bytes, _context: grpc.ServicerContext) -> Iterator[bytes]:
        """The paths that are not synced, and why."""
        yield from encode_problems(self._board.status.problems)

    def approve_hold(self, raw: bytes, _context: grpc.ServicerContext) -> bytes:
        """Release a hold."""
        hold_id = decode_approve(raw)
        answers: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._inbox.approve(hold_id, answers.put)
        try:
            paths = answers.get(timeout=APPROVE_SECONDS)
        except queue.Empty:
            msg = "the client is busy or not connected; try again"
            raise Unavailable(msg) from None
        if not paths:
            msg = f"there is no hold {hold_id[:64]!r} (any more); `dirsync-client status` shows those that there are"
            raise NotFound(msg, reason="HOLD_NOT_FOUND")
        return encode_approved(paths)

    def watch_events(self, _raw: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        """Events as they happen."""
        if not self._watchers.acquire(blocking=False):
            raise LimitExceeded("max_watchers", f"{LIMITS.max_watchers} watch already; ask one of them to stop")
        may_go_on = self._door.keep(context)
        feed = _Feed()
        unsubscribe = subscribe(feed.put)
        try:
            # The callback ends the feed, so that a stream that was cancelled holds no thread.
            if context.add_callback(feed.end):
                for message in feed.messages():
                    may_go_on()
                    yield message
        finally:
            unsubscribe()
            self._watchers.release()

    def handlers(self) -> dict[str, Any]:
        """The handlers by method name."""
        return {
            "GetStatus": self.get_status,
            "SyncNow": self.sync_now,
            "ListProblems": self.list_problems,
            "ApproveHold": self.approve_hold,
            "WatchEvents": self.watch_events,
        }


class _Feed:
    """Events for one reader; the oldest give way when it is slow."""

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


def _holds(status: Status) -> tuple[HoldView, ...]:
    return () if status.hold is None else (view_hold(status.hold),)
