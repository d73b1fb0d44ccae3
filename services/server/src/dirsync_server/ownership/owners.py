"""What this server owns on the shared volumes: claimed here, and kept by one thread that shows that we live."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dirsync.errors import Unavailable, UsageError
from dirsync.runtime.files.directories import make_writable
from dirsync.runtime.log.logging import get_logger
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.path import escape
from dirsync_server.ownership.claim import Claim, Taken
from dirsync_server.ownership.lease import BEATS
from dirsync_server.ownership.volume import DIRECTORY, Volume

if TYPE_CHECKING:
    from dirsync_server.ownership.owned import OwnedNamespace

CLAIM_SECONDS: Final = 0.2
"""How often a claim is tried while another server is the owner."""
CLAIM_LEASES: Final = 3.0
"""How many leases a claim waits for an owner that lives. Who asks after that begins another one."""
GiveUp = Callable[[str, str, float], object]
"""Closes a namespace here: its name, the reason, and for how many seconds it must have been open."""


class Owners:
    """The owner of some namespaces. Thread-safe."""

    def __init__(self, roots: Iterable[tuple[Path, str]], lease_seconds: float, metrics: Metrics) -> None:
        """Join the servers of the volumes that hold these directories, which are made if they are missing.

        ``roots`` come with the setting that names each.

        Raises:
            UsageError: one is not on the same file system as the directory above it, or this has no locks.
        """
        self._lease_seconds = lease_seconds
        self._metrics = metrics
        self._volumes: dict[Path, Volume] = {}
        self._owned: dict[str, tuple[Volume, OwnedNamespace]] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._give_up: GiveUp = _keep
        self._log = get_logger()
        for root, setting in roots:
            make_writable(root, setting)
            above = root.absolute().parent
            if root.stat().st_dev != above.stat().st_dev:
                msg = (
                    f"{escape(bytes(root))} is a volume of its own, and STORAGE=shared keeps what its servers have to "
                    f"know beside it: mount the volume one level higher, and set ROOT to a directory in it"
                )
                raise UsageError(msg, reason="NOT_SHARED")
            if above not in self._volumes:
                self._volumes[above] = Volume(above / DIRECTORY, lease_seconds)
        self._thread = threading.Thread(target=self._beat, name="dirsync-lease", daemon=True)

    def start(self, give_up: GiveUp) -> None:
        """Show from now on that we live; ``give_up`` closes what another server has taken, or is asked for."""
        self._give_up = give_up
        self._thread.start()

    def stop(self) -> None:
        """Leave; the namespaces are closed."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            left = bool(self._owned)
        if not left:  # otherwise the end of the process says that we are gone
            for volume in self._volumes.values():
                volume.close()

    def claim(self, namespace: str, root: Path) -> Taken:
        """Become the owner of a namespace; waits for an owner that lets go, or whose lease ends.

        Raises:
            Unavailable: another server keeps it, or we are stopping.
            UsageError: the volume fails.
        """
        volume = self._volumes[root.absolute().parent]
        claim = Claim(volume, namespace)
        until = volume.now() + CLAIM_LEASES * self._lease_seconds
        try:
            while (taken := claim.attempt()) is None:
                if volume.now() >= until or self._stopping.wait(CLAIM_SECONDS):
                    msg = f"another server has {namespace!r} and was asked to let go of it; try again soon"
                    raise Unavailable(msg, reason="NAMESPACE_HELD")
        except OSError as error:
            msg = f"who owns {namespace!r} cannot be found out at {escape(bytes(volume.path))}: {error.strerror}"
            raise UsageError(msg) from error
        finally:
            claim.close()
        taken.owned.on_lost = lambda name: self._give_up(name, "lost", 0.0)
        with self._lock:
            self._owned[namespace] = volume, taken.owned
        if taken.cause != "none":
            self._metrics.inc("dirsync_takeovers_total", cause=taken.cause)
        return taken

    def release(self, namespace: str) -> None:
        """Let go of a namespace that is closed."""
        with self._lock:
            _, owned = self._owned.pop(namespace)
        owned.release()

    def _beat(self) -> None:
        while not self._stopping.wait(self._lease_seconds / BEATS):
            for volume in self._volumes.values():
                try:
                    lapsed = volume.beat()
                    wanted = volume.wanted()
                except OSError:
                    continue  # the lease ends by itself, and with it what we may publish
                for namespace in wanted:
                    self._give_up(namespace, "wanted", self._lease_seconds)
                if lapsed:
                    self._look_after_a_lapse(volume)

    def _look_after_a_lapse(self, volume: Volume) -> None:
        """We have not shown for too long that we live: others may have taken what we own."""
        with self._lock:
            ours = [(name, owned) for name, (where, owned) in self._owned.items() if where is volume]
        for name, owned in ours:
            if not owned.is_owner:
                self._give_up(name, "lost", 0.0)


def _keep(_namespace: str, _reason: str, _least_seconds: float) -> None:
    """Nothing is open yet."""
