"""The thread that the engine runs in, seen from the main thread, which takes signals and so must never wait for a disk.

A source that does not answer (a network file system whose server is gone) keeps the engine in the kernel. The process
has to end all the same when it is told to, so the main thread waits for the engine for a limited time only.
"""

from collections.abc import Callable, Mapping
from threading import Thread

from dirsync.clock import monotonic
from dirsync.runtime.process.lifecycle import Lifetime, join
from dirsync_client.engine import Engine
from dirsync_client.lifecycle.ending import Deadlines, Left

DONE = "done"
"""Why a lifetime ends whose engine has nothing left to do."""
FAILED = "the engine failed"
"""Why a lifetime ends whose engine has raised an error."""


class EngineThread:
    """Runs an engine once, from :meth:`start` to its end."""

    def __init__(
        self, engine: Engine, lifetime: Lifetime, *, once: bool = False, before: Callable[[], None] = lambda: None
    ) -> None:
        """``before`` is called in the thread first. The lifetime is told when the engine has ended by itself."""
        self.error: BaseException | None = None
        """What it raised."""
        self.left: Mapping[str, Left] = {}
        """What was not at each server, by the names of the targets, when it ended because it was told to."""
        self._engine = engine
        self._lifetime = lifetime
        self._once = once
        self._before = before
        self._thread = Thread(target=self._run, name="dirsync-engine", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self, grace: float, *, sends: bool) -> bool:
        """Have it end within ``grace`` seconds; False if it did not, because something keeps it waiting.

        With ``sends`` everything is looked at once more and sent; otherwise only what was sent is committed.
        """
        self._engine.mailbox.end(Deadlines.within(monotonic(), grace, sends=sends))
        return join(self._thread, grace)

    def _run(self) -> None:
        reason = DONE
        try:
            self._before()
            self.left = self._engine.run(once=self._once)
        except BaseException as error:  # noqa: BLE001  # the main thread raises it
            self.error = error
            reason = FAILED
        self._lifetime.end(reason)
