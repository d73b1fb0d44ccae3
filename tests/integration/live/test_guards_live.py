"""What the guards hold while a client runs: at once or trickling, how it shows, and how it is released."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults.privileges import bind_mount, tmpfs, umount, unmount, without_override
from tests.support.running.programs import Client, Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import Link, Spec, build, differences, equal, look

pytestmark = pytest.mark.programs

FILES: Spec = {f"d{number % 3}/f{number}": f"content {number}" for number in range(17)}
"""With the three directories 20 entries: enough for shares to count."""
QUICK: dict[str, Any] = {"delete_settle": "150ms", "rescan_interval": "1s"}
"""Settings of a client that reacts soon."""


def live(pair: Pair, spec: Spec = FILES, **settings: str) -> Client:
    """A server and a client that runs, both sides equal."""
    pair.server()
    build(pair.source, spec)
    client = pair.client(**{**QUICK, **settings})

    assert differences(pair.source, pair.replica) == []
    return client


def remove(pair: Pair, count: int) -> None:
    """Take so many files out of the source."""
    for path in files(pair.source)[:count]:
        path.unlink()


def files(root: Path) -> list[Path]:
    """All files below a directory."""
    return sorted(path for path in root.rglob("*") if path.is_file())


def wait_until_equal(pair: Pair) -> None:
    """Return when the replica is what the source is."""
    until(lambda: equal(pair.source, pair.replica), "replica equal to the source")


class TestRoot:
    """The source directory is not what it was."""

    @pytest.mark.case("G02")
    def test_emptied_at_once(self, pair: Pair) -> None:
        """A source that loses everything while it is watched loses nothing at the replica."""
        client = live(pair, {"a": "1", "b/c": "2"})
        before = look(pair.replica)
        for path in (pair.source / "a", pair.source / "b"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        held = client.wait_for("guard.held")

        assert ("root_emptied", 3) == (held["guard"], held["paths"])
        assert before == look(pair.replica)

    @pytest.mark.case("G02")
    def test_emptied_bit_by_bit(self, pair: Pair) -> None:
        """Removals that trickle in, each while the last still settles, are judged together: none of them is done."""
        client = live(pair, delete_settle="500ms")
        before = look(pair.replica)
        for path in files(pair.source):
            path.unlink()
            time.sleep(0.02)  # the trickle itself
        for path in sorted(pair.source.iterdir()):
            path.rmdir()
        held = client.wait_for("guard.held", guard="root_emptied")

        assert 20 == held["paths"]
        assert before == look(pair.replica)

    @pytest.mark.case("G02", "G06")
    def test_emptied_slowly(self, pair: Pair) -> None:
        """Removals slow enough to be judged one by one still go to the limit and no further, to the very last one."""
        client = live(pair, delete_settle="20ms")
        for count, path in enumerate(files(pair.source)):
            path.unlink()
            if count < 10:
                client.wait_for("file.deleted", path=str(path.relative_to(pair.source)))
        for path in sorted(pair.source.iterdir()):
            path.rmdir()
        held = client.wait_for("guard.held", guard="root_emptied")

        assert 10 == held["paths"]
        assert 10 == len(look(pair.replica))
        assert 10 == len(client.log.all("file.deleted"))

    @pytest.mark.case("G01", "G05")
    @pytest.mark.needs("privileged")
    def test_unmounted(self, pair: Pair) -> None:
        """An empty mount point where the source was deletes nothing while the client runs."""
        with tmpfs(pair.source):
            client = live(pair)
            before = look(pair.replica)
            unmount(pair.source)
            held = client.wait_for("guard.held", guard="root_changed")

            assert 20 == held["paths"]
            assert "dirsync-client approve" in held["problem"]
            assert before == look(pair.replica)

    @pytest.mark.case("G03", "G04")
    @pytest.mark.parametrize(
        "becomes",
        [
            "nothing",
            "another",
            pytest.param("file", marks=pytest.mark.slow),
            pytest.param("symlink", marks=pytest.mark.slow),
        ],
    )
    def test_gone(self, pair: Pair, becomes: str) -> None:
        """A source that vanishes or becomes something else deletes nothing; that what it was is back ends the hold."""
        client = live(pair)
        before = look(pair.replica)
        moved = pair.place / "moved"
        pair.source.rename(moved)
        for path in moved.iterdir():
            shutil.rmtree(path)
        if becomes == "file":
            pair.source.touch()
        elif becomes == "symlink":
            pair.source.symlink_to(moved)
        elif becomes == "another":
            pair.source.mkdir()
        client.wait_for("guard.held", guard="root_changed")

        assert before == look(pair.replica)
        assert 3 == client.command("status").code
        if becomes in ("nothing", "another"):
            build(pair.source, FILES)
            client.wait_for("guard.released")
            wait_until_equal(pair)
            client.wait_until_in_sync()

    @pytest.mark.case("F04")
    def test_made_again(self, pair: Pair) -> None:
        """A source that is removed and made again, as by a build, is followed: files that differ, go and come later."""
        client = live(pair, rescan_interval="1h")
        for turn in ("second", "third"):
            shutil.rmtree(pair.source)
            build(pair.source, {path: f"{turn} {path}" for path in FILES} | {f"d1/{turn}": ""})
            wait_until_equal(pair)
            client.wait_until_in_sync()
            build(pair.source, {"d0/later": turn})
            wait_until_equal(pair)

    @pytest.mark.case("G05")
    @pytest.mark.needs("privileged")
    def test_covered(self, pair: Pair) -> None:
        """A directory mounted over the source deletes nothing; when the source shows again, all goes on."""
        client = live(pair)
        before = look(pair.replica)
        other = pair.place / "other"
        other.mkdir()
        with bind_mount(other, pair.source):
            client.wait_for("guard.held", guard="root_changed")

            assert before == look(pair.replica)
        client.wait_for("guard.released", guard="root_changed")
        build(pair.source, {"after": "the end"})
        wait_until_equal(pair)

    @pytest.mark.case("G09")
    @pytest.mark.needs("privileged")
    def test_unreadable(self, pair: Pair) -> None:
        """A source that may not be read any more is a problem, not an empty source; it ends with the reason."""
        pair.server()
        build(pair.source, FILES)
        client = pair.client(prefix=without_override(), **QUICK)
        before = look(pair.replica)
        pair.source.chmod(0)
        client.wait_for("file.problem", kind="unreadable")

        assert 4 == client.command("status").code
        assert before == look(pair.replica)
        pair.source.chmod(0o755)
        client.wait_until_in_sync()

    @pytest.mark.case("G10")
    @pytest.mark.needs("privileged")
    def test_mount_inside(self, pair: Pair) -> None:
        """A file system that is unmounted below the source keeps its files at the replica; other deletes go."""
        mounted = pair.source / "disk"
        with tmpfs(mounted):
            client = live(pair, {**FILES, "disk/inner/a": "1", "disk/b": "2"})
            unmount(mounted)
            held = client.wait_for("guard.held", guard="mount_changed")
            (pair.source / "d0/f0").unlink()
            client.wait_for("file.deleted", path="d0/f0")

            assert 3 == held["paths"]
            assert {"disk/inner/a", "disk/b"} <= look(pair.replica).keys()

    @pytest.mark.case("G10")
    @pytest.mark.needs("privileged")
    def test_mounted_over(self, pair: Pair) -> None:
        """What a mount hides is not deleted; it keeps nobody from unmounting, and then all goes on by itself."""
        client = live(pair, rescan_interval="1h")
        before = look(pair.replica)
        with tmpfs(pair.source / "d0"):
            held = client.wait_for("guard.held", guard="mount_changed")

            assert 6 == held["paths"]
            assert before.keys() == look(pair.replica).keys()
            umount(pair.source / "d0")
            client.wait_for("guard.released")
            client.wait_until_in_sync()
        (pair.source / "d0/f0").unlink()
        client.wait_for("file.deleted", path="d0/f0")
        wait_until_equal(pair)


class TestLimits:
    """More deletes than are likely intended."""

    @pytest.mark.case("G06")
    def test_shows_and_everything_else_flows(self, pair: Pair) -> None:
        """A hold shows in log, status, readiness and metrics with one id, while other changes go on."""
        client = live(pair)
        remove(pair, 12)
        held = client.wait_for("guard.held", guard="delete_percent")
        build(pair.source, {"new": "added meanwhile"})
        client.wait_for("file.synced", path="new")

        assert 12 == held["paths"]
        assert set(FILES) <= look(pair.replica).keys()
        status = client.command("status", "--json")
        assert 3 == status.code
        assert [held["hold"]] == [hold["id"] for hold in status.json["holds"]]
        assert held["hold"] in client.command("status").stdout
        until(lambda: client.get("/readyz").status == 503, "not ready")
        assert held["hold"] in client.get("/readyz").body
        assert 200 == client.get("/livez").status
        assert 1 == client.command("health", "--ready").code
        metrics = client.metrics()
        assert 1 == metrics.value("dirsync_holds")
        assert 0 == metrics.value("dirsync_in_sync")
        assert {"delete_percent": 1.0} == {
            guard: count for guard, count in metrics.sums("dirsync_guard_holds_total", "guard").items() if count
        }

    @pytest.mark.case("G06")
    def test_approve(self, pair: Pair) -> None:
        """An approval through the agent deletes the listed paths; then the hold is over everywhere."""
        client = live(pair)
        remove(pair, 12)
        held = client.wait_for("guard.held")
        approved = client.command("approve", held["hold"])

        assert (0, "released 12 paths\n") == (approved.code, approved.stdout)
        client.wait_for("guard.released", hold=held["hold"])
        wait_until_equal(pair)
        client.wait_until_in_sync()
        until(lambda: client.metrics().value("dirsync_holds") == 0, "no hold in the metrics")
        until(lambda: client.get("/readyz").status == 200, "ready")

    @pytest.mark.case("G06")
    def test_approve_exactly(self, pair: Pair) -> None:
        """An id stands for its paths: after another delete the old id still releases its own."""
        client = live(pair)
        remove(pair, 12)
        first = client.wait_for("guard.held")
        remove(pair, 3)
        second = client.wait_for("guard.held", paths=15)
        approved = client.command("approve", first["hold"])

        assert first["hold"] != second["hold"]
        assert 0 == approved.code
        assert "released 12 paths; not approved, because they came since then: " in approved.stdout
        wait_until_equal(pair)

    @pytest.mark.case("G06")
    def test_approved_for_the_next_run(self, pair: Pair) -> None:
        """An approval that was given while no client ran is used by the next one."""
        client = live(pair)
        remove(pair, 12)
        held = client.wait_for("guard.held")
        client.stop()
        approved = client.command("approve", held["hold"])

        assert 0 == approved.code
        assert "next run" in approved.messages[0]
        again = pair.client(**QUICK)
        wait_until_equal(pair)
        assert [] == again.log.all("guard.held")

    @pytest.mark.case("G06")
    def test_dissolves(self, pair: Pair) -> None:
        """A hold dissolves by itself when so many of its files come back that the rest is within the limits."""
        client = live(pair)
        gone = files(pair.source)[:12]
        content = {str(path.relative_to(pair.source)): path.read_bytes() for path in gone}
        remove(pair, 12)
        held = client.wait_for("guard.held")
        build(pair.source, dict(list(content.items())[:5]))

        client.wait_for("guard.released", hold=held["hold"])
        wait_until_equal(pair)
        until(lambda: 7 == len(client.log.all("file.deleted")), "seven deletes in the log")

    @pytest.mark.case("G06")
    def test_made_again(self, pair: Pair) -> None:
        """A directory that is removed and made again with most names, as npm does, needs no person and no rescan."""
        client = live(pair, {"a": "", **{f"modules/{k}": "old" for k in range(30)}}, rescan_interval="1h")
        shutil.rmtree(pair.source / "modules")
        client.wait_for("guard.held", guard="delete_percent")
        build(pair.source, {f"modules/{k}": "new" for k in range(28)})

        wait_until_equal(pair)
        client.wait_until_in_sync()
        assert [] == client.status()["holds"]

    @pytest.mark.case("G06")
    def test_over_seconds(self, pair: Pair) -> None:
        """Deletes that each are within the limit count together within the window: the excess is held."""
        client = live(pair)
        remove(pair, 6)
        until(lambda: len(client.log.all("file.deleted")) == 6, "six deletes")
        remove(pair, 6)
        held = client.wait_for("guard.held")

        assert ("delete_percent", 6) == (held["guard"], held["paths"])
        assert 14 == len(look(pair.replica))

    @pytest.mark.case("G06")
    def test_lock_file(self, pair: Pair) -> None:
        """A file that comes and goes all the time takes nothing away, so its deletes are never too many."""
        client = live(pair, delete_settle="20ms")
        for _ in range(12):
            mark = client.log.mark()
            build(pair.source, {"lock": "held"})
            client.wait_for("file.synced", since=mark, path="lock")
            (pair.source / "lock").unlink()
            client.wait_for("file.deleted", since=mark, path="lock")

        assert [] == client.log.all("guard.held")

    @pytest.mark.case("G06")
    def test_agent_token(self, pair: Pair) -> None:
        """If the agent requires a token, no hold is approved without it."""
        token = pair.place / "token"
        token.write_text("correct horse battery staple\n")
        token.chmod(0o600)
        wrong = pair.place / "wrong"
        wrong.write_text("a guess that is long enough\n")
        wrong.chmod(0o600)
        client = live(pair, agent_token_file=str(token))
        remove(pair, 12)
        held = client.wait_for("guard.held")
        refused = client.command("approve", held["hold"], agent_token_file=wrong)

        assert 1 == refused.code
        assert 1 == client.metrics().value("dirsync_rejected_total", reason="unauthenticated")
        assert "guess" not in str(client.wait_for("auth.rejected"))
        assert set(FILES) <= look(pair.replica).keys()
        assert 0 == client.command("approve", held["hold"]).code
        wait_until_equal(pair)


class TestForeign:
    """The first sync into a replica that has other things in it."""

    @pytest.mark.case("G07")
    def test_held_until_approved(self, pair: Pair) -> None:
        """Additions go at once and go on going, what the replica had stays until it is approved."""
        build(pair.source, {"mine": "mine", "both": "mine as well"})
        build(pair.replica, {**{f"theirs{number}": "theirs" for number in range(9)}, "both": "theirs, longer"})
        pair.server()
        client = pair.client(**QUICK)
        held = client.wait_for("guard.held", guard="foreign")
        build(pair.source, {"later": "mine too"})
        client.wait_for("file.synced", path="later")

        assert "theirs, longer" == (pair.replica / "both").read_text()
        assert "mine" == (pair.replica / "mine").read_text()
        assert 0 == client.command("approve", held["hold"]).code
        wait_until_equal(pair)


class TestReplica:
    """Another process writes the replica."""

    @pytest.mark.case("G11")
    def test_found_by_rescan(self, pair: Pair) -> None:
        """Edits, removals and additions by hand are found by the periodic look at both sides, repaired and counted."""
        server = pair.server()
        build(pair.source, FILES)
        client = pair.client(**QUICK)
        mark = client.log.mark()
        (pair.replica / "d0/f0").write_text("edited by hand")
        (pair.replica / "d1/f1").unlink()
        shutil.rmtree(pair.replica / "d2")
        build(pair.replica, {"stray/deep": "added by hand"})
        (pair.replica / "d0/f3").chmod(0o600)
        completed = client.wait_for("sync.completed", since=mark)

        assert 2 == completed["deletes"]
        assert server.metrics().value("dirsync_rescan_found_total") >= 6
        assert differences(pair.source, pair.replica) == []
        client.wait_until_in_sync()

    @pytest.mark.case("G11")
    def test_found_by_precondition(self, pair: Pair) -> None:
        """A change that finds something else than was planned for is not applied: it is reported, and planned again."""
        client = live(pair, rescan_interval="1h")
        for name in ("f0", "f3", "f6", "f9"):
            (pair.replica / "d0" / name).unlink()
        (pair.replica / "d0/f3").write_text("edited by hand")
        build(pair.replica, {"d0/f6/strange": "a directory", "d0/f9": Link("f12")})
        build(pair.source, {f"d0/{name}": "edited at the source" for name in ("f0", "f3", "f6", "f9")})
        wait_until_equal(pair)

        metrics = client.metrics()
        # All four have the same content: what is sent of it once is copied to the others. How many are tried before the
        # first answer makes the client look again is a matter of timing.
        changed = (
            metrics.value("dirsync_changes_applied_total", operation=operation, outcome="changed")
            for operation in ("put_file", "copy_content")
        )
        assert sum(changed) >= 1
        client.wait_until_in_sync()
