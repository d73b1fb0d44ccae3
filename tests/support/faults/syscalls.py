"""System calls of a real process, watched, failed, or made the moment of its death, from outside, by strace.

Nothing of the program is replaced: the kernel answers as it was told to (``fail``, ``lie``), or the signal comes at
exactly that call. What matters of strace:

- calls are counted by name and by thread, from 1: a sweep takes one name after the other, until nothing happens;
- SIGKILL lands *before* the call is carried out, SIGSTOP *after* it;
- ``lie`` answers without carrying the call out: a ``write`` that says 65536 wrote nothing;
- ``--seccomp-bpf`` would be quicker, but loses injections.

A server is attached to when it is ready, so that its start is not part of the sweep (:func:`traced`); a command is
started under strace (:func:`prefix`), which ends as the command does.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self

from tests.support.running.waiting import until

MUTATING = (
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "copy_file_range",
    "sendfile",
    "fchmod",
    "fchmodat",
    "utimensat",
    "mkdirat",
    "symlinkat",
    "linkat",
    "renameat",
    "renameat2",
    "unlinkat",
    "mkdir",
    "rename",
    "unlink",
    "rmdir",
    "chmod",
    "fsync",
    "fdatasync",
    "syncfs",
)
"""Every call by which our programs change a file, or make a change durable."""

_CALL = re.compile(r"^(?P<thread>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
_NAMES = re.compile(r'"([^"]*)"|<([^>]*)>')
_RESUMED = re.compile(r"^(?P<thread>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")
_UNFINISHED = " <unfinished ...>"
_STOPPED = "stopped by SIGSTOP"


class Call(NamedTuple):
    """A call as strace shows it; a call that never ended, because its thread was killed, has the result ``?``."""

    thread: int
    name: str
    arguments: str
    result: str

    @property
    def succeeded(self) -> bool:
        """Whether it did what it was asked for."""
        return not self.result.startswith(("-1", "?"))

    @property
    def names(self) -> str:
        """The paths and other texts among its arguments, those of its descriptors included; a line each."""
        return "\n".join(quoted or path for quoted, path in _NAMES.findall(self.arguments))


class Injection(NamedTuple):
    """What happens at some calls of one name."""

    call: str
    what: str
    """As strace says it: ``signal=KILL``, ``error=EIO``, ``retval=1``, ``delay_enter=1000`` (microseconds)."""
    when: str = "1"
    """Which calls of a thread: ``3``, ``3+`` (from then on), ``1..2``."""

    def __str__(self) -> str:
        return f"inject={self.call}:{self.what}:when={self.when}"


def kill(call: str, number: int) -> Injection:
    """The process dies just before it makes this call for the ``number``-th time in one thread."""
    return Injection(call, "signal=KILL", str(number))


def stop(call: str, number: int = 1) -> Injection:
    """The process stops just after that call, until it gets SIGCONT (:meth:`Trace.wait_until_stopped`)."""
    return Injection(call, "signal=STOP", str(number))


def fail(call: str, error: str, when: str = "1") -> Injection:
    """The call is not carried out and answers this error, as ``EIO``."""
    return Injection(call, f"error={error}", when)


def lie(call: str, answer: int, when: str = "1") -> Injection:
    """The call is not carried out and answers this number as if it had been."""
    return Injection(call, f"retval={answer}", when)


def prefix(log: Path, *injections: Injection, names: Iterable[str] = (), only: Path | None = None) -> list[str]:
    """A command that runs the command after it under strace; it ends with the same status or by the same signal.

    ``names`` are calls to be logged beside those of the injections; ``only`` limits everything to calls that name this
    path or a descriptor of it.
    """
    traced = ",".join(dict.fromkeys([*names, *(injection.call for injection in injections)]))
    limit = [] if only is None else ["-P", str(only)]
    told = [argument for injection in injections for argument in ("-e", str(injection))]
    return ["strace", "-f", "-qq", "-y", "-s", "300", "-o", str(log), *limit, "-e", f"trace={traced}", *told]


class Trace:
    """A process that is traced from now on."""

    def __init__(self, pid: int, log: Path, *injections: Injection, names: Iterable[str] = ()) -> None:
        self.pid = pid
        self.log = log
        log.write_bytes(b"")
        command = [*prefix(log, *injections, names=names), "-p", str(pid)]
        self._strace = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        until(self._is_attached, f"strace to attach to {pid}")

    def wait_until_stopped(self) -> None:
        """Return when the process has stopped."""
        wait_until_stopped(self.log)

    def go_on(self) -> None:
        """Let the stopped process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def calls(self) -> list[Call]:
        """The calls so far."""
        return calls(self.log)

    def detach(self) -> Self:
        """Let the process run untraced."""
        with suppress(ProcessLookupError):
            self._strace.terminate()
        self._strace.wait(10)
        return self

    def _is_attached(self) -> bool:
        with suppress(FileNotFoundError, ProcessLookupError):
            threads = list(Path(f"/proc/{self.pid}/task").iterdir())
            return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)
        return False


@contextmanager
def traced(pid: int, log: Path, *injections: Injection, names: Iterable[str] = ()) -> Iterator[Trace]:
    """Trace a running process, with all its threads, as long as the block lasts or it lives."""
    trace = Trace(pid, log, *injections, names=names)
    try:
        yield trace
    finally:
        trace.detach()


def wait_until_stopped(log: Path) -> int:
    """The process that a trace says was stopped, once it was."""
    line = until(lambda: next((li for li in _lines(log) if _STOPPED in li), ""), "stopped by strace")
    return int(line.split()[0])


def calls(log: Path) -> list[Call]:
    """The calls of a trace, in the order in which they were made."""
    found: list[Call] = []
    open_calls: dict[int, int] = {}
    for line in _lines(log):
        if match := _CALL.match(line):
            thread, rest = int(match["thread"]), match["rest"]
            unfinished = rest.endswith(_UNFINISHED)
            arguments, _, result = rest.removesuffix(_UNFINISHED).rpartition(" = ")
            if unfinished:
                open_calls[thread] = len(found)
                arguments, result = rest.removesuffix(_UNFINISHED), "?"
            found.append(Call(thread, match["name"], arguments.strip().removesuffix(")"), result))
        elif (match := _RESUMED.match(line)) and (at := open_calls.pop(int(match["thread"]), None)) is not None:
            more, _, result = match["rest"].rpartition(" = ")
            begun = found[at]
            found[at] = begun._replace(arguments=begun.arguments + more.strip().removesuffix(")"), result=result)
    return found


def was_killed(log: Path) -> bool:
    """Whether a trace ends with the death of the process by SIGKILL."""
    return any("+++ killed by SIGKILL +++" in line for line in _lines(log))


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []
