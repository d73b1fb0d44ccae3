"""The programs as real processes, each pair in a directory of its own, configured by their environment.

A :class:`Pair` is what most tests need: a source, a replica, and both programs on ports of their own. Settings are
given by name: ``pair.server(fsync="always")`` sets ``DIRSYNC_SERVER_FSYNC``. Whatever a test leaves running is stopped
at its end, and must stop well; what its log should not contain fails the test
(:meth:`tests.support.running.log.Log.complaints`).
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.running.log import Event, Log
from tests.support.running.metrics import Answer, Samples, get, scrape
from tests.support.running.ports import free_port
from tests.support.running.waiting import until

STOP_SECONDS = 15.0
"""How long a program may take to end: the longest default grace period, and some for a busy machine."""
COMMAND_SECONDS = 60.0
Setting = str | int | float | bool | Path


class Service(StrEnum):
    """Which of the two programs."""

    SERVER = "server"
    CLIENT = "client"


class Result(NamedTuple):
    """How a command ended."""

    code: int
    events: list[Event]
    stdout: str
    messages: list[str]
    """Lines of stderr that are no events."""

    @property
    def json(self) -> Any:
        """The data of a command that was given ``--json``."""
        return json.loads(self.stdout)

    def event(self, name: str) -> Event:
        """The one event of this name."""
        found = [event for event in self.events if event["event"] == name]
        assert len(found) == 1, f"{len(found)} times {name} in {self.events}"
        return found[0]


class Process:
    """A started program and its log. ``settings`` are its settings, by their names without prefix."""

    def __init__(
        self, service: Service, command: str, settings: dict[str, Setting], place: Path, prefix: Sequence[str] = ()
    ) -> None:
        """``prefix`` is a command that runs the program: :func:`tests.support.faults.privileges.without_override`."""
        self.service = service
        self.settings = settings
        self._prefix = prefix
        self._place = place
        argv = [*prefix, sys.executable, "-m", f"dirsync_{service}", command]
        self._popen = subprocess.Popen(
            argv,
            cwd=place,
            env=environment(service, settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._popen.stderr is not None
        self.log = Log(self._popen.stderr)
        self.excused = False
        """Whether the test ended it in a way that no program can end well from."""

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._popen.poll() is not None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._popen.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit status, once it has ended by itself."""
        code = self._popen.wait(seconds)
        self.log.finish()
        return code

    def stop(self) -> None:
        """Ask it to end, and see that it does so well."""
        self._popen.terminate()
        assert self.wait() == 0

    def kill(self) -> None:
        """End it without notice."""
        self.excused = True
        self._popen.kill()
        self.wait()

    def end(self) -> list[str]:
        """End it if it runs; what was wrong with it."""
        bad = []
        try:
            if not self.ended:
                self.signal(signal.SIGCONT)
                self._popen.terminate()
            code = self.wait()
            if code != 0 and not self.excused:
                bad.append(f"exit status {code}")
        except subprocess.TimeoutExpired:
            self.kill()
            bad.append(f"did not end within {STOP_SECONDS:g} s")
        return [f"{self.service} (pid {self.pid}): {line}" for line in [*bad, *self.log.complaints()]]

    def command(self, name: str, *arguments: str, **settings: Setting) -> Result:
        """Run another command of the program with the same settings, save those that are given."""
        return run_command(
            self.service, [name, *arguments], {**self.settings, **settings}, self._place, prefix=self._prefix
        )

    @property
    def http_port(self) -> int:
        """Its HTTP port, as it says itself."""
        return int(str(self.log.wait_for(f"{self.service}.started")["metrics_listen"]).rpartition(":")[2])

    def get(self, path: str) -> Answer:
        """Ask its HTTP port."""
        return get(self.http_port, path)

    def metrics(self) -> Samples:
        """What its ``/metrics`` says now."""
        return scrape(self.http_port)

    def threads(self) -> int:
        """How many threads it has."""
        return len(os.listdir(f"/proc/{self.pid}/task"))


class Server(Process):
    """A server that serves."""

    @property
    def address(self) -> str:
        """Where it listens."""
        return str(self.settings["listen"])

    @property
    def root(self) -> Path:
        """Its replica."""
        return Path(str(self.settings["root"]))

    def wait_until_ready(self) -> None:
        """Return when it can take clients."""
        self.log.wait_for("rescan.completed")


class Client(Process):
    """A client that runs: full sync, then live."""

    @property
    def address(self) -> str:
        """Where its agent listens."""
        return str(self.settings["listen"])

    @property
    def source(self) -> Path:
        """Its source."""
        return Path(str(self.settings["source"]))

    def wait_for(self, event: str, *, since: int = 0, seconds: float = 15.0, **fields: object) -> Event:
        """As :meth:`tests.support.running.log.Log.wait_for`."""
        return self.log.wait_for(event, since=since, seconds=seconds, **fields)

    def wait_until_in_sync(self) -> None:
        """Return when both sides are equal by its own account."""
        until(lambda: self.metrics().value("dirsync_in_sync") == 1, "in sync")

    def status(self) -> Any:
        """What it says of itself."""
        return self.command("status", "--json").json


class Pair:
    """A source, a replica, and the programs between them. All paths are made when they are first needed."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.source = place / "source"
        self.replica = place / "replica"
        self.source.mkdir(parents=True)
        self._server_defaults: dict[str, Setting] = {
            "listen": f"127.0.0.1:{free_port()}",
            "metrics_listen": "127.0.0.1:0",
            "root": self.replica,
            "state_dir": place / "server-state",
            "fsync": "never",
        }
        self._client_defaults: dict[str, Setting] = {
            "listen": f"127.0.0.1:{free_port()}",
            "metrics_listen": "127.0.0.1:0",
            "source": self.source,
            "state_dir": place / "client-state",
            "server": self._server_defaults["listen"],
        }
        self._started: list[Process] = []

    @property
    def server_address(self) -> str:
        """Where its server listens, running or not."""
        return str(self._server_defaults["listen"])

    @property
    def servers(self) -> list[Server]:
        """Those that it started, running or not."""
        return [process for process in self._started if isinstance(process, Server)]

    @property
    def client_settings(self) -> dict[str, Setting]:
        """The settings of its client, for a test that starts one itself."""
        return dict(self._client_defaults)

    def server(self, *, prefix: Sequence[str] = (), ready: bool = True, **settings: Setting) -> Server:
        """Start a server; with ``ready`` it can take clients when this returns."""
        server = Server(Service.SERVER, "serve", {**self._server_defaults, **settings}, self.place, prefix)
        self._started.append(server)
        if ready:
            server.wait_until_ready()
        return server

    def client(self, *, prefix: Sequence[str] = (), synced: bool = True, **settings: Setting) -> Client:
        """Start a client; with ``synced`` its first sync has ended when this returns."""
        client = Client(Service.CLIENT, "run", {**self._client_defaults, **settings}, self.place, prefix)
        self._started.append(client)
        if synced:
            client.wait_for("sync.completed")
        return client

    def once(self, *arguments: str, prefix: Sequence[str] = (), **settings: Setting) -> Result:
        """``dirsync-client once`` to its end."""
        return self.command("once", *arguments, prefix=prefix, **settings)

    def command(self, name: str, *arguments: str, prefix: Sequence[str] = (), **settings: Setting) -> Result:
        """A command of the client to its end; fails the test for what no log should contain."""
        return run_command(
            Service.CLIENT, [name, *arguments], {**self._client_defaults, **settings}, self.place, prefix=prefix
        )

    def end(self) -> list[str]:
        """End all programs, clients first; what was wrong with them."""
        order = sorted(self._started, key=lambda process: process.service is Service.SERVER)
        return [line for process in order for line in process.end()]


def run_command(
    service: Service, arguments: Iterable[str], settings: dict[str, Setting], place: Path, *, prefix: Sequence[str] = ()
) -> Result:
    """Run a command to its end."""
    with subprocess.Popen(
        [*prefix, sys.executable, "-m", f"dirsync_{service}", *arguments],
        cwd=place,
        env=environment(service, settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as popen:
        assert popen.stdout is not None
        assert popen.stderr is not None
        log = Log(popen.stderr)
        try:
            stdout = popen.stdout.read().decode(errors="surrogateescape")
            code = popen.wait(COMMAND_SECONDS)
        finally:
            popen.kill()
        log.finish()  # before the stream is closed under it
    complaints = log.complaints()

    assert complaints == [], complaints
    return Result(code, log.events, stdout, log.messages)


def environment(service: Service, settings: dict[str, Setting]) -> dict[str, str]:
    """The whole environment of a program: nothing of ours but what finds and runs the interpreter."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "PYTHONPATH") if name in os.environ}
    told = {"log_format": "json", **settings}
    prefixed = {f"DIRSYNC_{service}_{name}".upper(): _text(value) for name, value in told.items()}
    return {**kept, "LC_ALL": "C.UTF-8", **prefixed}


def _text(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
