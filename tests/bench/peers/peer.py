"""What is measured: a program that keeps a destination equal to a source, as its users would run it."""

import os
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.machine.namespaces import Side

SYNC_SECONDS = 900.0
"""A sync that takes longer has failed."""
_END_SECONDS = 10.0


class PeerFailed(Exception):
    """The program failed, or was not done in time."""


class Peer(ABC):
    """One program with directories of its own."""

    name = ""
    programs: Sequence[str] = ()
    """What has to be installed."""
    is_variant = False
    """Another way to run a program that is measured anyway: in the table, and not in the chart."""
    syncs_once = True
    watches = True
    keeps_holes = False
    """Whether it can make a copy of a sparse file that is sparse, in a time that is worth waiting for."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.is_sparse = False
        """The source's files are mostly holes, and their copies are to be."""
        self.source, self.destination, self.state = place / "source", place / "destination", place / "state"
        self._started: list[subprocess.Popen[bytes]] = []
        shutil.rmtree(place, ignore_errors=True)  # of a run that was killed
        for path in (self.source, self.destination, self.state):
            path.mkdir(parents=True)

    @abstractmethod
    def serve(self) -> None:
        """Start the server, ready to be used."""

    def sync(self) -> None:
        """Bring the destination up to date, once; only if it :attr:`syncs_once`."""
        msg = f"{self.name} does not sync once"
        raise PeerFailed(msg)

    def watch(self) -> None:
        """Start to follow changes; returns when the destination is up to date. Only if it :attr:`watches`."""
        msg = f"{self.name} does not watch"
        raise PeerFailed(msg)

    def stop(self) -> None:
        """End everything that was started, and remove its directories."""
        for process in reversed(self._started):
            self._end(process)
        shutil.rmtree(self.place, ignore_errors=True)

    def within(self, side: Side) -> Sequence[str]:
        """The command that runs another one on a side."""
        return ("ip", "netns", "exec", side.namespace)

    def start(
        self, side: Side, *command: str | Path, log: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program on one side; its output goes to a file."""
        with (self.place / log).open("ab") as output:
            process = subprocess.Popen(
                [*self.within(side), *map(str, command)],
                cwd=self.place,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def run(
        self, *command: str | Path, environment: Mapping[str, str] | None = None, good: Sequence[int] = (0,)
    ) -> None:
        """A program of the client's side to its end.

        Raises:
            PeerFailed: it ended with another status, or did not end.
        """
        process = self.start(Side.CLIENT, *command, log="sync.log", environment=environment)
        try:
            code = process.wait(SYNC_SECONDS)
        except subprocess.TimeoutExpired:
            msg = f"it did not end within {SYNC_SECONDS:g} s"
            raise PeerFailed(msg) from None
        self._started.remove(process)
        if code not in good:
            msg = f"exit status {code}: {self.last_line('sync.log')}"
            raise PeerFailed(msg)

    def wait_for(self, process: subprocess.Popen[bytes], log: str, text: bytes) -> None:
        """Return when a log has this text.

        Raises:
            PeerFailed: the program ended before, or it took too long.
        """
        deadline = time.monotonic() + SYNC_SECONDS
        while text not in (self.place / log).read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                msg = f"it did not say {text.decode()!r}: {self.last_line(log)}"
                raise PeerFailed(msg)
            time.sleep(0.005)

    def last_line(self, log: str) -> str:
        """The last thing that was said."""
        lines = (self.place / log).read_text(errors="replace").splitlines()
        return lines[-1][:300] if lines else "it said nothing"

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
