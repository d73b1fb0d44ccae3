"""Run a server and a client side by side: ``./dirsync_from`` is mirrored live into ``./dirsync_to``.

Both inherit the environment, so every setting works here too. Each line of their output is passed on with the name of
the program in front. The client starts when the server logs that it serves. If it started earlier, and another server
had the port, this source would be mirrored to that server. Interrupt, SIGTERM and SIGHUP end the client first, then
the server. If one program ends by itself, the other is ended too, and the exit status is that of the first.
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
"""How long to wait for the server's log line. A server that cannot bind has ended by then; one that logs less
serves."""
STOP_SECONDS = 12.0
"""How long a process may take to end: longer than the default grace period of both."""


class Event(Enum):
    """Events that the main thread waits for."""

    SERVING = auto()
    ENDED = auto()
    STOP = auto()


# Only SimpleQueue.put is safe in a signal handler; other queues and events could deadlock.
Events = SimpleQueue[Event]


class Process:
    """One of the two programs, in a session of its own, so that Ctrl-C reaches it once, through this script."""

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
                except OSError:  # the reader of our output is gone
                    discard(target)
                    self._events.put(Event.STOP)
                    return

    def _wait(self) -> None:
        self._popen.wait()
        self._events.put(Event.ENDED)

    @property
    def status(self) -> int | None:
        """Exit status in the convention of shells, or ``None`` while the process runs."""
        code = self._popen.poll()
        return 128 - code if code is not None and code < 0 else code

    def stop(self) -> int:
        """End the process, by force if it does not end in time, and pass on the rest of its output.

        Returns its exit status. If the signal arrived before the process handled signals, it had nothing to finish, and
        the status is 0.
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
    """Run both programs. Returns 0 if they were told to end and succeeded."""
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
    """End the processes in this order. Returns the highest exit status."""
    return max(process.stop() for process in running)


def stop_others(running: list[Process]) -> int:
    """One process ended by itself: report it and end the others. Returns its exit status, or 1 if that is 0."""
    first = next(process for process in running if process.status is not None)
    status = first.status
    first.stop()
    say(f"the {first.name} ended by itself with exit status {status}")
    stop(running)
    return status or 1


def readable_logs() -> dict[str, str]:
    """The log format that the programs would select on our terminal; they see a pipe instead."""
    form = "console" if sys.stderr.isatty() else "json"
    return {f"DIRSYNC_{service}_LOG_FORMAT": form for service in ("SERVER", "CLIENT")}


def say(message: str) -> None:
    """Print a line of this script among those of the programs."""
    try:
        print(f"run    | {message}", file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: IO[bytes] | IO[str]) -> None:
    """Redirect a closed output to the null device; otherwise flushing its buffer fails at the interpreter's exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
