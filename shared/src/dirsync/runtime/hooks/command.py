"""A hook that runs a program: the message on its stdin, its own session, an end for all of it when time is up."""

import os
import selectors
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from dirsync.clock import monotonic
from dirsync.limits import LIMITS
from dirsync.runtime.hooks.debouncer import Run
from dirsync.runtime.hooks.message import Place, encode
from dirsync.runtime.hooks.outcome import Expired, Outcome, Result
from dirsync.tree.path import escape

_POLL_SECONDS = 0.05
"""How often it is seen whether the program has ended, or time is up."""
_PIPE_BYTES = 64 * 1024
"""One read or write, in bytes."""


class CommandHook:
    """Runs a program with its arguments; no shell is started."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        self._argv = argv

    def run(self, place: Place, run: Run, expired: Expired) -> Outcome:
        """Run it once. It succeeds by the exit status 0."""
        environment = {
            **os.environb,
            b"DIRSYNC_HOOK_SERVICE": place.service.encode(),
            b"DIRSYNC_HOOK_NAMESPACE": place.namespace.encode(),
            b"DIRSYNC_HOOK_ROOT": place.root,
            b"DIRSYNC_HOOK_ROOT_DIGEST": run.state.hex().encode(),
            **({b"DIRSYNC_HOOK_TARGET": place.target.encode()} if place.target else {}),
        }
        try:
            process = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Outcome(Result.FAILED, f"{escape(os.fsencode(self._argv[0]))} cannot be started: {error}")
        with process:
            return _Conversation(process, encode(place, run)).to_the_end(expired)


class _Conversation:
    """Writes to a program and reads from it, without waiting for either."""

    def __init__(self, process: subprocess.Popen[bytes], message: bytes) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._rest = memoryview(message)
        self._output = bytearray()
        """The end of what it wrote."""
        self._selector = selectors.DefaultSelector()
        self._watch(process.stdin, selectors.EVENT_WRITE, self._write)
        self._watch(process.stdout, selectors.EVENT_READ, self._read)

    def to_the_end(self, expired: Expired) -> Outcome:
        """Go on until the program ends, or has to."""
        with self._selector:
            while (status := self._process.poll()) is None:
                if expired():
                    self._end()
                    return Outcome(Result.TIMED_OUT, f"it took too long, and was ended{self._last_line()}")
                self._turn()
            self._drain()
            if status == 0:
                return Outcome(Result.SUCCEEDED)
            ending = f"exit status {status}" if status > 0 else f"signal {-status}"
            return Outcome(Result.FAILED, f"it ended with {ending}{self._last_line()}")

    def _watch(self, pipe: IO[bytes], event: int, act: Callable[[IO[bytes]], None]) -> None:
        os.set_blocking(pipe.fileno(), False)
        self._selector.register(pipe, event, act)

    def _turn(self) -> None:
        for key, _ in self._selector.select(_POLL_SECONDS):
            try:
                key.data(key.fileobj)
            except BlockingIOError:
                continue
            except OSError:
                self._close(key.fileobj)  # it does not want to read any more

    def _write(self, pipe: IO[bytes]) -> None:
        self._rest = self._rest[os.write(pipe.fileno(), self._rest[:_PIPE_BYTES]) :]
        if not self._rest:
            self._close(pipe)

    def _read(self, pipe: IO[bytes]) -> None:
        read = os.read(pipe.fileno(), _PIPE_BYTES)
        self._output += read
        del self._output[: -LIMITS.hook_output_bytes]
        if not read:
            self._close(pipe)

    def _close(self, pipe: object) -> None:
        assert not isinstance(pipe, int)
        self._selector.unregister(pipe)  # type: ignore[arg-type]  # a file, as it was registered
        with suppress(OSError):
            pipe.close()  # type: ignore[attr-defined]  # the same

    def _drain(self) -> None:
        """Read what the program has left in the pipe, which those that it started may keep open."""
        pipe = self._process.stdout
        assert pipe is not None
        if not pipe.closed:
            with suppress(OSError):
                self._read(pipe)

    def _end(self) -> None:
        """End the program and all in its process group.

        It is waited for last: until then its group id is that of no other process.
        """
        self._signal(signal.SIGTERM)
        until = monotonic() + LIMITS.hook_end_seconds
        pipe = self._process.stdout
        assert pipe is not None
        while not pipe.closed and monotonic() < until:
            self._turn()
        self._signal(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LIMITS.hook_end_seconds)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _last_line(self) -> str:
        lines = bytes(self._output).strip().splitlines()
        return f": {escape(lines[-1].strip())}" if lines else ""
