"""The replicas that are open, and when each is opened and closed.

Either all are open from the start of the server to its end, or each is opened for the first call that names it and
closed when no client has used it for some time. An open replica costs memory, a thread and descriptors; a closed one
costs nothing.

A call holds its replica until it ends, so nothing is closed under a call. Closing a namespace that is in use ends its
sessions and its calls first; the clients open a session again, wherever that leads to.
"""

import threading
from collections.abc import Callable, Iterable

from dirsync.clock import Monotonic, monotonic
from dirsync.endpoint.replica import Replica
from dirsync.errors import DirsyncError, Unavailable
from dirsync.limits import LIMITS
from dirsync.runtime.log.events import Event
from dirsync.runtime.log.logging import get_logger
from dirsync_server.namespaces.slot import Hold, OpenReplica, Slot
from dirsync_server.sessions import Sessions

Open = Callable[[str], OpenReplica]
"""Opens the replica of a namespace and learns what it holds; may take long, and raises an error of ours."""


class OpenNamespaces:
    """The open replicas of a server. Thread-safe."""

    def __init__(
        self,
        namespaces: Iterable[str],
        open_one: Open,
        sessions: Sessions,
        *,
        idle_seconds: float | None,
        now: Monotonic = monotonic,
    ) -> None:
        """None is open yet. ``idle_seconds``: close what was not used for so long; ``None``: close nothing for that."""
        self._open_one = open_one
        self._sessions = sessions
        self._idle_seconds = idle_seconds
        self._slots = {name: Slot(name, now) for name in namespaces}
        self._ending = threading.Event()
        self._log = get_logger()

    def __len__(self) -> int:
        return sum(slot.opened is not None for slot in self._slots.values())

    def adopt(self, namespace: str, opened: OpenReplica) -> None:
        """This replica is open from now on."""
        self._slots[namespace].settle(opened)

    def replicas(self) -> dict[str, Replica]:
        """The open ones by namespace, as of now. They may be closed while the caller looks at them."""
        found = {name: slot.opened for name, slot in self._slots.items()}
        return {name: opened.replica for name, opened in found.items() if opened is not None}

    @property
    def watches(self) -> int:
        """How many directories the kernel watches for all of them."""
        return sum(slot.opened.edits.watches for slot in self._slots.values() if slot.opened is not None)

    def use(self, namespace: str, hold: Hold) -> Replica:
        """The replica of a namespace, for a call, which waits a moment while it is being opened.

        Raises:
            Unavailable: it takes longer, cannot be opened, or is being closed.
        """
        slot = self._slots[namespace]
        with slot.changed:
            if slot.opened is None:
                self._wait_until_open(slot)
            if slot.opened is None:
                raise self._refusal(slot)
            replica = slot.opened.replica
            ended = slot.take(hold)
        hold.on_end(ended)
        return replica

    def sweep(self) -> None:
        """Close what nobody has used for some time."""
        if self._idle_seconds is None:
            return
        for slot in self._slots.values():
            opened = self._begin_to_close(slot, self._idle_seconds)
            if opened is not None:
                self._close(slot, opened, "idle")

    def give_up(self, namespace: str, reason: str, least_seconds: float = 0.0) -> bool:
        """Close a namespace although it may be in use, in a thread of its own.

        Args:
            namespace: which.
            reason: why, for the log.
            least_seconds: do nothing if it has not been open for so long.

        Returns:
            Whether it is being closed.
        """
        slot = self._slots.get(namespace)
        if slot is None:
            return False
        with slot.changed:
            if slot.busy or slot.opened is None or slot.open_seconds < least_seconds:
                return False
            opened, slot.opened, slot.busy = slot.opened, None, True
        threading.Thread(
            target=self._end_and_close, args=(slot, opened, reason), name="dirsync-close", daemon=True
        ).start()
        return True

    def close(self) -> None:
        """Close all of them; the calls have ended."""
        self._ending.set()
        for slot in self._slots.values():
            with slot.changed:
                slot.changed.wait_for(lambda slot=slot: not slot.busy, LIMITS.namespace_close_seconds)  # type: ignore[misc]
                opened, slot.opened = slot.opened, None
            if opened is not None:
                opened.close()

    def _wait_until_open(self, slot: Slot) -> None:
        if slot.busy:
            slot.changed.wait_for(lambda: not slot.busy, LIMITS.namespace_open_seconds)
            if not slot.is_closed:
                return
        if self._ending.is_set():
            msg = "the server is stopping"
            raise Unavailable(msg)
        slot.busy, slot.error = True, None
        threading.Thread(target=self._open, args=(slot,), name="dirsync-open", daemon=True).start()
        slot.changed.wait_for(lambda: not slot.busy, LIMITS.namespace_open_seconds)

    def _open(self, slot: Slot) -> None:
        try:
            opened = self._open_one(slot.namespace)
        except DirsyncError as error:
            self._log.warning(Event.NAMESPACE_UNAVAILABLE, namespace=slot.namespace, problem=str(error))
            slot.settle(None, error)
        except BaseException as error:  # noqa: BLE001 - the callers that wait are told; the log has the rest
            slot.settle(None, Unavailable(f"{slot.namespace!r} cannot be opened; the log of the server tells more"))
            self._log.error(
                Event.LIBRARY_MESSAGE, logger=__name__, message=f"opening {slot.namespace} failed", exc_info=error
            )
        else:
            replica = opened.replica
            self._log.info(Event.NAMESPACE_OPENED, namespace=slot.namespace, entries=len(replica.tree))
            slot.settle(opened)

    def _begin_to_close(self, slot: Slot, idle_seconds: float) -> OpenReplica | None:
        if self._sessions.writers(slot.namespace):
            return None
        with slot.changed:
            if slot.busy or slot.opened is None or slot.idle_seconds < idle_seconds:
                return None
            # A session that is opened from here on waits for this to end, and opens the namespace again.
            opened, slot.opened, slot.busy = slot.opened, None, True
        return opened

    def _end_and_close(self, slot: Slot, opened: OpenReplica, reason: str) -> None:
        while True:
            self._sessions.end(slot.namespace)
            with slot.changed:
                ends = slot.ends
            if not ends:
                break
            for end in ends:
                end()
            with slot.changed:
                # What a call is doing ends soon, but closing its replica before that would take its files from it.
                slot.changed.wait_for(lambda: not slot.ends, LIMITS.namespace_close_seconds)
        self._close(slot, opened, reason)

    def _close(self, slot: Slot, opened: OpenReplica, reason: str) -> None:
        self._sessions.end(slot.namespace)
        try:
            opened.close()
        finally:
            slot.settle(None)
        self._log.info(Event.NAMESPACE_CLOSED, namespace=slot.namespace, reason=reason)

    @staticmethod
    def _refusal(slot: Slot) -> Unavailable:
        if slot.error is not None:
            # Each caller gets an error of its own: a traceback belongs to one thread.
            return Unavailable(str(slot.error), reason=slot.error.reason)
        return Unavailable(f"{slot.namespace!r} is being opened; try again soon", reason="SCANNING")
