"""Run a server and a client side by side: ``./dirsync_from`` is mirrored live into ``./dirsync_to``.

Both inherit the environment, so every setting works here too. Each line of theirs is passed on with its writer's name
in front. The client starts when the server says that it serves: were it earlier, and the port another server's, this
source would be offered to a stranger. Interrupt, SIGTERM and SIGHUP end the client first, then the server; if one ends
unasked, the other is ended too, and the exit status is that of the one that ended.
"""

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO

DIRECTORIES = {"DIRSYNC_CLIENT_SOURCE": "dirsync_from", "DIRSYNC_SERVER_ROOT": "dirsync_to"}
START_SECONDS = 10.0
"""How long the server's word is waited for. One that cannot bind has ended by then; one that logs less is serving."""
STOP_SECONDS = 12.0
"""How long a process may take to end: the longest default grace period, and some."""


class Event(Enum):
    """What the main thread waits for."""

    SERVING = auto()
    ENDED = auto()
    STOP = auto()


# A signal handler may put into a SimpleQueue at any moment; other queues and events could deadlock on themselves.
Events = SimpleQueue[Event]


class Process:
    """One of the two, in a session of its own so that Ctrl-C reaches it only through us, and once."""

    def __init__(self, name: str, events: Events) -> None:
        self.name = name
        self._events = events
        self._popen = subprocess.Popen(
            [sys.executable, "-m", f"dirsync_{name}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**readable_logs(), **os.environ},
        )
        assert self._popen.stdout is not None
        assert self._popen.stderr is not None
        self._threads = [
            threading.Thread(target=self._pass_on, args=(self._popen.stdout, sys.stdout.buffer)),
            threading.Thread(target=self._pass_on, args=(self._popen.stderr, sys.stderr.buffer)),
            threading.Thread(target=self._wait),
        ]
        for thread in self._threads:
            thread.start()

    def _pass_on(self, source: IO[bytes], target: IO[bytes]) -> None:
        with source:
            for line in source:
                if b"server.started" in line:
                    self._events.put(Event.SERVING)
                try:
                    target.write(f"{self.name} | ".encode() + line)
                    target.flush()
                except OSError:  # whoever read our output is gone
                    discard(target)
                    self._events.put(Event.STOP)
                    return

    def _wait(self) -> None:
        self._popen.wait()
        self._events.put(Event.ENDED)

    @property
    def status(self) -> int | None:
        """Exit status as a shell counts it, or ``None`` while it runs."""
        code = self._popen.poll()
        return 128 - code if code is not None and code < 0 else code

    def stop(self) -> int:
        """End it, by force if it does not; its exit status, when all that it wrote is passed on.

        One that our signal found before it listened for signals had nothing to finish: that is status 0.
        """
        self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            say(f"the {self.name} did not end within {STOP_SECONDS:.0f} s and was killed")
            self._popen.kill()
        for thread in self._threads:
            thread.join()
        return 0 if self._popen.returncode == -signal.SIGTERM else self.status or 0


def main() -> int:
    """Exit status 0 when both ended well because they were asked to."""
    for variable, default in DIRECTORIES.items():
        if variable not in os.environ:
            Path(default).mkdir(exist_ok=True)
    events = Events()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _signal, _frame: events.put(Event.STOP))
    running = [Process("server", events)]
    event = Event.SERVING
    with suppress(Empty):
        event = events.get(timeout=START_SECONDS)
    if event is Event.SERVING:
        running.insert(0, Process("client", events))
        while event is Event.SERVING:
            event = events.get()
    return stop(running) if event is Event.STOP else stop_others(running)


def stop(running: list[Process]) -> int:
    """End them in this order; the worst exit status."""
    return max(process.stop() for process in running)


def stop_others(running: list[Process]) -> int:
    """One ended by itself: say so and end the rest; its exit status, or 1 if it thought that it was done."""
    first = next(process for process in running if process.status is not None)
    status = first.status
    first.stop()
    say(f"the {first.name} ended by itself with exit status {status}")
    stop(running)
    return status or 1


def readable_logs() -> dict[str, str]:
    """The services see a pipe where we see a terminal; this says what they would have chosen."""
    form = "console" if sys.stderr.isatty() else "json"
    return {f"DIRSYNC_{service}_LOG_FORMAT": form for service in ("SERVER", "CLIENT")}


def say(message: str) -> None:
    """One line of ours among theirs."""
    try:
        print(f"run    | {message}", file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: IO[bytes] | IO[str]) -> None:
    """Let a stream that nobody reads go nowhere: what is left in its buffer would fail the interpreter's own exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
