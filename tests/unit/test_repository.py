"""What must hold of the repository as a whole: versions, locks, licences, and what no file may name."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dirsync

REPOSITORY = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = {"dirsync": "shared", "dirsync-server": "services/server", "dirsync-client": "services/client"}
LOCKS = ("build", "client", "dev", "server")
MAX_LINES = 500

# Written in pieces, so that this file does not name them.
HOSTS = [".".join(words) for words in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("debian", "org"))]
MACHINE_PATHS = [
    f"/{'/'.join(words)}" for words in (("work", "main"), ("work", "shared"), ("opt", "wheels"), ("root", ""))
]


def tracked_files() -> list[Path]:
    """Every file that is committed or about to be; needs the capability ``git``."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    return [path for name in names.split("\0") if name and (path := REPOSITORY / name).is_file()]


def own_sources() -> list[Path]:
    """Python that is written by hand and shipped."""
    shipped = [path for folder in DISTRIBUTIONS.values() for path in (REPOSITORY / folder / "src").rglob("*.py")]
    return [path for path in shipped if "_pb2" not in path.name]


def locked(name: str) -> dict[str, str]:
    """Package → version in one lock file."""
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text()
    return {canonicalize_name(m[1]): m[2] for m in re.finditer(r"^([\w.-]+)==([^ ;]+)", text, re.MULTILINE)}


def declared(folder: str, *, extras: bool = False) -> list[Requirement]:
    """What a distribution asks for, without our own packages; with ``extras`` what they ask for too."""
    project = tomllib.loads((REPOSITORY / folder / "pyproject.toml").read_text())
    hook = project["tool"]["hatch"].get("metadata", {}).get("hooks", {}).get("custom", {})
    lines = list(project["project"].get("dependencies", hook.get("dependencies")))
    if extras:
        lines += [line for extra in project["project"].get("optional-dependencies", {}).values() for line in extra]
    return [Requirement(line) for line in lines]


def test_the_version_is_one() -> None:
    """All three installed distributions carry the version of the package."""
    actual = {name: metadata.version(name) for name in DISTRIBUTIONS}

    assert dict.fromkeys(DISTRIBUTIONS, dirsync.__version__) == actual


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.Path]:
    """The wheel of each distribution, built as ``make wheels`` builds it."""
    target = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(target)]
    for folder in DISTRIBUTIONS.values():
        subprocess.run(build, cwd=REPOSITORY / folder, check=True, capture_output=True)
    return {
        name: zipfile.Path(target / f"{name.replace('-', '_')}-{dirsync.__version__}-py3-none-any.whl")
        for name in DISTRIBUTIONS
    }


def headers(wheel: zipfile.Path) -> Message:
    """The metadata of a wheel."""
    (info,) = (path for path in wheel.iterdir() if path.name.endswith(".dist-info"))
    return Parser().parsestr((info / "METADATA").read_text())


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_wheel_holds_one_typed_package_and_the_licence(wheels: dict[str, zipfile.Path], name: str) -> None:
    """Each wheel is complete, and none holds another's code."""
    package = name.replace("-", "_")
    info = f"{package}-{dirsync.__version__}.dist-info"

    assert {package, info} == {path.name for path in wheels[name].iterdir()}
    assert (wheels[name] / package / "py.typed").is_file()
    assert (REPOSITORY / "LICENSE").read_text() == (wheels[name] / info / "licenses" / "LICENSE").read_text()


def test_the_shared_wheel_holds_the_status_page(wheels: dict[str, zipfile.Path]) -> None:
    """The files of the page are installed, not only those of Python."""
    page = wheels["dirsync"] / "dirsync" / "runtime" / "page" / "web"
    source = REPOSITORY / "shared" / "src" / "dirsync" / "runtime" / "page" / "web"

    assert {file.name: file.read_text() for file in source.iterdir()} == {
        file.name: file.read_text() for file in page.iterdir()
    }


@pytest.mark.parametrize("name", ["dirsync-server", "dirsync-client"])
def test_a_service_needs_the_shared_package_of_its_own_version(wheels: dict[str, zipfile.Path], name: str) -> None:
    """A service and a shared package of different versions cannot be installed together."""
    needed = headers(wheels[name]).get_all("Requires-Dist", [])

    assert f"dirsync=={dirsync.__version__}" in needed


@pytest.mark.parametrize("name", LOCKS)
def test_locks_agree(name: str) -> None:
    """What is tested is what is shipped: every lock has the versions of the development one."""
    dev = locked("dev")

    assert {package: dev[package] for package in locked(name)} == locked(name)


@pytest.mark.parametrize(
    "lock, folders",
    [
        ("server", ["shared", "services/server"]),
        ("client", ["shared", "services/client"]),
        ("dev", list(DISTRIBUTIONS.values())),
    ],
)
def test_locks_satisfy_what_is_declared(lock: str, folders: list[str]) -> None:
    """Every declared dependency is locked at a version that its bound allows."""
    versions = locked(lock)
    wanted = [requirement for folder in folders for requirement in declared(folder, extras=lock == "dev")]
    wrong = [str(r) for r in wanted if not r.specifier.contains(versions.get(canonicalize_name(r.name), "0"))]

    assert [] == wrong


def test_extras_are_in_no_image() -> None:
    """What only an extra needs is not installed unless it is asked for."""
    found = {name for lock in ("server", "client") for name in locked(lock) if name.startswith("opentelemetry")}

    assert set() == found


def test_the_server_needs_nothing_that_only_the_client_uses() -> None:
    """The server's image has no progress display. Both watch: the server its replica, where sessions are two-way."""
    actual = locked("server").keys() & {"watchdog", "rich"}

    assert {"watchdog"} == actual


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_hash_and_no_address(name: str) -> None:
    """A lock says what to install, not where from."""
    text = (REPOSITORY / "requirements" / f"{name}.txt").read_text()
    blocks = re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]

    assert [] == [block for block in blocks if "--hash=sha256:" not in block]
    assert not re.search(r"://|--index|--find-links| @ ", text)


@pytest.mark.needs("git")
def test_no_file_names_a_registry_or_this_machine() -> None:
    """Other clones have other mirrors and other paths."""
    word = re.compile("|".join(map(re.escape, HOSTS + MACHINE_PATHS)).encode())
    found = [str(path.relative_to(REPOSITORY)) for path in tracked_files() if word.search(path.read_bytes())]

    assert [] == found


@pytest.mark.needs("git")
def test_no_other_lock_is_committed() -> None:
    """The lock that uv writes names a registry on every line."""
    assert [] == [path for path in tracked_files() if path.name == "uv.lock"]


def test_copies_are_equal() -> None:
    """What must lie in several places is the same in all of them."""
    licences = {(REPOSITORY / folder / "LICENSE").read_bytes() for folder in (".", *DISTRIBUTIONS.values())}
    hooks = {path.read_bytes() for path in REPOSITORY.glob("services/*/hatch_build.py")}

    assert (1, 1) == (len(licences), len(hooks))


def test_no_source_file_is_too_long() -> None:
    """A file that outgrows its room holds two things."""
    long = {
        str(path.relative_to(REPOSITORY)): lines
        for path in own_sources()
        if (lines := len(path.read_text().splitlines())) > MAX_LINES
    }

    assert {} == long


def test_ci_calls_what_people_call() -> None:
    """CI passes exactly when the commands of CONTRIBUTING pass, the first ring of tests on a bare machine."""
    commands = re.findall(r"^(?:\.ci/bare )?make .+", (REPOSITORY / ".ci" / "run").read_text(), re.MULTILINE)

    assert [".ci/bare make test", "make check", "make coverage", "make test-all"] == commands
