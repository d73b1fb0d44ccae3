"""The server's status page: what it says at one moment, and what is remembered for it.

It needs no credentials, so it shows what concerns the service and nothing of what is in a replica: of each namespace
its name, its writers and its sums; never a path, an address or a token. SECURITY.md says who may see that.
"""

from collections.abc import Callable, Mapping
from itertools import islice

from pydantic import Field

from dirsync.clock import monotonic
from dirsync.endpoint.replica import Replica
from dirsync.runtime.config.fields import MAX_COUNT, MAX_SIZE
from dirsync.runtime.http.health import Health, HealthState
from dirsync.runtime.http.server import Answer
from dirsync.runtime.metrics.registry import PrometheusMetrics
from dirsync.runtime.page.document import Document, Part, Verdict, common, time_of
from dirsync.runtime.page.history import History
from dirsync.runtime.page.page import page_routes
from dirsync.runtime.page.readings import Readings
from dirsync.runtime.page.recent_events import LastEvents
from dirsync.runtime.page.shorten import PATH_BYTES, shorten
from dirsync_server.sessions import Sessions

SHOWN = 40
"""Namespaces that are shown."""
OTHER_BYTES = 40
"""Bytes of the id of a further writer that are shown."""
SETTINGS = ("fsync", "permissions", "max_file_size", "min_free_bytes", "max_sessions")
"""Settings that are shown: none that is a path or a secret."""
STATES = {
    "serving": "the server takes clients",
    "not_ready": "it does not, or cannot write",
}
"""The states of a server, in the words of the documentation."""


class Namespace(Part):
    """One replica, without anything that is in it."""

    name: str = Field(description="its name")
    ready: bool = Field(description="false while the replica is being read")
    writer: str = Field(description="client id of the newest session that may write it; empty without one")
    other_writers: list[str] = Field(description="client ids of the further two-way sessions, the newest first")
    mode: str = Field(description="mode of the sessions, `mirror` or `two-way`; empty without one")
    generation: int = Field(description="number of its last session")
    entries: int = Field(description="entries of the replica")
    quota_entries: int | None = Field(description="the most that it may hold; null without a quota")
    bytes: int = Field(description="sizes of all its files together")
    quota_bytes: int | None = Field(description="the most that it may hold; null without a quota")
    last_change: float | None = Field(description="when the last commit ended; null without one since the start")


class Namespaces(Part):
    """The replicas of the server."""

    count: int = Field(description="how many are open")
    shown: list[Namespace] = Field(description="the first 40, by name")
    more: int = Field(description="namespaces that are not in `shown`")


class ServerDocument(Document):
    """What a server shows."""

    sessions: int = Field(description="clients that may write")
    entries: int = Field(description="entries of all replicas")
    bytes: int = Field(description="sizes of all their files together")
    namespaces: Namespaces = Field(description="the replicas")


class StatusPage:
    """Listens to the log and remembers the last hour, from its making to :meth:`close`."""

    def __init__(
        self,
        replicas: Callable[[], Mapping[str, Replica]],
        sessions: Sessions,
        health: HealthState,
        metrics: PrometheusMetrics,
        settings: Mapping[str, str | None],
    ) -> None:
        """``replicas`` returns those that are open; ``settings``: all of them, as they would be written."""
        self._replicas = replicas
        self._sessions = sessions
        self._health = health
        self._readings = Readings(metrics)
        self._settings = settings
        self._events = LastEvents(names=False)
        self._history = History(("received_bytes", "saved_bytes", "changes"), ())
        self._started = monotonic()
        self.look()

    @property
    def routes(self) -> Mapping[str, Callable[[], Answer]]:
        """What answers over HTTP."""
        return page_routes(lambda: self.document)

    def look(self) -> None:
        """Remember what is now; called every few seconds."""
        self._history.observe(monotonic(), lambda: self._readings.totals, {})

    def close(self) -> None:
        """Listen no more."""
        self._events.close()

    @property
    def document(self) -> ServerDocument:
        """What is shown now."""
        health = self._health.now
        replicas = self._replicas()
        shown = [self._namespace(replicas[name]) for name in islice(sorted(replicas), SHOWN)]
        return ServerDocument(
            **common(self._started, self._history),
            service="server",
            ready=health.ready,
            verdict=_verdict(health),
            traffic=self._readings.traffic,
            events=self._events.events,
            settings={name.upper(): self._settings[name] or "" for name in SETTINGS},
            sessions=len(self._sessions),
            entries=sum(len(replica.tree) for replica in replicas.values()),
            bytes=sum(replica.state.total_bytes for replica in replicas.values()),
            namespaces=Namespaces(count=len(replicas), shown=shown, more=len(replicas) - len(shown)),
        )

    def _namespace(self, replica: Replica) -> Namespace:
        writers = self._sessions.writers(replica.namespace)
        ids = [writer.request.client_id for writer in writers]
        quota, last = replica.policy.quota, replica.last_commit
        return Namespace(
            name=replica.namespace,
            ready=replica.ready,
            writer=shorten(ids[0], PATH_BYTES) if ids else "",
            other_writers=[shorten(each, OTHER_BYTES) for each in ids[1:]],
            mode=writers[0].request.mode.value if writers else "",
            generation=replica.generation,
            entries=len(replica.tree),
            quota_entries=quota.max_entries if quota.max_entries < MAX_COUNT else None,
            bytes=replica.state.total_bytes,
            quota_bytes=quota.max_bytes if quota.max_bytes < MAX_SIZE else None,
            last_change=None if last is None else time_of(last),
        )


def _verdict(health: Health) -> Verdict:
    if health.ready:
        return Verdict(state="serving", text="All replicas can be written.", advice="", command="")
    return Verdict(
        state="not_ready",
        text=shorten(health.reason),
        advice="" if health.live else "Restart the server; the log says why.",
        command="",
    )
