"""Mounts in the source and in the replica, while both programs run or between two starts of one."""

from pathlib import Path

import pytest

from tests.support.faults.privileges import bind_mount, tmpfs, umount
from tests.support.running.programs import Pair, Service, Setting, run_command
from tests.support.running.waiting import until
from tests.support.trees.trees import build, differences, equal, look

pytestmark = [pytest.mark.programs, pytest.mark.needs("privileged")]


def test_mounted_file(pair: Pair) -> None:
    """A file that is a mount of its own is followed, whoever writes to it and by which name."""
    pair.server()
    build(pair.source, {"conf": "", "other": "1"})
    elsewhere = pair.place / "elsewhere"
    elsewhere.write_text("first")
    with bind_mount(elsewhere, pair.source / "conf"):
        client = pair.client(rescan_interval="1h")
        assert "first" == (pair.replica / "conf").read_text()
        elsewhere.write_text("second")
        until(lambda: (pair.replica / "conf").read_text() == "second", "the new content")
    until(lambda: (pair.replica / "conf").read_text() == "", "what the mount hid")
    client.wait_until_in_sync()


class TestReplica:
    """Something is mounted in the replica."""

    @pytest.mark.parametrize("at", ["d", "d/f"])
    def test_mounted_over(self, pair: Pair, at: str) -> None:
        """What is mounted there is not touched, and is told; once it is gone, all is as it was and goes on."""
        pair.server()
        build(pair.source, {"d/f": "1", "d/g": "2", "a": "3", **{f"n{number}": "" for number in range(9)}})
        assert 0 == pair.once().code
        other = pair.place / "other"
        build(other, {"foreign": "not ours"})
        mounted = other if at == "d" else other / "foreign"
        with bind_mount(mounted, pair.replica / at):
            build(pair.source, {"a": "4"})
            told = pair.once("--json")

            assert 4 == told.code
            assert [at] == [problem["path"] for problem in told.json["problems"]]
            assert "unmount it" in told.json["problems"][0]["message"]
            assert "4" == (pair.replica / "a").read_text()
            assert {"foreign"} == look(other).keys()
            assert "not ours" == (other / "foreign").read_text()
            umount(pair.replica / at)
        again = pair.once("--json")

        assert 0 == again.code
        assert differences(pair.source, pair.replica) == []

    def test_volume_is_missing(self, pair: Pair) -> None:
        """A server whose replica's file system is not mounted says so and ends: nothing is written in its place."""
        with tmpfs(pair.replica, size="200m"):
            server = pair.server()
            build(pair.source, {"a": "1", "b": "2"})
            assert 0 == pair.once().code
            server.stop()
        assert [] == list(Path(pair.replica).iterdir())
        told: dict[str, Setting] = {
            "listen": pair.server_address,
            "metrics_listen": "127.0.0.1:0",
            "state_dir": pair.place / "server-state",
            "root": pair.replica,
        }
        refused = run_command(Service.SERVER, ["serve"], told, pair.place)

        assert 2 == refused.code
        assert "not any more: mount it again" in refused.messages[-1]
        with tmpfs(pair.replica, size="200m"):
            pair.server()
            assert 0 == pair.once().code
            assert equal(pair.source, pair.replica)
