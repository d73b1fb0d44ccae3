"""A real Docker engine, by its command line: containers that a test starts, and what they say of themselves.

Everything that is started here has :data:`LABEL`, with the session's name as its value, and goes by it at the end.
"""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

LABEL = "org.dirsync.test"
SECONDS = 60.0
"""How long a command of the engine may take, save for building."""
STOP_SECONDS = 10
"""How long a container may take to stop before it is killed: the default of engines."""
AT_ONCE = 6
"""How many things are asked of the engine at the same time: most of each is waiting."""

T = TypeVar("T")


def together(*works: Callable[[], T]) -> list[T]:
    """Do all of them at the same time; what they gave, in their order. The first error, once all have ended."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(work) for work in works]
    return [future.result() for future in futures]


def docker(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    place: Path | None = None,
    seconds: float = SECONDS,
) -> str:
    """Run a command of the engine that must succeed; its stdout."""
    done = try_docker(*arguments, environment=environment, place=place, seconds=seconds)

    assert 0 == done.returncode, f"docker {' '.join(map(str, arguments))}\n{done.stdout}{done.stderr}"
    return done.stdout


def try_docker(
    *arguments: str | Path,
    environment: Mapping[str, str] | None = None,
    place: Path | None = None,
    seconds: float = SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a command of the engine that may fail."""
    return subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        cwd=place,
    )


class Container(NamedTuple):
    """A container by its id or name."""

    name: str

    def inspect(self) -> dict[str, Any]:
        """All that the engine knows of it."""
        found: dict[str, Any] = json.loads(docker("container", "inspect", self.name))[0]
        return found

    @property
    def state(self) -> dict[str, Any]:
        """Whether it runs, since when, and how it ended."""
        found: dict[str, Any] = self.inspect()["State"]
        return found

    def lines(self) -> list[str]:
        """What it wrote to stdout and stderr, a line each."""
        done = try_docker("logs", self.name)
        return [*done.stdout.splitlines(), *done.stderr.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of this name in its log, oldest first."""
        parsed = (json.loads(line) for line in self.lines() if line.startswith("{"))
        return [event for event in parsed if event["event"] == name]

    def ports(self) -> dict[int, int]:
        """Its published ports by their numbers in it: those of this machine's loopback."""
        found = self.inspect()["NetworkSettings"]["Ports"]
        return {int(name.partition("/")[0]): int(bound[0]["HostPort"]) for name, bound in found.items() if bound}

    def port(self, number: int) -> int:
        """The port of this machine's loopback at which its port is published."""
        return self.ports()[number]

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return try_docker("exec", self.name, *command)

    def wait(self, seconds: float = 20.0) -> int:
        """Its exit status, once it has ended by itself."""
        try:
            return int(docker("wait", self.name, seconds=seconds))
        except subprocess.TimeoutExpired:
            msg = f"{self.name} does not end; it said: {self.lines()[-5:]}"
            raise AssertionError(msg) from None

    def stop(self, signal: str = "TERM") -> int:
        """Stop it as an engine does; its exit status."""
        docker("kill", "--signal", signal, self.name)
        return self.wait(STOP_SECONDS)

    def remove(self) -> None:
        """Take it away with all that it held."""
        docker("rm", "--force", "--volumes", self.name)


def hardened(*, user: str) -> list[str]:
    """Options of ``docker run`` for a container that may do nothing: no root, no rights, no writing of its image."""
    return ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true", f"--user={user}"]


def start(
    session: str,
    image: str,
    *command: str,
    options: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    entrypoint: Sequence[str] = (),
) -> Container:
    """Start a container in the background; it has ended or runs on when this returns."""
    given = _arguments(session, image, command, options, environment, entrypoint)
    return Container(docker("run", "--detach", *given).strip())


def run(
    session: str,
    image: str,
    *command: str,
    options: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a container that ends by itself; it is gone when this returns."""
    return try_docker("run", "--rm", *_arguments(session, image, command, options, environment, ()))


def _arguments(
    session: str,
    image: str,
    command: Iterable[str],
    options: Iterable[str],
    environment: Mapping[str, str] | None,
    entrypoint: Sequence[str],
) -> list[str]:
    variables = [f"--env={name}={value}" for name, value in (environment or {}).items()]
    program = [f"--entrypoint={entrypoint[0]}"] if entrypoint else []
    return [f"--label={LABEL}={session}", *options, *variables, *program, image, *entrypoint[1:], *command]


def clean_up(session: str) -> None:
    """Take away everything that the session started, and the images that have its name as their tag."""
    mine = f"label={LABEL}={session}"
    for kind, remove in (
        ("container", ("rm", "--force", "--volumes")),
        ("network", ("rm",)),
        ("volume", ("rm", "--force")),
    ):
        everything = ("--all",) if kind == "container" else ()
        found = docker(kind, "ls", "--quiet", *everything, "--filter", mine).split()
        if found:
            docker(kind, *remove, *found)
    images = docker("image", "ls", "--filter", f"reference=*:{session}", "--format={{.Repository}}:{{.Tag}}").split()
    if images:
        docker("image", "rm", *images)
