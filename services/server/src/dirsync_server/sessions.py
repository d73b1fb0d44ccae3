"""Who may write a replica: one mirror session, or several two-way sessions, each fencing the older one of its client.

A session belongs to a client (an id that survives restarts) and to one process of it, the *instance*. Rules:

- A replica without a living session goes to the next client that asks, in the mode that it asks for.
- The client that has it gets it again at once, whatever became of its old connection; the old session is superseded and
  can commit nothing any more (its commits are checked under the writer mutex: fencing).
- Another client is refused as long as the session lives, unless both are two-way sessions: these share the replica, and
  preconditions keep each from overwriting what it has not seen. A session lives while a stream of it is open, and for
  ``LIMITS.session_idle_seconds`` after its last call.
- An instance that a *different* instance of the same client has superseded stays out while the newer one lives;
  otherwise two processes with one client id would take the replica from each other for ever.

A session that lives no more is over when the next one is opened, whoever opens it: superseded, or unknown if both are
two-way sessions. Its client then opens another one, and nobody has taken anything from it.
"""

import enum
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from dirsync import clock
from dirsync.errors import LimitExceeded, OutOfTurn, SessionBusy, SessionSuperseded, SessionUnknown, Unavailable
from dirsync.limits import LIMITS
from dirsync.wire.session import SESSION_ID_SIZE, OpenRequest, SessionMode

K = TypeVar("K")
T = TypeVar("T")

MAX_REMEMBERED = 1024
"""Superseded sessions and instances that are remembered to tell their owners what happened."""


class StreamKind(enum.Enum):
    """What a stream of a session is for."""

    PUSH = "push"
    WATCH = "watch"
    READ = "read"


class _Stream(NamedTuple):
    kind: StreamKind
    end: Callable[[], object]


@dataclass(eq=False)
class Session:
    """One client's right to write one replica."""

    id: bytes
    generation: int
    request: OpenRequest
    last_used: float
    superseded: bool = False
    streams: dict[int, _Stream] = field(default_factory=dict)
    """Open streams."""

    @property
    def is_two_way(self) -> bool:
        """Whether changes go both ways, and others may have such sessions, too."""
        return self.request.mode is SessionMode.TWO_WAY

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
        self._by_namespace: dict[str, dict[str, Session]] = {}
        """The sessions of each namespace by client id. More than one only if all that live are two-way sessions."""
        self._gone: OrderedDict[bytes, None] = OrderedDict()
        self._fenced: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __len__(self) -> int:
        with self._lock:
            now = self._now()
            return sum(session.lives(now) for session in self._by_id.values())

    @property
    def two_way(self) -> int:
        """How many of them are two-way sessions."""
        with self._lock:
            now = self._now()
            return sum(session.is_two_way and session.lives(now) for session in self._by_id.values())

    def admit(self, request: OpenRequest) -> None:
        """Check that the client may open a session, without opening one.

        Raises:
            SessionBusy: another client is a writer, and the two modes do not go together.
            SessionSuperseded: a newer process of this client is the writer.
            LimitExceeded: the server has as many sessions as it may.
        """
        with self._lock:
            self._admit(request, self._now())

    def open(self, request: OpenRequest, generation: int) -> Session:
        """Give the client the replica; raises as :meth:`admit`. The streams of superseded sessions are ended."""
        with self._lock:
            now = self._now()
            self._admit(request, now)
            sessions = self._by_namespace.setdefault(request.namespace, {})
            old = [s for s in sessions.values() if s.request.client_id == request.client_id or not s.lives(now)]
            session = Session(secrets.token_bytes(SESSION_ID_SIZE), generation, request, now)
            for ended in old:
                self._forget(ended)
                # Beside a fellow a session expires, but nothing is taken over from it.
                if ended.request.client_id == request.client_id or not (ended.is_two_way and session.is_two_way):
                    self._supersede(ended)
            self._by_id[session.id] = session
            sessions[request.client_id] = session
        for ended in old:
            _end_streams(ended)
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
            self._check(session)

    def attach(self, session: Session, end: Callable[[], object], kind: StreamKind = StreamKind.PUSH) -> int:
        """Note an open stream; ``end`` ends it. Returns its number for :meth:`detach`.

        Raises:
            OutOfTurn: the session may not have one more of these.
            LimitExceeded: nor as many reads at a time.
            SessionSuperseded, SessionUnknown, Unavailable: it may have none.
        """
        with self._lock:
            if self._ending:
                raise Unavailable("the server is stopping")
            self._check(session)
            _check_stream(session, kind)
            number = max(session.streams, default=0) + 1
            session.streams[number] = _Stream(kind, end)
            return number

    def detach(self, session: Session, number: int) -> None:
        """The stream ended."""
        with self._lock:
            session.streams.pop(number, None)
            session.last_used = self._now()

    def close(self, session_id: bytes) -> None:
        """End a session; nothing happens if it is over already."""
        with self._lock:
            session = self._by_id.get(session_id)
            if session is not None:
                self._forget(session)
        if session is not None:
            _end_streams(session)

    def end(self, namespace: str) -> None:
        """End all sessions of a namespace: it is closed here, and their clients open others, perhaps elsewhere."""
        with self._lock:
            ended = list(self._by_namespace.get(namespace, {}).values())
            for session in ended:
                self._forget(session)
        for session in ended:
            _end_streams(session)

    def writers(self, namespace: str) -> list[Session]:
        """The living sessions of a namespace, the newest first."""
        with self._lock:
            now = self._now()
            living = [session for session in self._by_namespace.get(namespace, {}).values() if session.lives(now)]
        return sorted(living, key=lambda session: -session.generation)

    def writer(self, namespace: str) -> Session | None:
        """The newest of them."""
        return next(iter(self.writers(namespace)), None)

    def fellows(self, request: OpenRequest) -> list[Session]:
        """The living sessions that a client's session shares its replica with: those of others."""
        return [s for s in self.writers(request.namespace) if s.request.client_id != request.client_id]

    def end_all(self) -> None:
        """End every stream, those too that are only about to open: the server stops."""
        with self._lock:
            self._ending = True
            sessions = list(self._by_id.values())
        for session in sessions:
            _end_streams(session)

    def _check(self, session: Session) -> None:
        if session.superseded:
            raise _superseded()
        if self._by_id.get(session.id) is not session:
            msg = "the session was closed, or has expired"
            raise SessionUnknown(msg)

    def _admit(self, request: OpenRequest, now: float) -> None:
        living = [s for s in self._by_namespace.get(request.namespace, {}).values() if s.lives(now)]
        for other in living:
            if other.request.client_id != request.client_id:
                _check_together(request, other)
        current = next((s for s in living if s.request.client_id == request.client_id), None)
        if current is not None:
            same_process = current.request.instance_id == request.instance_id
            if not same_process and (request.client_id, request.instance_id) in self._fenced:
                msg = "a newer process with the same CLIENT_ID is the writer; give each client a STATE_DIR of its own"
                raise SessionSuperseded(msg)
        if current is None and len(living) >= LIMITS.max_two_way_sessions:
            msg = f"{request.namespace!r} has its {len(living)} two-way clients already; stop one of them"
            raise LimitExceeded("max_two_way_sessions", msg)
        others = sum(s.lives(now) and s is not current for s in self._by_id.values())
        if others >= self._max_sessions:
            raise LimitExceeded("max_sessions", f"the server has its {self._max_sessions} sessions already")

    def _supersede(self, old: Session) -> None:
        old.superseded = True
        _remember(self._gone, old.id)
        _remember(self._fenced, (old.request.client_id, old.request.instance_id))

    def _forget(self, session: Session) -> None:
        self._by_id.pop(session.id, None)
        sessions = self._by_namespace.get(session.request.namespace, {})
        if sessions.get(session.request.client_id) is session:
            del sessions[session.request.client_id]


def _check_together(request: OpenRequest, other: Session) -> None:
    """Refuse a session beside one of another client, unless both are two-way sessions."""
    namespace, client = request.namespace, other.request.client_id
    if not other.is_two_way and request.mode is SessionMode.MIRROR:
        msg = (
            f"another client is the writer of {namespace!r}; stop it, or wait "
            f"{LIMITS.session_idle_seconds:.0f} s after it has gone"
        )
        raise SessionBusy(msg)
    if not other.is_two_way:
        msg = (
            f"client {client!r} mirrors into {namespace!r} (MODE=mirror), which excludes others; stop it, or set "
            f"MODE=two-way there"
        )
        raise SessionBusy(msg)
    if request.mode is SessionMode.MIRROR:
        msg = (
            f"client {client!r} uses {namespace!r} in both directions (MODE=two-way), which excludes a mirror; stop "
            f"it, or set MODE=two-way here"
        )
        raise SessionBusy(msg)


def _check_stream(session: Session, kind: StreamKind) -> None:
    """Refuse a stream that the session may not have beside those that it has."""
    count = sum(stream.kind is kind for stream in session.streams.values())
    if kind is not StreamKind.PUSH and not session.is_two_way:
        msg = "the session is a mirror session; only a two-way session watches and reads the replica"
        raise OutOfTurn(msg)
    if kind is StreamKind.READ and count >= LIMITS.max_content_reads:
        msg = f"the session reads {count} contents already; wait for one of them to end"
        raise LimitExceeded("max_content_reads", msg)
    if kind is not StreamKind.READ and count:
        msg = f"the session has a {kind.value} stream already"
        raise OutOfTurn(msg)


def _superseded() -> SessionSuperseded:
    return SessionSuperseded("a newer session took over this replica; this one may change nothing any more")


def _end_streams(session: Session) -> None:
    for stream in list(session.streams.values()):
        stream.end()


def _remember(memory: "OrderedDict[K, None]", key: K) -> None:
    memory[key] = None
    while len(memory) > MAX_REMEMBERED:
        memory.popitem(last=False)
