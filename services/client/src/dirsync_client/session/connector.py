"""Calls the server for the engine, in one thread and in order, so that the engine never waits for the network."""

import queue
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import grpc

from dirsync.errors import DirsyncError
from dirsync.location import Location
from dirsync.rpc.service import Metadata, OnWire
from dirsync.tree.options import TreeOptions
from dirsync.tree.path import RelPath
from dirsync.tree.tree import Tree
from dirsync.wire.session import SessionMode
from dirsync_client.lifecycle.activity import Activity
from dirsync_client.session.link import ClientIdentity, Link
from dirsync_client.session.listing import fetch

STOP_SECONDS = 3.0
"""How long calls may take at the end before they are interrupted."""


class SessionOpened(NamedTuple):
    """A session is open."""

    link: Link


class ReplicaFetched(NamedTuple):
    """The replica was listed."""

    tree: Tree


class CallFailed(NamedTuple):
    """The server could not be reached, or refused."""

    error: DirsyncError


Answer = SessionOpened | ReplicaFetched | CallFailed


class ServerChannels(Protocol):
    """Makes channels to the server."""

    def channel(self) -> grpc.Channel:
        """A new channel; the one before is closed."""
        ...

    def metadata(self) -> Metadata:
        """The headers of a call."""
        ...

    def close(self) -> None:
        """Close the channel, if there is one. Calls that are under way end."""
        ...


class Connector:
    """One thread with a queue of calls. What they lead to is posted with the number of the session that asked."""

    def __init__(
        self,
        server: ServerChannels,
        identity: ClientIdentity,
        on_wire: OnWire,
        post: Callable[[int, Answer], None],
        activity: Activity | None = None,
    ) -> None:
        """Start. ``on_wire`` is told the bytes of each message; ``post`` takes the answers."""
        self._server = server
        self._identity = identity
        self._on_wire = on_wire
        self._post = post
        self._activity = activity
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dirsync-connect", daemon=True)
        self._thread.start()

    def open(self, session: int, options: TreeOptions, location: Location) -> None:
        """Open a session. ``SessionOpened`` answers, or ``CallFailed``."""

        def call() -> Answer:
            channel = self._server.channel()
            link = Link(channel, self._server.metadata, self._identity, options, location, self._on_wire)
            return SessionOpened(link)

        self._submit(session, call)

    def fetch(self, session: int, link: Link, tree: Tree, root_digest: bytes, moved: Mapping[RelPath, RelPath]) -> None:
        """List the replica as far as it differs from ``tree``, which becomes the result.

        ``ReplicaFetched`` answers, or ``CallFailed``. ``moved``: see :func:`~dirsync_client.session.listing.fetch`.
        """
        is_alone = self._identity.mode is SessionMode.MIRROR
        self._submit(session, lambda: ReplicaFetched(fetch(tree, root_digest, link.list, moved, is_alone=is_alone)))

    @property
    def namespace(self) -> str:
        """Which replica the sessions are for."""
        return self._identity.namespace

    def run(self, job: Callable[[], None]) -> None:
        """Do this after everything that was asked for before."""
        self._jobs.put(job)

    def end(self) -> None:
        """End after the calls that were asked for; :meth:`stop` waits for that."""
        self._jobs.put(None)

    def stop(self) -> None:
        """End after the calls that were asked for; those that take too long are interrupted."""
        self.end()
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            self._server.close()
            self._thread.join()

    def _submit(self, session: int, call: Callable[[], Answer]) -> None:
        def job() -> None:
            try:
                answer = call()
            except DirsyncError as error:
                answer = CallFailed(error)
            self._post(session, answer)

        self._jobs.put(job)

    def _run(self) -> None:
        if self._activity is not None:
            self._activity.follow()
        while (job := self._jobs.get()) is not None:
            job()
