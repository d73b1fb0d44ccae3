"""The profile ``monitoring``: a Prometheus that sees both."""

import http.client
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.containers.project import Project
from tests.support.outside.engine import docker
from tests.support.running.metrics import get
from tests.support.running.waiting import until

STAND_IN = """
FROM {python_image}
RUN install --directory --owner=65534 --group=65534 /prometheus
ENTRYPOINT ["/bin/prometheus"]
"""

pytestmark = pytest.mark.needs("prometheus")


@pytest.fixture
def stand_in(session: str, python_image: str, tmp_path: Path) -> str:
    """An image in the place of the published one, for this machine's Prometheus: nothing is fetched for a test."""
    (tmp_path / "Dockerfile").write_text(STAND_IN.format(python_image=python_image))
    image = f"prometheus:{session}"
    docker("build", "--tag", image, tmp_path, seconds=120)
    return image


def test_targets(running: Project, stand_in: str) -> None:
    """It finds the server and the client by their names, and both answer; services that do not run are no targets."""
    program = shutil.which("prometheus")
    assert program is not None, "promtool is here, prometheus is not"
    running.override("prometheus", {"volumes": [f"{os.path.realpath(program)}:/bin/prometheus:ro"]})
    running.environment["PROMETHEUS_IMAGE"] = stand_in
    running.compose("--profile=monitoring", "up", "--detach", "prometheus")
    port = running.port("prometheus", 9090)

    def ask(path: str) -> Any:
        try:
            answer = get(port, f"/api/v1/{path}")
        except (OSError, http.client.HTTPException):
            return None  # it does not listen yet
        return json.loads(answer.body)["data"] if answer.status == 200 else None

    def health() -> dict[str, str]:
        found = ask("targets")
        return {target["labels"]["job"]: target["health"] for target in found["activeTargets"]} if found else {}

    expected = {"dirsync-server": "up", "dirsync-client": "up"}
    until(lambda: health() == expected, "both are scraped", seconds=40)
    until(
        lambda: (ask("query?query=dirsync_in_sync==1") or {}).get("result"),
        "the client says that it is in sync",
        seconds=40,
    )

    # It looks up the names again every few seconds, and then a target is "unknown" until it is scraped.
    until(lambda: health() == expected, "both are scraped, and nothing else", seconds=40)
