"""What a person sees on a terminal: few lines where very many paths differ, and how a first sync advances."""

import os
import pty
import re
import subprocess
import sys
import threading
from typing import Any

import pytest

from tests.support.running.programs import Pair, Service, environment
from tests.support.running.waiting import until
from tests.support.trees.trees import build

pytestmark = pytest.mark.programs

MANY = 100_000
QUIET: dict[str, Any] = {"rescan_interval": "1h", "delete_settle": "100ms"}


def lines_of(pair: Pair, *command: str) -> list[str]:
    """What a command prints."""
    return pair.command(*command).stdout.splitlines()


def test_few_differences(pair: Pair) -> None:
    """Ten differences are listed one by one."""
    build(pair.source, {f"d{number % 3}/f{number}": "content" for number in range(10)})
    pair.server()
    planned, verified = lines_of(pair, "plan"), lines_of(pair, "verify")

    assert [True] * 10 == [any(f"d{n % 3}/f{n}  (" in line for line in planned) for n in range(10)]
    assert [True] * 10 == [any(line.endswith(f"d{n % 3}/f{n}") for line in verified) for n in range(10)]


def test_very_many_differences(pair: Pair) -> None:
    """A hundred thousand differences are a screen of directories with counts, and all of them if that is asked for."""
    for directory in range(100):
        (pair.source / f"modules/{directory}").mkdir(parents=True)
        for number in range(MANY // 100):
            (pair.source / f"modules/{directory}/{number}").touch()
    build(pair.source, {"src/main": "content"})
    pair.server()
    planned, verified = lines_of(pair, "plan"), lines_of(pair, "verify")
    everything = lines_of(pair, "verify", "--all")

    for lines in (planned, verified):
        assert len(lines) < 60
        assert any(re.match(r"modules/ +100,[01]00 ", line) for line in lines)
        assert any("--all lists them" in line for line in lines)
    assert len(everything) > MANY


@pytest.mark.parametrize("way", ["first", "edited", "renamed", "in a renamed directory"])
def test_explain_says_how_it_travelled(pair: Pair, way: str) -> None:
    """The way of the last transfer, its reason, and what was sent are told of a path."""
    content = os.urandom(1 << 20)
    build(pair.source, {"d/file": content})
    pair.server()
    client = pair.client(**QUIET)
    client.wait_until_in_sync()
    path, expected = "d/file", ("whole", "new")
    if way == "edited":
        with (pair.source / "d/file").open("r+b") as file:
            file.write(b"edited")
        expected = ("delta", "similar")
    if way == "renamed":
        (pair.source / "d/file").rename(pair.source / "d/other")
        path, expected = "d/other", ("rename", "same_file")
    if way == "in a renamed directory":
        (pair.source / "d").rename(pair.source / "e")
        path, expected = "e/file", ("rename", "same_file")

    def travel() -> tuple[str, str] | None:
        found = client.command("explain", "--json", path).json["travel"]
        return found and (found["strategy"], found["reason"])

    until(lambda: travel() == expected, f"{path} to have travelled by {expected}")
    text = client.command("explain", path).stdout

    assert f" ago as {expected[0]} ({expected[1].replace('_', ' ')})" in text


def test_nothing_is_known_of_what_never_travelled(pair: Pair) -> None:
    """Of what was there before the client started nothing is told."""
    build(pair.source, {"file": "content"})
    pair.server()
    pair.once()
    client = pair.client(**QUIET)
    client.wait_until_in_sync()

    assert client.command("explain", "--json", "file").json["travel"] is None


def test_progress(pair: Pair) -> None:
    """A sync on a terminal shows files, bytes, rate and time left while it goes on, and nothing of that stays."""
    for number in range(8):
        (pair.source / f"f{number}").write_bytes(os.urandom(2 << 20))
    pair.server()
    settings = pair.client_settings | {"bandwidth_limit": "8MiB", "compression": "none"}
    master, slave = pty.openpty()
    os.set_blocking(slave, True)
    with subprocess.Popen(
        [sys.executable, "-m", "dirsync_client", "once"],
        env=environment(Service.CLIENT, settings) | {"TERM": "xterm", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=slave,
    ) as process:
        os.close(slave)
        seen = bytearray()
        reader = threading.Thread(target=_read, args=(master, seen))
        reader.start()
        code = process.wait(60)
        reader.join(10)
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode(errors="replace"))

    assert 0 == code
    assert re.search(r"syncing .* \d/8 files \d+\.\d/16\.8 MB \d+\.\d MB/s 0:00:0\d", text), text[-2000:]


def _read(descriptor: int, seen: bytearray) -> None:
    """Read until the other side is closed."""
    try:
        while part := os.read(descriptor, 1 << 16):
            seen.extend(part)
    except OSError:
        return
