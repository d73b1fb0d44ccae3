"""Both images by themselves: what is in them and what is not, and the programs in them as process 1 of any user."""

import http.client
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import dirsync
from dirsync.limits import MIB
from tests.support.outside.engine import Container, docker, hardened, run, start, together
from tests.support.running.metrics import get
from tests.support.running.waiting import until

SERVICES = ("server", "client")
MAX_OWN_BYTES = 160 * MIB
"""What an image may add to the one that it is built on."""
INSECURE = {"DIRSYNC_SERVER_INSECURE": "true"}

HTTP_PORTS = {"server": 9101, "client": 9102}
STATELESS = ("--tmpfs=/state:mode=1777", "--tmpfs=/replica:mode=1777")

Start = Callable[..., Container]
Run = Callable[..., subprocess.CompletedProcess[str]]
each = pytest.mark.parametrize("service", SERVICES)


@pytest.fixture
def start_one(session: str, images: dict[str, str]) -> Iterator[Start]:
    """Starts containers of our images as any user, hardened; they are gone at the end."""
    started: list[Container] = []

    def start_one(service: str, *command: str, user: str = "12345:12345", **more: Any) -> Container:
        options = [
            *hardened(user=user),
            f"--publish=127.0.0.1:0:{HTTP_PORTS[service]}",
            *more.pop("options", STATELESS),
        ]
        started.append(start(session, images[service], *command, options=options, **more))
        return started[-1]

    yield start_one
    docker("rm", "--force", "--volumes", *(container.name for container in started))


@pytest.fixture
def run_one(session: str, images: dict[str, str]) -> Run:
    """Runs containers that end by themselves, as an unknown user, hardened."""

    def run_one(service: str, **more: Any) -> subprocess.CompletedProcess[str]:
        options = [*hardened(user="12345:12345"), "--network=none", *more.pop("options", ())]
        return run(session, images[service], options=options, **more)

    return run_one


def inspect(image: str) -> dict[str, Any]:
    """What the engine knows of an image."""
    found: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]
    return found


def python(image: str, script: str) -> str:
    """What a Python script in the image prints."""
    return docker("run", "--rm", "--network=none", "--entrypoint=python", image, "-c", script)


LOOK = """
import json, os, pathlib, shutil, sysconfig
home = pathlib.Path("/opt/dirsync")
sources = [path for path in home.rglob("*.py")]
compiled = {(path.parent.parent, path.name.partition(".")[0]) for path in home.rglob("__pycache__/*.pyc")}
print(json.dumps({
    "packages": os.listdir(sysconfig.get_path("purelib")),
    "programs": [*os.listdir(home / "bin"), *filter(shutil.which, ("cc", "gcc", "ld", "make"))],
    "tests": [str(path) for path in home.rglob("tests")],
    "uncompiled": [str(path) for path in sources if (path.parent, path.stem) not in compiled],
}))
"""


class TestContents:
    """What is in the images."""

    @each
    def test_size(
        self, images: dict[str, str], python_image: str, service: str, record_property: Callable[..., None]
    ) -> None:
        """An image adds little to what it is built on."""
        own = inspect(images[service])["Size"] - inspect(python_image)["Size"]
        record_property("own_bytes", own)
        print(f"{service}: {own / MIB:.0f} MiB beyond {python_image}")

        assert own < MAX_OWN_BYTES

    @each
    def test_packages(self, images: dict[str, str], service: str) -> None:
        """It holds its own service and what both share, compiled, and nothing that builds, installs or tests."""
        found = json.loads(python(images[service], LOOK))
        packages = set(found["packages"])

        assert {"dirsync", f"dirsync_{service}"} == {n for n in packages if n.startswith("dirsync") and "-" not in n}
        assert not {"pip", "setuptools", "hatchling", "pytest"} & packages
        assert not {"pip", "hatchling", "cc", "gcc", "ld", "make"} & set(found["programs"])
        assert ([], []) == (found["tests"], found["uncompiled"])

    @each
    def test_declarations(self, images: dict[str, str], service: str) -> None:
        """A numeric user, an entry point without a shell, our own health, the ports, and labels."""
        found = inspect(images[service])["Config"]
        ports = {"server": {"50051/tcp", "9101/tcp"}, "client": {"50052/tcp", "9102/tcp"}}
        labels = {key.removeprefix("org.opencontainers.image."): value for key, value in found["Labels"].items()}

        assert "65532:65532" == found["User"]
        assert ([f"dirsync-{service}"], None) == (found["Entrypoint"], found["Cmd"])
        assert ["CMD", f"dirsync-{service}", "health"] == found["Healthcheck"]["Test"]
        assert ports[service] == set(found["ExposedPorts"])
        assert f"dirsync-{service}" == labels["title"]
        assert {"description", "licenses", "version", "revision", "base.name"} <= labels.keys()

    @each
    def test_version(self, images: dict[str, str], service: str) -> None:
        """The program in it is that of this tree."""
        assert f"dirsync-{service} {dirsync.__version__}\n" == docker("run", "--rm", images[service], "--version")

    @each
    def test_no_settings_of_the_builder(self, images: dict[str, str], service: str) -> None:
        """No layer keeps where packages came from."""
        history = docker("history", "--no-trunc", "--format={{.CreatedBy}}", images[service])
        kept = python(
            images[service], "import glob; print(glob.glob('/run/secrets/*') + glob.glob('/var/cache/pip/*'))"
        )

        assert "[]\n" == kept
        assert "://" not in history


class TestProcess:
    """The programs as process 1: of any user, on a read-only file system, without rights."""

    @pytest.mark.case("L06")
    @pytest.mark.parametrize("signal", ["TERM", "INT"])
    @each
    def test_ends(self, start_one: Start, service: str, signal: str) -> None:
        """It lives by its own word, and ends on either signal by itself: a client without a server waits for one."""
        grace = {f"DIRSYNC_{service.upper()}_SHUTDOWN_GRACE": {"server": "60s", "client": "4s"}[service]}
        container = start_one(service, environment={**INSECURE, **grace})
        until_it_answers(container, service, "/livez")

        assert 0 == container.stop(signal), container.lines()

    @pytest.mark.case("L06")
    def test_any_user(self, start_one: Start) -> None:
        """As any user, known to the image or not, the server becomes ready and the image stays as it was."""

        def changes(user: str) -> str:
            container = start_one("server", user=user, environment=INSECURE)
            until_it_answers(container, "server", "/readyz")
            return docker("diff", container.name)

        users = ["12345:54321", "1000:1000", "0:0"]

        assert [""] * 3 == together(*(partial(changes, user) for user in users))

    def test_fails_closed(self, run_one: Run) -> None:
        """As it comes, the server refuses to serve others in plain text, in one line that says what to do."""
        done = run_one("server")
        (line,) = done.stderr.splitlines()

        assert (2, "") == (done.returncode, done.stdout)
        assert "DIRSYNC_SERVER_TLS_CERT_FILE" in line
        assert "DIRSYNC_SERVER_INSECURE=true" in line

    def test_health_of_the_image(self, start_one: Start) -> None:
        """The engine learns by the images' own health checks that they are healthy."""

        def healthy(service: str) -> bool:
            options = ["--health-interval=1s", *STATELESS]
            container = start_one(service, options=options, environment=INSECURE)
            until(lambda: container.state["Health"]["Status"] == "healthy", "it is healthy", seconds=30)
            return True

        assert all(together(*(partial(healthy, service) for service in SERVICES)))


DENIED = "{setting}={path}: cannot be {done} by uid 12345: "
FOREIGN = "Permission denied (owner {owner}, mode {mode}); {fix}, or run as uid {uid}"
READ_ONLY = "Read-only file system; mount it writable, or set {setting} to another"


class Unusable(NamedTuple):
    """A mount that cannot be used, and the line that says so."""

    service: str
    mounts: tuple[str, ...]
    line: str


def unusable(
    service: str, variable: str, path: str, *mounts: str, why: str = FOREIGN, done: str = "written", mode: str = "0755"
) -> Unusable:
    """What is expected of a mount at ``path``; ``{place}`` in a mount is a directory of the user who runs this."""
    uid, gid = os.geteuid(), os.getegid()
    fix = f"chmod a+rx {path}" if done == "read" else f"chown 12345 {path}"
    line = (DENIED + why).format(
        setting=f"DIRSYNC_{service.upper()}_{variable}",
        path=path,
        done=done,
        owner=f"{uid}:{gid}",
        mode=mode,
        fix=fix,
        uid=uid,
    )
    return Unusable(service, mounts, f"dirsync-{service}: {line}")


STATE, REPLICA = STATELESS
CASES = [
    unusable("server", "ROOT", "/replica", "--volume={place}/open:/replica", STATE),
    unusable("server", "ROOT", "/replica", "--volume={place}/open:/replica:ro", STATE, why=READ_ONLY),
    unusable("server", "STATE_DIR", "/state", "--volume={place}/open:/state", REPLICA),
    unusable("server", "STATE_DIR", "/state", REPLICA, why=READ_ONLY),
    unusable("client", "SOURCE", "/source", "--volume={place}/closed:/source", STATE, done="read", mode="0700"),
    unusable("client", "SOURCE", "/source", "--volume={place}/flat:/source", STATE, done="read", mode="0744"),
    unusable("client", "STATE_DIR", "/state", "--volume={place}/open:/state"),
    unusable("client", "STATE_DIR", "/state", why=READ_ONLY),
]


def test_mounts(run_one: Run, tmp_path: Path) -> None:
    """A mount that cannot be used ends the service with status 2 and one line: setting, path, user, and what to do."""
    for name, mode in (("open", 0o755), ("closed", 0o700), ("flat", 0o744)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    tmp_path.chmod(0o755)

    def ending(case: Unusable) -> tuple[int, str, str]:
        options = [mount.format(place=tmp_path) for mount in case.mounts]
        done = run_one(case.service, options=options, environment=INSECURE)
        return done.returncode, done.stdout, done.stderr

    endings = together(*(partial(ending, case) for case in CASES))

    assert [(2, "", f"{case.line}\n") for case in CASES] == endings


def until_it_answers(container: Container, service: str, path: str) -> None:
    """Wait until a service says at its published HTTP port that it is well."""
    port = container.port(HTTP_PORTS[service])
    until(lambda: answers(port, path), f"{path} of the {service} says so; it said: {container.lines()[-3:]}")


def answers(port: int, path: str) -> bool:
    """Whether it does now; before the program listens, the engine takes the connection and drops it."""
    try:
        return get(port, path).status == 200
    except (OSError, http.client.HTTPException):
        return False
