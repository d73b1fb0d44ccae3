"""A project of docker compose in a directory of its own, as in a clone of this repository."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.outside.engine import Container, docker, try_docker
from tests.support.outside.manifests import REPOSITORY
from tests.support.running.waiting import until
from tests.support.trees.trees import differences, equal

UP_SECONDS = 100.0
PORTS = [
    f"{service}_PORT"
    for service in (
        *("SERVER", "SERVER_METRICS", "CLIENT", "CLIENT_METRICS", "PROMETHEUS"),
        *("SERVER_TLS", "SERVER_TLS_METRICS", "CLIENT_TLS", "CLIENT_TLS_METRICS"),
    )
]


def copy_repository(place: Path) -> None:
    """Every file that is committed or about to be."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (REPOSITORY / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, place / name)


class Project:
    """What a person does with ``docker compose`` in a clone; ports are free ones, images those of the session."""

    def __init__(self, place: Path, name: str, tag: str) -> None:
        """``place`` is a directory, and gets what compose needs at run time."""
        self.place = place
        self.source = place / "data" / "source"
        self.replica = place / "data" / "replica"
        self.environment = {"COMPOSE_PROJECT_NAME": name, "IMAGE_TAG": tag, **dict.fromkeys(PORTS, "0")}
        shutil.copy2(REPOSITORY / "docker-compose.yml", place)
        shutil.copytree(REPOSITORY / "deploy", place / "deploy", ignore=shutil.ignore_patterns("__pycache__"))

    def compose(self, *arguments: str, seconds: float = UP_SECONDS) -> str:
        """A command that must succeed; its stdout."""
        return docker("compose", *arguments, environment=self.environment, place=self.place, seconds=seconds)

    def try_compose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that may fail."""
        return try_docker("compose", *arguments, environment=self.environment, place=self.place, seconds=UP_SECONDS)

    def up(self, *arguments: str, profile: str = "") -> None:
        """``docker compose up --detach --wait``."""
        self.compose(*([f"--profile={profile}"] if profile else []), "up", "--detach", "--wait", *arguments)

    def down(self, *arguments: str) -> None:
        """``docker compose down``, whatever runs."""
        self.compose("--profile=*", "down", "--remove-orphans", *arguments)

    @property
    def user(self) -> str:
        """The user of the services."""
        return f"{self.environment.get('PUID', 65532)}:{self.environment.get('PGID', 65532)}"

    def override(self, service: str, definition: Mapping[str, Any]) -> None:
        """Add to the definition of a service by an override file, as users do."""
        text = json.dumps({"services": {service: definition}})
        (self.place / "docker-compose.override.yml").write_text(text)

    def container(self, service: str) -> Container:
        """The container of a service, running or not."""
        (container,) = self.containers(service)
        return container

    def containers(self, service: str) -> list[Container]:
        """All containers of a service, running or not."""
        project = self.environment["COMPOSE_PROJECT_NAME"]
        labels = {"project": project, "service": service}
        filters = [f"--filter=label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        return [Container(name) for name in docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()]

    def port(self, service: str, number: int) -> int:
        """Where a port of a service is published on this machine's loopback."""
        return self.container(service).port(number)

    def until_equal(self, seconds: float = 20.0) -> None:
        """Wait until the replica is what the source is, with nothing beside it."""
        until(lambda: equal(self.source, self.replica), "source and replica are equal", seconds=seconds)

        assert [] == differences(self.source, self.replica)
