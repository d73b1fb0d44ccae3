"""Real clients, many in one process: ``python -m tests.load.clients``, with one JSON object for each line in and out.

Each has a source of its own, and is what ``dirsync-client run`` is but for its ports: engine, watcher, session,
transfer. The process makes changes at a steady rate, and looks when each is visible in the replica, by the time of
modification that it was given.

::

    < {"clients": [settings, ...], "roots": [[path, ...], ...]} start; answered when all are in sync
    > {"ready": seconds, "polling": how many of them have no inotify instance}
    < {"change": seconds, "rate": per client and second, "bytes": of each file}
    > {"visible_ms": [...], "written": bytes, "late": changes that were not visible in time}
    < {"sync": seconds}                                     wait until all are in sync again
    > {"in_sync": seconds until the last one was, or null, "problems": [...]}
"""

import json
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from dirsync.endpoint.watch.watcher import WatchMode
from dirsync.rpc.channel import client_options
from dirsync.runtime.config.settings import LogFormat, LogLevel
from dirsync.runtime.log import logging as log
from dirsync.runtime.metrics.metrics import NoMetrics
from dirsync.runtime.process.lifecycle import Lifetime
from dirsync_client.core import Core, open_source_root
from dirsync_client.lifecycle.engine_thread import EngineThread
from dirsync_client.lifecycle.watching import Watching
from dirsync_client.session import channel
from dirsync_client.settings import ClientSettings

FILES = 20
"""Files of each client that are rewritten in turn."""
LOOK_SECONDS = 0.002
"""How often it is looked whether changes are visible."""
LATE_SECONDS = 60.0
"""A change that is not visible after this is counted as late."""
READY_SECONDS = 300.0
GRACE_SECONDS = 5.0


class Client:
    """One client."""

    def __init__(self, settings: dict[str, str], roots: list[Path]) -> None:
        self.settings = ClientSettings.load(settings)
        self.roots = roots
        self.core = Core(self.settings, NoMetrics(), once=False)
        self._watching = Watching(
            self.core.source,
            lambda: open_source_root(self.settings),
            self.core.engine.mailbox,
            WatchMode(self.settings.watch.value),
            self.settings.poll_interval,
            self.core.metrics,
            self.core.activities.add("watching the source"),
        )
        self._engine = EngineThread(self.core.engine, Lifetime(), before=self._watching.start)
        self._engine.start()

    @property
    def in_sync(self) -> bool:
        """Whether both sides are equal by its own account."""
        return bool(self.core.boards.status.in_sync)

    @property
    def polls(self) -> bool:
        """Whether it looks at intervals, because the kernel gives this user no more inotify instances."""
        return self._watching.mode is WatchMode.POLL

    @property
    def problems(self) -> list[str]:
        """What a user would see of it."""
        status = self.core.boards.status
        return [f"{self.settings.namespace}: {problem}" for problem in (*status.problems, status.hold) if problem]

    def write(self, number: int, content: bytes) -> tuple[list[Path], int]:
        """Rewrite a file; where it may appear, and its time of modification."""
        name = f"file-{number % FILES}"
        path = self.settings.source / name
        path.write_bytes(content)
        return [root / name for root in self.roots], path.stat().st_mtime_ns

    def end(self) -> None:
        """Send what is left, and end."""
        self._engine.end(GRACE_SECONDS, sends=True)
        self._watching.stop()
        self.core.close()


class Changes:
    """Changes at a steady rate, from a thread of its own, and another one that sees them arrive."""

    def __init__(self, clients: list[Client], rate: float, size: int) -> None:
        self._clients = clients
        self._interval = 1 / (rate * len(clients))
        self._size = size
        self._pending: list[tuple[list[Path], int, float]] = []
        self._lock = threading.Lock()
        self._done = threading.Event()
        self.visible_ms: list[float] = []
        self.late = 0
        self.written = 0

    def run(self, seconds: float) -> None:
        """Make changes for so long, and see all of them arrive."""
        looking = threading.Thread(target=self._look)
        looking.start()
        began = time.monotonic()
        content, count = random.Random(1).randbytes(self._size), 0
        while (due := began + count * self._interval) < began + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            client = self._clients[count % len(self._clients)]
            now = time.monotonic()
            paths, mtime_ns = client.write(count // len(self._clients), count.to_bytes(8, "big") + content[8:])
            with self._lock:
                self._pending.append((paths, mtime_ns, now))
            count += 1
            self.written += self._size
        self._done.set()
        looking.join()

    def _look(self) -> None:
        while not (self._done.is_set() and not self._pending):
            with self._lock:
                pending, self._pending = self._pending, []
            left = [change for change in pending if not self._has_arrived(*change)]
            with self._lock:
                self._pending += left
            time.sleep(LOOK_SECONDS)

    def _has_arrived(self, paths: list[Path], mtime_ns: int, began: float) -> bool:
        now = time.monotonic()
        if any(modified(path) >= mtime_ns for path in paths):
            self.visible_ms.append((now - began) * 1000)
        elif now - began > LATE_SECONDS:
            self.late += 1
        else:
            return False
        return True


def modified(path: Path) -> int:
    """When a file was modified, in nanoseconds since the epoch; 0 if there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def wait_until_in_sync(clients: list[Client], seconds: float) -> float | None:
    """How long it took until all were in sync at once; ``None`` if they were not in time."""
    began = time.monotonic()
    while not all(client.in_sync for client in clients):
        if time.monotonic() > began + seconds:
            return None
        time.sleep(0.02)
    return time.monotonic() - began


def answers(requests: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What is said to each request."""
    clients: list[Client] = []
    for request in requests:
        if "clients" in request:
            began = time.monotonic()
            for settings, roots in zip(request["clients"], request["roots"], strict=True):
                clients.append(Client(settings, [Path(root) for root in roots]))
            took = wait_until_in_sync(clients, READY_SECONDS)
            ready = None if took is None else time.monotonic() - began
            yield {"ready": ready, "polling": sum(client.polls for client in clients)}
        elif "change" in request:
            changes = Changes(clients, request["rate"], request["bytes"])
            changes.run(request["change"])
            yield {"visible_ms": changes.visible_ms, "written": changes.written, "late": changes.late}
        elif "sync" in request:
            took = wait_until_in_sync(clients, request["sync"])
            yield {"in_sync": took, "problems": [problem for client in clients for problem in client.problems]}
    for client in clients:
        client.end()


def main() -> None:
    """Serve one parent."""
    # Channels of one process to one target share a connection otherwise, and its 64 streams; clients are processes.
    own = [*client_options(), ("grpc.use_local_subchannel_pool", 1)]
    channel.client_options = lambda: own  # type: ignore[attr-defined]
    log.configure("client", LogLevel.ERROR, LogFormat.JSON)
    for answer in answers(json.loads(line) for line in sys.stdin):
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
