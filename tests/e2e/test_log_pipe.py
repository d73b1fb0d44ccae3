"""Programs whose log nobody reads, or whose log is a file in what they mirror."""

import fcntl
import os
import signal
import subprocess

import pytest

from tests.support.programs import Pair
from tests.support.waiting import until

SECONDS = 30


@pytest.mark.programs
def test_nobody_reads_the_log(pair: Pair) -> None:
    """A client whose log pipe is full mirrors what comes, and ends in time with exit code 0."""
    server = pair.server()
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    client = subprocess.Popen(pair.client_command("run", server), stderr=writing, stdout=writing)
    os.close(writing)
    for number in range(300):
        (pair.source / f"file-{number}").write_text(str(number))
    until(lambda: 300 == len(list(pair.replica.glob("file-*"))), SECONDS)
    (pair.source / "late").write_text("x")
    until((pair.replica / "late").exists, SECONDS)
    client.send_signal(signal.SIGTERM)

    assert 0 == client.wait(SECONDS)
    os.close(reading)
