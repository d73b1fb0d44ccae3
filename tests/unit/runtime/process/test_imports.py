"""What a short run loads."""

import subprocess
import sys

import pytest

HEAVY = ["numpy", "rich", "prometheus_client", "grpc_reflection", "http.server", "watchdog", "re2", "zstandard"]
WITHOUT_GRPC = [*HEAVY, "grpc", "structlog"]
TWO_WAY = ["dirsync_client.receive.reception", "dirsync_client.reconcile.two_way.two_way", "dirsync.fs.write"]


@pytest.mark.parametrize(
    "modules, heavy",
    [
        (
            (
                "dirsync.runtime.process.cli, dirsync.runtime.log.logging, dirsync.runtime.metrics.metrics, "
                "dirsync_client.settings"
            ),
            HEAVY,
        ),
        ("dirsync.runtime.process.cli, dirsync.runtime.http.health, dirsync_client.settings", WITHOUT_GRPC),
        ("dirsync.runtime.process.cli, dirsync.runtime.http.health, dirsync_server.settings", WITHOUT_GRPC),
        ("dirsync_client.commands.once", TWO_WAY),
        ("dirsync_server.app", ["watchdog"]),
    ],
)
def test_start_is_light(modules: str, heavy: list[str]) -> None:
    """What every command needs loads none of the libraries that only some need."""
    code = f"import sys, {modules}; print(*[name for name in {heavy!r} if name in sys.modules])"

    assert b"\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout


def test_hidden_modules_come_back() -> None:
    """What is hidden from structlog can be imported by us afterwards."""
    code = "import dirsync.runtime.log.logging, rich.progress; print(rich.progress.Progress.__name__)"

    assert b"Progress\n" == subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
