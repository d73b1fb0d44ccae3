"""``scripts/run.py`` with stand-ins for the two services: real processes that print, wait and end on request."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RUN = Path(__file__).resolve().parents[2] / "scripts" / "run.py"

SERVICE = """
import os, signal, sys

# Waited for, not handled: a signal that comes just before a sleep begins would be handled after it.
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
print("{name}.started", file=sys.stderr)
stopped = signal.sigtimedwait([signal.SIGTERM], float(os.environ.get("{name}_SECONDS", "60")))
sys.exit(int(os.environ.get("{name}_STOPS" if stopped else "{name}_ENDS", "0")))
"""

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the script in an empty directory, with settings for the stand-ins."""
    started: list[subprocess.Popen[str]] = []
    for name in ("server", "client"):
        (tmp_path / f"dirsync_{name}").mkdir()
        (tmp_path / f"dirsync_{name}" / "__init__.py").touch()
        (tmp_path / f"dirsync_{name}" / "__main__.py").write_text(SERVICE.format(name=name))

    def start(**settings: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(RUN)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": "", **settings},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.terminate()


def output_until(process: subprocess.Popen[str], line: str) -> list[str]:
    """Lines up to the one that is waited for."""
    assert process.stdout is not None
    lines: list[str] = []
    while line not in lines:
        read = process.stdout.readline()
        assert read, f"ended before it said {line!r}: {lines}"
        lines.append(read.rstrip("\n"))
    return lines


def test_the_client_starts_after_the_server(start: Start, tmp_path: Path) -> None:
    """Both directories are there, and the client is started when the server has said that it serves."""
    lines = output_until(start(), "client | client.started")

    assert ["server | server.started", "client | client.started"] == lines
    assert (tmp_path / "dirsync_from").is_dir()
    assert (tmp_path / "dirsync_to").is_dir()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_both_well(start: Start, number: signal.Signals) -> None:
    """Asked to stop, it ends both and succeeds if both did."""
    process = start()
    output_until(process, "client | client.started")
    process.send_signal(number)
    rest, _ = process.communicate(timeout=20)

    assert (0, "") == (process.returncode, rest)


def test_a_service_that_stops_badly_is_told(start: Start) -> None:
    """Asked to stop, it passes on the exit status of a service that failed while stopping."""
    process = start(server_STOPS="4")
    output_until(process, "client | client.started")
    process.terminate()
    process.communicate(timeout=20)

    assert 4 == process.returncode


def test_a_server_that_cannot_start_ends_it(start: Start) -> None:
    """No client is started beside a server that ended at once, such as for a port that is taken."""
    process = start(server_SECONDS="0", server_ENDS="2")
    output, _ = process.communicate(timeout=20)

    assert 2 == process.returncode
    assert "the server ended by itself with exit status 2" in output


@pytest.mark.parametrize("status, expected", [("3", 3), ("0", 1)])
def test_a_client_that_ends_takes_the_server_along(start: Start, status: str, expected: int) -> None:
    """One that ends unasked ends both; that it thought itself done is no success."""
    process = start(client_SECONDS="0.1", client_ENDS=status)
    output, _ = process.communicate(timeout=20)

    assert expected == process.returncode
    assert f"the client ended by itself with exit status {status}" in output


def test_it_ends_when_nobody_reads_its_output(start: Start) -> None:
    """``make run | head`` leaves no services behind."""
    process = start()
    assert process.stdout is not None
    process.stdout.close()

    assert 0 == process.wait(20)
