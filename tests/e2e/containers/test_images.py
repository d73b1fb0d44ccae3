"""Both images by themselves: what is in them and what is not, and the programs in them as process 1 of anybody."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dirsync
from dirsync.limits import MIB
from tests.support.engine import Container, docker, hardened, start
from tests.support.waiting import until

SERVICES = ("server", "client")
MAX_OWN_BYTES = 160 * MIB
"""What an image may add to the one that it is built on."""
GRACE_SECONDS = 8.0
INSECURE = {"DIRSYNC_SERVER_INSECURE": "true"}

Start = Callable[..., Container]
each = pytest.mark.parametrize("service", SERVICES)


@pytest.fixture
def start_one(session: str, images: dict[str, str]) -> Iterator[Start]:
    """Starts containers of our images as any user, hardened; they are gone at the end."""
    started: list[Container] = []

    def start_one(service: str, *command: str, user: str = "12345:12345", **more: Any) -> Container:
        options = [
            *hardened(user=user),
            *more.pop("options", ["--tmpfs=/state:mode=1777", "--tmpfs=/replica:mode=1777"]),
        ]
        started.append(start(session, images[service], *command, options=options, **more))
        return started[-1]

    yield start_one
    for container in started:
        container.remove()


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
        """It lives by its own word, and ends well within the grace on either signal."""
        container = start_one(service, environment=INSECURE)
        until(lambda: container.execute(f"dirsync-{service}", "health").returncode == 0, "it is alive")
        code, seconds = container.stop(signal)

        assert 0 == code, container.lines()
        assert seconds < GRACE_SECONDS

    @pytest.mark.case("L06")
    @pytest.mark.parametrize("user", ["12345:54321", "1000:1000", "0:0"])
    def test_any_user(self, start_one: Start, user: str) -> None:
        """Whoever it runs as, known to the image or not, the server becomes ready and the image stays as it was."""
        container = start_one("server", user=user, environment=INSECURE)
        until(lambda: container.execute("dirsync-server", "health", "--ready").returncode == 0, "it is ready")

        assert "" == docker("diff", container.name)

    def test_fails_closed(self, start_one: Start) -> None:
        """As it comes, the server refuses to serve others in plain text, in one line that says what to do."""
        container = start_one("server")
        code = container.wait()
        (line,) = container.lines()

        assert 2 == code
        assert "DIRSYNC_SERVER_TLS_CERT_FILE" in line
        assert "DIRSYNC_SERVER_INSECURE=true" in line

    @each
    def test_health_of_the_image(self, start_one: Start, service: str) -> None:
        """The engine learns by the image's own health check that it is healthy."""
        options = ["--health-interval=1s", "--tmpfs=/state:mode=1777", "--tmpfs=/replica:mode=1777"]
        container = start_one(service, options=options, environment=INSECURE)
        until(lambda: container.state["Health"]["Status"] == "healthy", "it is healthy", seconds=30)


class TestMounts:
    """Mounts that cannot be used stop the service at its start."""

    @pytest.mark.parametrize(
        "service, mounts, path",
        [
            ("server", ["--volume={place}:/replica", "--tmpfs=/state:mode=1777"], "/replica"),
            ("server", ["--volume={place}:/replica:ro", "--tmpfs=/state:mode=1777"], "/replica"),
            ("server", ["--volume={place}:/state", "--tmpfs=/replica:mode=1777"], "/state"),
            ("server", ["--tmpfs=/replica:mode=1777"], "/state"),
            ("client", ["--volume={place}/closed:/source", "--tmpfs=/state:mode=1777"], "/source"),
            ("client", ["--volume={place}:/state"], "/state"),
        ],
    )
    def test_unusable(self, start_one: Start, tmp_path: Path, service: str, mounts: list[str], path: str) -> None:
        """One line names the path and the user, and the exit status is that of a wrong setting."""
        place = tmp_path / "mount"
        (place / "closed").mkdir(parents=True)
        place.chmod(0o755)
        (place / "closed").chmod(0o700)
        options = [option.format(place=place) for option in mounts]
        container = start_one(service, options=options, environment=INSECURE)
        code = container.wait()
        (line,) = container.lines()

        assert 2 == code
        assert path in line
        assert "uid 12345" in line
