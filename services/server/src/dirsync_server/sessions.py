"""Who may write a replica: one session at a time, each new one fencing the old.

A session belongs to a client (an id that survives restarts) and to one process of it, the *instance*. Rules:

- A replica without a living session goes to the next client that asks.
- The client that has it gets it again at once, whatever became of its old connection; the old session is superseded and
  can commit nothing any more (its commits are checked under the writer mutex: fencing).
- Another client is refused as long as the session lives. A session lives while a push stream is open, and for
  ``LIMITS.session_idle_seconds`` after its last call.
- An instance that a *different* instance of the same client has superseded stays out while the newer one lives;
  otherwise two processes with one client id would take the replica from each other for ever.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from dirsync import clock
from dirsync.errors import LimitExceeded, OutOfTurn, SessionBusy, SessionSuperseded, SessionUnknown, Unavailable
from dirsync.limits import LIMITS
from dirsync.wire.session import SESSION_ID_SIZE, OpenRequest

K = TypeVar("K")
T = TypeVar("T")

MAX_REMEMBERED = 1024
"""Superseded sessions and instances that are remembered to tell their owners what happened."""


@dataclass(eq=False)
class Session:
    """One client's right to write one replica."""

    id: bytes
    generation: int
    request: OpenRequest
    last_used: float
    superseded: bool = False
    streams: dict[int, Callable[[], object]] = field(default_factory=dict)
    """Open push streams and how to end each."""

    def lives(self, now: float) -> bool:
        """Whether the session still keeps other clients out."""
        return bool(self.streams) or now - self.last_used < LIMITS.session_idle_seconds


class Sessions:
    """The sessions of all namespaces. Thread-safe; never calls out while it holds its lock."""

    def __init__(self, max_sessions: int, monotonic: clock.Monotonic = clock.monotonic) -> None:
        self._max_sessions = max_sessions
        self._now = monotonic
        self._lock = threading.Lock()
        self._ending = False
        self._by_id: dict[bytes, Session] = {}
        self._by_namespace: dict[str, Session] = {}
        self._gone: OrderedDict[bytes, None] = OrderedDict()
        self._fenced: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        with self._lock:
            now = self._now()
            return sum(session.lives(now) for session in self._by_id.values())

    def admit(self, request: OpenRequest) -> None:
        """Check that the client may open a session, without opening one.

        Raises:
            SessionBusy: another client is the writer.
            SessionSuperseded: a newer process of this client is the writer.
            LimitExceeded: the server has as many sessions as it may.
        """
        with self._lock:
            self._admit(request, self._now())

    def open(self, request: OpenRequest, generation: int) -> Session:
        """Give the client the replica; raises as :meth:`admit`. The superseded session's streams are ended."""
        with self._lock:
            now = self._now()
            self._admit(request, now)
            old = self._by_namespace.get(request.namespace)
            session = Session(secrets.token_bytes(SESSION_ID_SIZE), generation, request, now)
            if old is not None:
                self._retire(old)
            self._by_id[session.id] = session
            self._by_namespace[request.namespace] = session
        if old is not None:
            _end_streams(old)
        return session

    def use(self, session_id: bytes) -> Session:
        """The session with this id, now in use.

        Raises:
            SessionSuperseded: a newer session of the same client took over.
            SessionUnknown: there is no such session.
        """
        with self._lock:
            session = self._by_id.get(session_id)
            if session is None:
                if session_id in self._gone:
                    raise _superseded()
                msg = "the session is over or was never opened here; open a new one"
                raise SessionUnknown(msg)
            session.last_used = self._now()
            return session

    def authorized(self, session_id: bytes, authorize: Callable[[str], T]) -> tuple[Session, T]:
        """The session with this id, now in use, and what ``authorize`` returns for its namespace.

        Using a session keeps it alive, so a caller who may not use its namespace must not get that far. Where there is
        no session any more, the error says what became of it.

        Raises:
            SessionSuperseded, SessionUnknown: as :meth:`use`.
            DirsyncError: by ``authorize``.
        """
        known = self.find(session_id) or self.use(session_id)
        allowed = authorize(known.request.namespace)
        return self.use(session_id), allowed

    def find(self, session_id: bytes) -> Session | None:
        """The session with this id, if it is not over."""
        with self._lock:
            return self._by_id.get(session_id)

    def check(self, session: Session) -> None:
        """Raise unless the session is the writer still: the fence in front of every commit."""
        with self._lock:
            if session.superseded:
                raise _superseded()
            if self._by_id.get(session.id) is not session:
                msg = "the session was closed"
                raise SessionUnknown(msg)

    def attach(self, session: Session, end: Callable[[], object]) -> int:
        """Note an open push stream; ``end`` ends it. Returns its number for :meth:`detach`."""
        with self._lock:
            if self._ending:
                raise Unavailable("the server is stopping")
            if session.superseded:
                raise _superseded()
            if session.streams:
                msg = "the session has a push stream already"
                raise OutOfTurn(msg)
            number = max(session.streams, default=0) + 1
            session.streams[number] = end
            return number

    def detach(self, session: Session, number: int) -> None:
        """The push stream ended."""
        with self._lock:
            session.streams.pop(number, None)
            session.last_used = self._now()

    def close(self, session_id: bytes) -> None:
        """End a session; nothing happens if it is over already."""
        with self._lock:
            session = self._by_id.pop(session_id, None)
            if session is not None and self._by_namespace.get(session.request.namespace) is session:
                del self._by_namespace[session.request.namespace]
        if session is not None:
            _end_streams(session)

    def writer(self, namespace: str) -> Session | None:
        """The living session of a namespace."""
        with self._lock:
            session = self._by_namespace.get(namespace)
            return session if session is not None and session.lives(self._now()) else None

    def end_all(self) -> None:
        """End every stream, those too that are only about to open: the server stops."""
        with self._lock:
            self._ending = True
            sessions = list(self._by_id.values())
        for session in sessions:
            _end_streams(session)

    def _admit(self, request: OpenRequest, now: float) -> None:
        current = self._by_namespace.get(request.namespace)
        if current is not None and current.lives(now):
            if current.request.client_id != request.client_id:
                msg = (
                    f"another client is the writer of {request.namespace!r}; stop it, or wait "
                    f"{LIMITS.session_idle_seconds:.0f} s after it has gone"
                )
                raise SessionBusy(msg)
            same_process = current.request.instance_id == request.instance_id
            if not same_process and (request.client_id, request.instance_id) in self._fenced:
                msg = "a newer process with the same CLIENT_ID is the writer; give each client a STATE_DIR of its own"
                raise SessionSuperseded(msg)
        others = sum(s.lives(now) and s is not current for s in self._by_id.values())
        if others >= self._max_sessions:
            raise LimitExceeded("max_sessions", f"the server has its {self._max_sessions} sessions already")

    def _retire(self, old: Session) -> None:
        old.superseded = True
        self._by_id.pop(old.id, None)
        _remember(self._gone, old.id)
        _remember(self._fenced, (old.request.client_id, old.request.instance_id))


def _superseded() -> SessionSuperseded:
    return SessionSuperseded("a newer session took over this replica; this one may change nothing any more")


def _end_streams(session: Session) -> None:
    for end in list(session.streams.values()):
        end()


def _remember(memory: "OrderedDict[K, None]", key: K) -> None:
    memory[key] = None
    while len(memory) > MAX_REMEMBERED:
        memory.popitem(last=False)
