"""What the guards hold in single syncs, how that is reported, and how it is approved."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults.privileges import bind_mount, tmpfs, unmount, without_override
from tests.support.running.programs import Pair, Result
from tests.support.running.waiting import until
from tests.support.trees.trees import Spec, build, differences, equal, look

pytestmark = pytest.mark.programs

FILES: Spec = {f"d{number % 3}/f{number}": f"content {number}" for number in range(17)}
"""With the three directories 20 entries: enough for shares to count."""


def synced(pair: Pair, spec: Spec = FILES) -> None:
    """A server that runs, and a replica that has what the source has."""
    pair.server()
    build(pair.source, spec)

    assert pair.once().code == 0


def hold(result: Result) -> dict[str, object]:
    """The one hold that ``once --json`` reports."""
    assert result.code == 3
    (only,) = result.json["holds"]
    assert isinstance(only, dict)
    return only


def remove(pair: Pair, count: int) -> None:
    """Take so many files out of the source."""
    for path in sorted(path for path in pair.source.rglob("*") if path.is_file())[:count]:
        path.unlink()


class TestRoot:
    """The source directory is not what it was."""

    @pytest.mark.case("G01")
    @pytest.mark.needs("privileged")
    def test_unmounted(self, pair: Pair) -> None:
        """An empty mount point deletes nothing: held, with a word on how to go on; once mounted again, all is well."""
        with tmpfs(pair.source):
            synced(pair)
            unmount(pair.source)
            before = look(pair.replica)
            result = pair.once("--json")

            assert "root_changed" == hold(result)["guard"]
            assert f"dirsync-client approve {hold(result)['id']}" in str(hold(result)["message"])
            assert before == look(pair.replica)

    @pytest.mark.case("G01")
    def test_emptied(self, pair: Pair) -> None:
        """A source that lost everything, its directory being the same one, deletes nothing."""
        synced(pair, {"a": "1", "b": "2"})
        remove(pair, 2)
        result = pair.once("--json")

        assert "root_emptied" == hold(result)["guard"]
        assert {"a", "b"} == look(pair.replica).keys()

    @pytest.mark.case("G03")
    def test_deleted(self, pair: Pair) -> None:
        """A source that is gone is refused at start, with its name and setting, and nothing is deleted."""
        synced(pair)
        before = look(pair.replica)
        shutil.rmtree(pair.source)
        result = pair.once()

        assert 2 == result.code
        (line,) = result.messages
        assert "DIRSYNC_CLIENT_SOURCE" in line
        assert str(pair.source) in line
        assert before == look(pair.replica)

    @pytest.mark.case("G04", "G08")
    @pytest.mark.parametrize("becomes", ["file", "symlink"])
    def test_retyped(self, pair: Pair, becomes: str) -> None:
        """A source that became a file or a symbolic link is refused at start, and nothing is deleted."""
        synced(pair)
        before = look(pair.replica)
        pair.source.rename(pair.place / "moved")
        if becomes == "file":
            pair.source.touch()
        else:
            pair.source.symlink_to(pair.place / "moved")
        result = pair.once()

        assert 2 == result.code
        (line,) = result.messages
        assert "DIRSYNC_CLIENT_SOURCE" in line
        assert before == look(pair.replica)

    @pytest.mark.case("G05")
    @pytest.mark.needs("privileged")
    def test_other_directory(self, pair: Pair) -> None:
        """Another directory under the source's name may add, but not delete; its approval makes it the source."""
        synced(pair)
        other = pair.place / "other"
        build(other, {"new": "from the other"})
        with bind_mount(other, pair.source):
            held = hold(pair.once("--json"))

            assert "root_changed" == held["guard"]
            assert {*FILES, "new"} <= look(pair.replica).keys()
            assert 0 == pair.once("--approve", str(held["id"])).code
            assert differences(other, pair.replica) == []
        back = hold(pair.once("--json"))

        assert "root_changed" == back["guard"]

    @pytest.mark.case("G09")
    @pytest.mark.needs("privileged")
    def test_unreadable(self, pair: Pair) -> None:
        """A source that may not be read is refused by name; it is not taken for an empty one."""
        synced(pair)
        before = look(pair.replica)
        pair.source.chmod(0)
        result = pair.once(prefix=without_override())
        pair.source.chmod(0o755)

        assert 2 == result.code
        assert str(pair.source) in result.messages[0]
        assert before == look(pair.replica)

    @pytest.mark.case("G10")
    @pytest.mark.needs("privileged")
    def test_mounted_over(self, pair: Pair) -> None:
        """What a mount hides is kept from one run to the next; approved, it is what the mount has that counts."""
        synced(pair)
        with tmpfs(pair.source / "d0"):
            build(pair.source, {"d0/new": "in the mount"})
            held = hold(pair.once("--json"))

            assert "mount_changed" == held["guard"]
            assert {*FILES, "d0/new"} <= look(pair.replica).keys()
            assert held["id"] == hold(pair.once("--json"))["id"]
            assert 0 == pair.once("--approve", str(held["id"])).code
            assert differences(pair.source, pair.replica) == []
            (pair.source / "d0/new").unlink()
            assert 0 == pair.once().code
            assert differences(pair.source, pair.replica) == []
        assert 0 == pair.once().code
        assert differences(pair.source, pair.replica) == []

    @pytest.mark.case("G10")
    @pytest.mark.needs("privileged")
    def test_mount_inside(self, pair: Pair) -> None:
        """What a file system below the source held is kept when it is unmounted, and only that; approval deletes it."""
        mounted = pair.source / "disk"
        with tmpfs(mounted):
            synced(pair, {**FILES, "disk/inner/a": "1", "disk/b": "2"})
            unmount(mounted)
            (pair.source / "d0/f0").unlink()
            held = hold(pair.once("--json"))

            assert "mount_changed" == held["guard"]
            assert {"disk/inner/a", "disk/b"} <= look(pair.replica).keys()
            assert not (pair.replica / "d0/f0").exists()
            assert 0 == pair.once("--approve", str(held["id"])).code
            assert differences(pair.source, pair.replica) == []


class TestLimits:
    """More deletes than are likely intended."""

    @pytest.mark.case("G06")
    @pytest.mark.parametrize(
        "setting, guard", [({}, "delete_percent"), ({"guard_max_delete_count": 10}, "delete_count")]
    )
    def test_held(self, pair: Pair, setting: dict[str, Any], guard: str) -> None:
        """Too large a share or number of deletes waits as a whole, while everything else is synced."""
        synced(pair)
        remove(pair, 14)
        build(pair.source, {"d0/new": "added", "d2/f8": "changed"})
        result = pair.once("--json", **setting)

        assert guard == hold(result)["guard"]
        assert 14 == result.event("guard.held")["paths"]
        assert guard == result.event("guard.held")["guard"]
        assert {*FILES} <= look(pair.replica).keys()
        assert "added" == (pair.replica / "d0/new").read_text()
        assert "changed" == (pair.replica / "d2/f8").read_text()

    @pytest.mark.case("G06")
    @pytest.mark.parametrize(
        "count, setting",
        [(10, {}), (12, {"guard_max_delete_percent": 60})],
    )
    def test_within(self, pair: Pair, count: int, setting: dict[str, Any]) -> None:
        """Deletes within the limits go without a question."""
        synced(pair)
        remove(pair, count)
        result = pair.once(**setting)

        assert 0 == result.code
        assert count == result.event("sync.completed")["deletes"]
        assert differences(pair.source, pair.replica) == []

    @pytest.mark.case("G06")
    def test_plan_and_approve(self, pair: Pair) -> None:
        """``plan`` and ``once`` tell the same hold, of the same paths, and ``once --approve`` deletes exactly them."""
        synced(pair)
        remove(pair, 12)
        planned = pair.command("plan", "--json")

        assert 0 == planned.code
        (announced,) = planned.json["holds"]
        assert {path for path in FILES if not (pair.source / path).exists()} == set(announced["path_texts"])
        assert hold(pair.once("--json"))["id"] == announced["id"]
        result = pair.once("--approve", announced["id"])

        assert 0 == result.code
        assert 12 == result.event("sync.completed")["deletes"]
        assert differences(pair.source, pair.replica) == []

    @pytest.mark.case("G06")
    def test_approved_list_only(self, pair: Pair) -> None:
        """An approval is for the paths that were listed: one more delete and it counts for nothing, and is kept."""
        synced(pair)
        remove(pair, 12)
        approved = str(hold(pair.once("--json"))["id"])
        remove(pair, 1)
        again = pair.once("--approve", approved, "--json")

        assert approved != hold(again)["id"]
        assert {*FILES} <= look(pair.replica).keys()
        assert 0 == pair.once("--approve", str(hold(again)["id"])).code
        assert differences(pair.source, pair.replica) == []

    @pytest.mark.case("G06")
    def test_approve_for_the_next_run(self, pair: Pair) -> None:
        """Where no client runs, ``approve`` is kept for the next one, and used up by it."""
        synced(pair)
        remove(pair, 12)
        held = str(hold(pair.once("--json"))["id"])
        approved = pair.command("approve", held)

        assert 0 == approved.code
        assert 0 == pair.once().code
        assert differences(pair.source, pair.replica) == []
        build(pair.source, FILES)
        assert 0 == pair.once().code
        remove(pair, 12)
        assert held == hold(pair.once("--json"))["id"]

    @pytest.mark.case("G06")
    def test_approve_other(self, pair: Pair) -> None:
        """The id of no hold releases nothing, and what is no id is refused."""
        synced(pair)
        remove(pair, 12)

        assert 3 == pair.once("--approve", "0123456789abcdef").code
        assert 2 == pair.once("--approve", "nonsense").code
        assert 2 == pair.once("--approve", "").code
        assert {*FILES} <= look(pair.replica).keys()

    @pytest.mark.case("G06")
    def test_dissolves(self, pair: Pair) -> None:
        """A hold is gone when its reason is: the files came back."""
        synced(pair)
        remove(pair, 12)
        hold(pair.once("--json"))
        build(pair.source, FILES)

        assert 0 == pair.once().code
        assert differences(pair.source, pair.replica) == []


class TestForeign:
    """The first sync into a replica that has other things in it."""

    @pytest.fixture
    def strange(self, pair: Pair) -> Pair:
        """A source that shares two of its three files' names with a replica that has much else."""
        build(pair.source, {"mine": "mine", "shared/new": "mine too", "shared/both": "mine as well"})
        theirs = {f"theirs{number}": "theirs" for number in range(9)}
        build(pair.replica, {**theirs, "shared/both": "theirs, longer"})
        pair.server()
        return pair

    @pytest.mark.case("G07")
    def test_held(self, strange: Pair) -> None:
        """What is new is created; deletes and overwrites wait."""
        result = strange.once("--json")

        assert "foreign" == hold(result)["guard"]
        assert 10 == result.event("guard.held")["paths"]
        assert "mine" == (strange.replica / "mine").read_text()
        assert "mine too" == (strange.replica / "shared/new").read_text()
        assert "theirs, longer" == (strange.replica / "shared/both").read_text()
        assert (strange.replica / "theirs0").exists()

    @pytest.mark.case("G07")
    def test_stays_held(self, strange: Pair) -> None:
        """It is as foreign the next time, though by then the replica has all that the source has."""
        first = hold(strange.once("--json"))
        second = hold(strange.once("--json"))

        assert first["id"] == second["id"]
        assert "foreign" == second["guard"]

    @pytest.mark.case("G07")
    def test_approved(self, strange: Pair) -> None:
        """Approved, by the id that ``plan`` gave before anything was touched, it goes, and is known from then on."""
        (announced,) = strange.command("plan", "--json").json["holds"]
        result = strange.once("--approve", announced["id"])

        assert 0 == result.code
        assert differences(strange.source, strange.replica) == []
        build(strange.source, {"shared/both": "edited"})
        assert 0 == strange.once().code
        assert "edited" == (strange.replica / "shared/both").read_text()

    @pytest.mark.case("G07")
    def test_directory_in_the_way(self, pair: Pair) -> None:
        """A file takes the place of a foreign directory only with the approval of that directory's deletion."""
        build(pair.source, {"data": "a file"})
        build(pair.replica, {"data/kept": "theirs"})
        pair.server()
        held = hold(pair.once("--json"))

        assert {"data", "data/kept"} == look(pair.replica).keys()
        assert 0 == pair.once("--approve", str(held["id"])).code
        assert differences(pair.source, pair.replica) == []

    @pytest.mark.case("G07")
    def test_known(self, pair: Pair) -> None:
        """A replica that is mostly what the source is was its replica before: differences are synced at once."""
        build(pair.source, FILES)
        build(pair.replica, {**FILES, "d0/old": "left over"})
        pair.server()

        assert 0 == pair.once().code
        assert differences(pair.source, pair.replica) == []


class TestReplica:
    """Another process writes the replica."""

    @pytest.mark.case("G11")
    def test_repaired_between(self, pair: Pair) -> None:
        """What was edited, removed or added by hand between two syncs is found by the second and made good."""
        server = pair.server()
        build(pair.source, FILES)
        assert 0 == pair.once().code
        vandalise(pair.replica)

        # The server looks again at what it has when a session opens, but not all the time.
        until(lambda: pair.once().code == 0 and equal(pair.source, pair.replica), "repaired")
        assert server.log.complaints() == []

    @pytest.mark.case("G11")
    def test_repaired_after_a_restart(self, pair: Pair) -> None:
        """What was done to the replica while no server ran is found by the next one."""
        server = pair.server()
        build(pair.source, FILES)
        assert 0 == pair.once().code
        server.stop()
        vandalise(pair.replica)
        pair.server()

        assert 0 == pair.once().code
        assert differences(pair.source, pair.replica) == []


def vandalise(replica: Path) -> None:
    """Each kind of edit that a user may make at the replica."""
    (replica / "d0/f0").write_text("edited by hand")
    (replica / "d1/f1").unlink()
    shutil.rmtree(replica / "d2")
    build(replica, {"stray": "added by hand", "d0/stray/deep": "added by hand"})
    (replica / "d0/f3").chmod(0o600)
