"""The programs as users and scripts see them: what is printed where, what it predicts, and how it ends."""

import json
import os
import re
import shutil
import signal
import stat
from pathlib import Path

import pytest

from dirsync import __version__
from dirsync.limits import KIB
from tests.support.running.programs import Pair, Service, Setting, run_command
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, Link, Spec, build, differences, look

pytestmark = pytest.mark.programs

TREE: Spec = {"d/a": "1", "d/b": "2", "large": File(random_bytes(200 * KIB)), "link": Link("d")}


def everything(place: Path) -> dict[str, tuple[int, int, int, bytes]]:
    """Everything that shows writes below a directory."""
    return {
        str(path.relative_to(place)): (
            path.lstat().st_ino,
            path.lstat().st_mtime_ns,
            path.lstat().st_ctime_ns,
            path.read_bytes() if stat.S_ISREG(path.lstat().st_mode) else b"",
        )
        for path in [place, *sorted(place.rglob("*"))]
    }


class TestPlan:
    """What a sync would do."""

    def test_predicts_and_writes_nothing(self, pair: Pair) -> None:
        """A plan names each operation that ``once`` then does, and neither side nor STATE_DIR is touched by it."""
        pair.server()
        build(pair.source, TREE)
        pair.once()
        shutil.rmtree(pair.source / "d")
        (pair.source / "large").chmod(0o600)
        build(pair.source, {"link2": Link("x"), "new/file": File(random_bytes(9 * KIB)), "d": "a file now"})
        places = [pair.source, pair.replica, pair.place / "client-state"]
        before = [everything(place) for place in places]
        plan = pair.command("plan", "--json")
        after = [everything(place) for place in places]
        done = pair.once()
        planned = sorted((step["operation"], step["path"]) for step in plan.json["operations"])

        assert (0, 0) == (plan.code, done.code)
        assert before == after
        assert [
            ("delete", "d/a"),
            ("delete", "d/b"),
            ("make_directory", "new"),
            ("put_file", "d"),
            ("put_file", "new/file"),
            ("put_symlink", "link2"),
            ("set_metadata", "large"),
        ] == planned
        assert 9 * KIB + len("a file now") == plan.json["bytes"] == done.event("sync.completed")["literal_bytes"]
        assert 2 == done.event("sync.completed")["deletes"]
        assert [] == differences(pair.source, pair.replica)

    def test_before_the_first_sync(self, pair: Pair) -> None:
        """A plan needs no STATE_DIR and makes none; with nothing to do it says so."""
        pair.server()
        empty = pair.command("plan")
        build(pair.source, TREE)
        plan = pair.command("plan")

        assert (0, "nothing to do\n") == (empty.code, empty.stdout)
        assert 0 == plan.code
        assert re.search(r"^put_file +large  \(whole, 204800 bytes: new\)$", plan.stdout, re.MULTILINE)
        assert plan.stdout.endswith("5 operations, 204802 bytes to send, 0 held\n")
        assert not (pair.place / "client-state").exists()
        assert [] == list(pair.replica.iterdir())


class TestVerify:
    """Whether both sides are equal."""

    def test_names_what_differs(self, pair: Pair) -> None:
        """Each path that differs is named with how; equal trees say so; nothing is written."""
        pair.server()
        build(pair.source, TREE)
        pair.once()
        equal = pair.command("verify")
        (pair.replica / "d/a").unlink()
        (pair.replica / "d/b").write_text("3")
        (pair.replica / "large").chmod(0o777)
        build(pair.replica, {"more": "x"})
        before = everything(pair.replica)
        different = pair.command("verify", "--json")
        found = {line["path"]: line["difference"] for line in different.json["differences"]}

        assert 0 == equal.code
        assert equal.stdout.startswith("equal, 5 entries, root digest ")
        assert 5 == different.code
        assert not different.json["equal"]
        assert {
            "d/a": "only in the source",
            "d/b": "content differs",
            "large": "metadata differs",
            "more": "only in the replica",
        } == found
        assert before == everything(pair.replica)

    def test_deep_reads_again(self, pair: Pair) -> None:
        """``--deep`` reads all content on both sides, whatever indexes know."""
        pair.server()
        build(pair.source, TREE)
        pair.once()
        shallow, deep = pair.command("verify", "--json"), pair.command("verify", "--deep", "--json")

        assert (0, 0) == (shallow.code, deep.code)
        assert (0, 200 * KIB + 2) == (shallow.json["bytes_read_by_server"], deep.json["bytes_read_by_server"])
        assert deep.json["source_digest"] == deep.json["replica_digest"]


class TestStatus:
    """``status`` and ``health`` ask the running programs."""

    def test_in_sync_and_not(self, pair: Pair) -> None:
        """Exit codes say: in sync, problems, no agent; health says alive and ready; stdout has only data."""
        server = pair.server(max_file_size="100KiB")
        client = pair.client()
        good = client.command("status")
        told = client.command("status", "--json").json
        metrics = {side: f"127.0.0.1:{side.http_port}" for side in (server, client)}
        healthy = [side.command("health", "--ready", metrics_listen=at) for side, at in metrics.items()]
        build(pair.source, {"large": File(random_bytes(200 * KIB))})
        client.wait_for("file.problem")
        problem = client.command("status", "--json")
        client.stop()
        gone = client.command("status")
        dead = client.command("health", metrics_listen=metrics[client])

        assert 0 == good.code
        assert re.search(r"^in sync +yes$", good.stdout, re.MULTILINE)
        assert told["in_sync"]
        assert [0, 0] == [each.code for each in healthy]
        assert 4 == problem.code
        assert ["large"] == [each["path"] for each in problem.json["problems"]]
        assert (1, "") == (gone.code, gone.stdout)
        assert 1 == len(gone.messages)
        assert "DIRSYNC_CLIENT_LISTEN" in gone.messages[0]
        assert 1 == dead.code


class TestProgram:
    """What all commands have in common."""

    @pytest.mark.parametrize("service", list(Service))
    def test_version(self, tmp_path: Path, service: Service) -> None:
        """``--version`` is data: on stdout, with exit code 0."""
        result = run_command(service, ["--version"], {}, tmp_path)

        assert (0, f"dirsync-{service} {__version__}\n", []) == (result.code, result.stdout, result.messages)

    @pytest.mark.parametrize("arguments", [["once", "--blok-size", "4KiB"], ["onse"], ["approve"], ["verify", "deep"]])
    def test_unknown_words(self, tmp_path: Path, arguments: list[str]) -> None:
        """What is not understood is one line on stderr and exit code 2; nothing is made."""
        result = run_command(Service.CLIENT, arguments, {}, tmp_path)

        assert (2, "", 1) == (result.code, result.stdout, len(result.messages))
        assert result.messages[0].startswith("dirsync-client: ")
        assert [] == list(tmp_path.iterdir())

    def test_data_and_messages(self, pair: Pair) -> None:
        """``once`` says on stdout how it ended, with ``--json`` as one object; stderr is the log's."""
        pair.server()
        build(pair.source, TREE)
        told, said = pair.once("--json"), pair.once()

        assert 1 == told.stdout.count("\n")
        assert json.loads(told.stdout)["in_sync"]
        assert told.event("sync.completed")["root_digest"] == told.json["root_digest"]
        assert 1 == said.stdout.count("\n")
        assert said.stdout.startswith("in sync, ")
        assert [] == said.messages

    def test_flags_are_settings(self, pair: Pair) -> None:
        """A flag says the same as its variable, and wins over it."""
        pair.server()
        build(pair.source, TREE)
        other = pair.place / "other"
        build(other, {"x": "1"})
        result = pair.once("--source", str(other), "--compression=none", compression="gzip")

        assert 0 == result.code
        assert {"x"} == look(pair.replica).keys()

    @pytest.mark.case("L03")
    @pytest.mark.parametrize(
        "service,setting,value,words",
        [
            (Service.CLIENT, "block_size", "4 bananas", ["DIRSYNC_CLIENT_BLOCK_SIZE", "4 bananas"]),
            (Service.CLIENT, "settle", "50", ["DIRSYNC_CLIENT_SETTLE", "50"]),
            (Service.CLIENT, "compression", "lzma", ["DIRSYNC_CLIENT_COMPRESSION", "zstd"]),
            (Service.CLIENT, "blok_size", "4KiB", ["DIRSYNC_CLIENT_BLOK_SIZE", "DIRSYNC_CLIENT_BLOCK_SIZE"]),
            (Service.CLIENT, "source", "/nowhere/at/all", ["DIRSYNC_CLIENT_SOURCE", "/nowhere/at/all"]),
            (Service.CLIENT, "state_dir", "/proc/no", ["DIRSYNC_CLIENT_STATE_DIR", "uid"]),
            (Service.CLIENT, "tls_ca_file", "/nowhere.pem", ["DIRSYNC_CLIENT_TLS_CA_FILE", "No such file"]),
            (Service.CLIENT, "server", "example.org:50051", ["DIRSYNC_CLIENT_SERVER", "DIRSYNC_CLIENT_INSECURE"]),
            (Service.SERVER, "listen", "0.0.0.0:0", ["DIRSYNC_SERVER_LISTEN", "DIRSYNC_SERVER_INSECURE"]),
            (Service.SERVER, "listen", "here", ["DIRSYNC_SERVER_LISTEN", "here"]),
            (Service.SERVER, "fsync", "sometimes", ["DIRSYNC_SERVER_FSYNC", "batch"]),
            (Service.SERVER, "root", "", ["DIRSYNC_SERVER_ROOT", "empty"]),
            (Service.SERVER, "token_file", "/nowhere", ["DIRSYNC_SERVER_TOKEN_FILE", "No such file"]),
            (Service.SERVER, "root", "/proc/no", ["DIRSYNC_SERVER_ROOT", "/proc/no"]),
        ],
    )
    def test_bad_setting(self, tmp_path: Path, service: Service, setting: str, value: str, words: list[str]) -> None:
        """A bad setting is one line that names the variable and what is wrong, and exit code 2."""
        (tmp_path / "source").mkdir()
        defaults: dict[str, Setting] = {"state_dir": tmp_path / "state", "metrics_listen": "127.0.0.1:0"}
        defaults |= {"source": tmp_path / "source"} if service is Service.CLIENT else {"root": tmp_path / "replica"}
        command = "once" if service is Service.CLIENT else "serve"
        result = run_command(service, [command], {**defaults, setting: value}, tmp_path)

        assert (2, "", 1) == (result.code, result.stdout, len(result.messages)), result
        assert [] == [word for word in words if word not in result.messages[0]]


class TestTwice:
    """Two programs that want the same thing."""

    def test_same_port(self, pair: Pair, tmp_path: Path) -> None:
        """A second server on a port that is taken ends with one line and exit code 2."""
        server = pair.server()
        other: dict[str, Setting] = {"root": tmp_path / "other", "state_dir": tmp_path / "other-state"}
        on_port = server.command("serve", **other, metrics_listen="127.0.0.1:0")
        on_http = server.command("serve", **other, listen="127.0.0.1:0", metrics_listen=f"127.0.0.1:{server.http_port}")

        for result, name in ((on_port, "LISTEN"), (on_http, "METRICS_LISTEN")):
            assert (2, 1) == (result.code, len(result.messages))
            assert f"DIRSYNC_SERVER_{name}" in result.messages[0]

    def test_same_root(self, pair: Pair, tmp_path: Path) -> None:
        """A second server on the same replica ends with one line and exit code 2; the first one goes on."""
        server = pair.server()
        second = server.command("serve", listen="127.0.0.1:0", metrics_listen="127.0.0.1:0", state_dir=tmp_path / "s")
        build(pair.source, TREE)

        assert (2, 1) == (second.code, len(second.messages))
        assert "DIRSYNC_SERVER_ROOT" in second.messages[0]
        assert 0 == pair.once().code

    def test_once_beside_run(self, pair: Pair) -> None:
        """``once`` beside a live client of the same source ends with exit code 1 and suggests SyncNow."""
        pair.server()
        build(pair.source, TREE)
        client = pair.client()
        result = pair.once()

        assert (1, 1) == (result.code, len(result.messages))
        assert "SyncNow" in result.messages[0]
        assert client.status()["in_sync"]


class TestSignals:
    """Signals to stop."""

    @pytest.mark.case("L05")
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    @pytest.mark.needs("privileged")
    def test_as_first_process(self, pair: Pair, number: signal.Signals) -> None:
        """As PID 1 of a container both end well on SIGTERM and SIGINT, in time, and leave no child behind."""
        inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]
        server = pair.server(prefix=inside)
        build(pair.source, TREE)
        client = pair.client(prefix=inside)
        for process in (client, server):
            (first,) = _children(process.pid)
            os.kill(first, number)

            assert 0 == process.wait()
            process.log.wait_for(f"{process.service}.stopping", reason=number.name)
            assert not Path(f"/proc/{first}").exists()
        assert [] == differences(pair.source, pair.replica)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
