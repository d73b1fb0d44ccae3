"""One build of both images for all tests here, and one project that runs; whatever they start is gone at the end.

Processes of a parallel run each ask for a build: the engine does the work of equal ones once.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.e2e.containers.project import Project, copy_repository
from tests.support.outside.engine import clean_up, docker

BUILD_SECONDS = 500.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test waits for the images; nothing else here takes long."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.needs("docker", "git"))
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


@pytest.fixture(scope="session")
def session() -> Iterator[str]:
    """The name of this run: the value of its label, the tag of its images."""
    name = f"test-{secrets.token_hex(4)}"
    yield name
    clean_up(name)


@pytest.fixture(scope="session")
def images(session: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Both images by their service, built as ``docker compose build`` does in a fresh clone."""
    clone = tmp_path_factory.mktemp("clone")
    copy_repository(clone)
    environment = {"IMAGE_TAG": session, "COMPOSE_PROJECT_NAME": session}
    docker("compose", "build", environment=environment, place=clone, seconds=BUILD_SECONDS)
    return {service: f"dirsync-{service}:{session}" for service in ("server", "client")}


@pytest.fixture(scope="session")
def python_image() -> str:
    """What the images are built on."""
    return os.environ.get("PYTHON_IMAGE", "python:3.13-slim-bookworm")


Clones = Callable[[], AbstractContextManager[Project]]


@pytest.fixture(scope="session")
def clones(session: str, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Clones:
    """Makes compose projects, each in a directory of its own; nothing of one runs yet, nor any more at its end."""
    assert images

    @contextmanager
    def clone() -> Iterator[Project]:
        place = tmp_path_factory.mktemp("project")
        project = Project(place, f"{session}-{secrets.token_hex(2)}", session)
        try:
            yield project
        finally:
            project.down("--volumes", "--timeout=3")

    return clone


@pytest.fixture
def project(clones: Clones) -> Iterator[Project]:
    """A compose project of the test's own."""
    with clones() as project:
        yield project


@pytest.fixture(scope="session")
def running(clones: Clones) -> Iterator[Project]:
    """A compose project that is up: for tests that look, add files of their own, or leave it as they found it."""
    with clones() as project:
        if os.geteuid() != 0:  # the user of this process may read what the containers write
            project.environment |= {"PUID": str(os.geteuid()), "PGID": str(os.getegid())}
        project.up()
        yield project
