"""``explain PATH`` and the untracked paths of ``status``: nothing is left out by a rule that nobody sees."""

import os
import socket
from typing import Any

import pytest

from tests.support.running.programs import Client, Pair, Result
from tests.support.running.waiting import until
from tests.support.trees.trees import File, Link, build

pytestmark = pytest.mark.programs

QUIET: dict[str, Any] = {"rescan_interval": "1h", "delete_settle": "100ms"}
SILLY = ".nfs" + "0" * 15 + "1" + "00000001"
"""The name that the NFS client gives to a file that was removed while it was open."""


def explained(client: Client, path: str) -> dict[str, Any]:
    """What the running client says of a path."""
    result = client.command("explain", "--json", path)
    found: dict[str, Any] = result.json
    return found


def told(client: Client, path: str) -> tuple[int, str]:
    """The exit status, and what is printed for people."""
    result: Result = client.command("explain", path)
    return result.code, result.stdout


def test_equal_and_left_out(pair: Pair) -> None:
    """What is equal, what is ignored and by which rule, what is untracked and why, and what is nowhere."""
    build(pair.source, {"f": File(b"content", 0o640), "d/x": "x", "link": Link("f"), "build/deep/o": "o", "a.log": "l"})
    os.mkfifo(pair.source / "pipe")
    build(pair.source, {SILLY: "silly"})
    pair.server()
    client = pair.client(ignore="*.log,build/", **QUIET)
    client.wait_until_in_sync()
    states = {
        path: explained(client, path)["state"]
        for path in ("f", "d", "d/x", "link", "build", "build/deep/o", "a.log", "pipe", SILLY, "nowhere")
    }
    file, ignored = explained(client, "f"), explained(client, "build/deep/o")
    code, text = told(client, str(pair.source / "pipe"))

    assert {
        "f": "equal",
        "d": "equal",
        "d/x": "equal",
        "link": "equal",
        "build": "ignored",
        "build/deep/o": "ignored",
        "a.log": "ignored",
        "pipe": "untracked",
        SILLY: "untracked",
        "nowhere": "absent",
    } == states
    assert ("file", "0640", 7) == tuple(file["source"][name] for name in ("kind", "mode", "size"))
    assert file["source"]["digest"] == file["replica"]["digest"]
    assert ("build/", None, None) == (ignored["rule"], ignored["source"], ignored["replica"])
    assert "'build/' leaves build alone" in ignored["message"]
    assert (0, True) == (code, "a FIFO" in text)


def test_status_names_untracked(pair: Pair) -> None:
    """``status`` and ``once`` name the first untracked paths and say why; what is gone is named no more."""
    build(pair.source, {"f": "f", SILLY: "silly", "d/": None})
    os.mkfifo(pair.source / "d/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(pair.source / "sock"))
    pair.server()
    client = pair.client(**QUIET)
    client.wait_until_in_sync()
    first = client.status()
    text = client.command("status").stdout
    (pair.source / "sock").unlink()
    (pair.source / "d/pipe").unlink()
    build(pair.source, {"d/pipe": "a file now"})
    until(lambda: client.status()["untracked"] == 1, "what is gone is not counted")
    last = client.status()
    client.stop()
    again = pair.once("--json").json

    assert 3 == first["untracked"]
    assert [(SILLY, "removed_on_nfs"), ("d/pipe", "fifo"), ("sock", "socket")] == [
        (shown["path"], shown["kind"]) for shown in first["untracked_paths"]
    ]
    assert "d/pipe: a FIFO" in text
    assert [SILLY] == [shown["path"] for shown in last["untracked_paths"]]
    assert (1, [SILLY]) == (again["untracked"], [shown["path"] for shown in again["untracked_paths"]])
    assert "a file now" == (pair.replica / "d/pipe").read_text()


def test_many_untracked(pair: Pair) -> None:
    """Of many untracked paths the first ten are named, and all are counted."""
    for number in range(25):
        os.mkfifo(pair.source / f"pipe-{number:02}")
    pair.server()
    client = pair.client(**QUIET)
    status, text = client.status(), client.command("status").stdout

    assert (25, 10) == (status["untracked"], len(status["untracked_paths"]))
    assert "and 15 more" in text


def test_problem_held_and_pending(pair: Pair) -> None:
    """A problem and a hold are explained with their messages, and what a server that is away does not have yet."""
    build(pair.source, {f"d/{number}": "x" for number in range(40)} | {"f": "f"})
    server = pair.server()
    client = pair.client(**QUIET)
    client.wait_until_in_sync()
    for number in range(35):
        (pair.source / f"d/{number}").unlink()
    until(lambda: client.status()["holds"], "they are held")
    held = explained(client, "d/3")
    os.mkfifo(pair.replica / "blocked")
    build(pair.source, {"blocked": "b"})
    until(lambda: explained(client, "blocked")["state"] == "problem", "it is a problem")
    problem = client.command("explain", "--json", "blocked")
    server.stop()
    build(pair.source, {"late": "late"})
    until(lambda: explained(client, "late")["state"] == "pending", "it is seen")
    code, _ = told(client, "late")

    assert "held" == held["state"]
    assert client.status()["holds"][0]["id"] in held["message"]
    assert (None, "file") == (held["source"], held["replica"]["kind"])
    assert 4 == problem.code
    assert 5 == code


@pytest.mark.parametrize("path", ["/elsewhere", "../x", "a//b", ""])
def test_no_path_of_the_source(pair: Pair, path: str) -> None:
    """A path that no source can have is a wrong argument."""
    assert 2 == pair.command("explain", path).code


def test_nobody_runs(pair: Pair) -> None:
    """Without a running client there is nobody to ask."""
    result = pair.command("explain", "f")

    assert 1 == result.code
    assert any("is one running?" in line for line in result.messages)


class TestRenamedAway:
    """A file that gets a name that is left out."""

    def test_ignored_content_keeps_its_directory(self, pair: Pair) -> None:
        """Directories that hold only ignored content stay as they are on both sides, live and at a start."""
        build(pair.source, {"cache/a.o": "here", "src/a.c": "c", "src/a.o": "o", "kept/f": "f"})
        build(pair.replica, {"cache/b.o": "there", "other/c.o": "there"})
        pair.server()
        client = pair.client(ignore="*.o", **QUIET)
        client.wait_until_in_sync()
        (pair.source / "src/a.c").unlink()
        until(lambda: not (pair.replica / "src").exists() or not list((pair.replica / "src").iterdir()), "it is gone")
        client.wait_until_in_sync()

        assert "there" == (pair.replica / "cache/b.o").read_text()
        assert "there" == (pair.replica / "other/c.o").read_text()
        assert "o" == (pair.source / "src/a.o").read_text()
        assert "ignored" == explained(client, "cache/a.o")["state"]

    @pytest.mark.parametrize("name", [SILLY, "f.bak"])
    def test_not_silently(self, pair: Pair, name: str) -> None:
        """The delete at the replica is logged with the name that the file has now, and why that one is left out."""
        build(pair.source, {"f": "content", "g": "other"})
        pair.server()
        client = pair.client(ignore="*.bak", **QUIET)
        client.wait_until_in_sync()
        (pair.source / "f").rename(pair.source / name)
        event = client.wait_for("file.left_out", path="f")

        assert name == event["name"]
        assert event["problem"]
        until(lambda: not (pair.replica / "f").exists(), "it is gone there")
