"""Laptops and a server: what is done on one of them is done on all, and no version is lost."""

import json
import os
import subprocess
import time

import pytest

from tests.integration.two_way.three import Laptops
from tests.support.running.programs import Pair
from tests.support.running.waiting import until

pytestmark = pytest.mark.programs


@pytest.fixture
def laptops(pair: Pair) -> Laptops:
    """Two laptops, running."""
    two = Laptops(pair, 2)
    two.start()
    return two


def test_changes_go_both_ways(laptops: Laptops) -> None:
    """New files, edits, links, modes, directories, renames and removals, from either side."""
    laptops.write("anna", "one", "1")
    laptops.write("ben", "d/two", "2")
    laptops.wait_for("ben", "one", "1")
    laptops.wait_for("anna", "d/two", "2")

    laptops.write("ben", "one", "1b")
    laptops.at("anna", "d/two").chmod(0o600)
    laptops.at("anna", "link").symlink_to("d/two")
    laptops.wait_for("anna", "one", "1b")
    laptops.wait_until_equal()
    assert 0o600 == laptops.at("ben", "d/two").stat().st_mode & 0o777
    assert "d/two" == os.readlink(laptops.at("ben", "link"))

    laptops.at("ben", "d").rename(laptops.at("ben", "e"))
    laptops.remove("anna", "one")
    laptops.wait_for("anna", "e/two", "2")
    laptops.wait_for("ben", "one", None)
    laptops.wait_until_equal()
    assert [] == laptops.conflicts()


def test_a_large_file_takes_what_it_has(laptops: Laptops) -> None:
    """Of a file that another laptop edited in one place, little comes over the wire."""
    content = bytearray(os.urandom(4 * 1024 * 1024))
    laptops.write("anna", "big", bytes(content))
    laptops.wait_for("ben", "big", bytes(content))
    content[1_000_000:1_000_004] = b"edit"
    log = laptops.clients["ben"].log
    until(lambda: len(log.all("file.received", path="big")) == 1, "told")
    with laptops.at("anna", "big").open("r+b") as file:
        file.seek(1_000_000)
        file.write(b"edit")
    until(lambda: len(log.all("file.received", path="big")) == 2, "told again")
    received = log.all("file.received", path="big")[1]

    laptops.wait_until_equal()
    assert bytes(content) == laptops.at("ben", "big").read_bytes()
    assert received["received_bytes"] < 100_000
    assert received["reused_bytes"] > 4_000_000
    metrics, totals = laptops.clients["ben"].metrics(), laptops.clients["ben"].status()["two_way"]
    names = ("changes_total", "bytes_total", "reused_bytes_total", "compression_bytes_total")
    changes, came, reused, compression = (metrics.value(f"dirsync_received_{name}") for name in names)
    told = log.all("file.received")
    assert (changes, came, reused) == (
        2,
        *(sum(event[f] for event in told) for f in ("received_bytes", "reused_bytes")),
    )
    assert reused + compression == sum(event["saved_bytes"] for event in told)
    assert (changes, came, reused + compression) == tuple(totals.values())[:3]


def test_a_conflict_keeps_both(laptops: Laptops) -> None:
    """Both edit a file while they are apart: the younger one has the name, and both are on all sides."""
    laptops.write("anna", "notes.txt", "first")
    laptops.wait_for("ben", "notes.txt", "first")
    laptops.clients["ben"].stop()
    laptops.write("ben", "notes.txt", "from ben")
    os.utime(laptops.at("ben", "notes.txt"), ns=(0, 1_600_000_000 * 10**9))
    laptops.write("anna", "notes.txt", "from anna")
    until(lambda: (laptops.pair.replica / "notes.txt").read_text() == "from anna", "anna's at the server")
    laptops.start("ben")
    laptops.wait_until_equal()

    kept = "notes.conflict-ben-20200913T122640Z.txt"
    assert [kept] == laptops.conflicts()
    assert ("from anna", "from ben") == tuple(laptops.at("anna", name).read_text() for name in ("notes.txt", kept))
    told = laptops.clients["ben"].log.all("conflict.kept")
    assert [("notes.txt", "replica", kept)] == [(event["path"], event["winner"], event["kept_as"]) for event in told]
    assert 1 == laptops.clients["ben"].metrics().value("dirsync_conflicts_total", resolution="keep-both")
    status = laptops.clients["ben"].status()
    page = json.loads(laptops.clients["ben"].get("/status.json").body)["two_way"]
    shown = status["two_way"]["latest_conflicts"]
    assert [("notes.txt", "replica", "keep-both", kept)] == [tuple(found.values())[:4] for found in shown]
    assert [kept] == [found["kept_as"] for found in page["conflicts"]["shown"]]
    printed = laptops.clients["ben"].command("status").stdout
    assert f"conflict       notes.txt: the version of the replica has the name, the other is kept as {kept}" in printed


def test_without_memory_nothing_is_removed(pair: Pair) -> None:
    """Two directories that have never met become their union, and so do they when a state is lost."""
    two = Laptops(pair, 2)
    two.write("anna", "a", "anna")
    two.write("anna", "same", "same")
    two.write("ben", "b", "ben")
    two.write("ben", "same", "same")
    two.start()
    two.wait_until_equal()

    assert {"a", "b", "same"} == {path.name for path in two.at("anna").iterdir()}
    assert [] == two.conflicts()


@pytest.mark.needs("git")
def test_git_on_both_sides(laptops: Laptops) -> None:
    """Commits on one, more on the other: both repositories are whole, and nothing is in conflict."""

    def git(name: str, *arguments: str) -> str:
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", "-c", "gc.auto=0", *arguments]
        return subprocess.run(command, cwd=laptops.at(name, "repo"), check=True, capture_output=True, text=True).stdout

    laptops.at("anna", "repo").mkdir()
    git("anna", "init", "-q", "-b", "main")
    for number in range(20):
        laptops.write("anna", f"repo/file{number}", f"{number}\n" * 50)
    git("anna", "add", ".")
    git("anna", "commit", "-q", "-m", "first")
    laptops.wait_until_equal()

    git("ben", "checkout", "-q", "-b", "work")
    laptops.write("ben", "repo/file3", "other\n")
    git("ben", "commit", "-q", "-a", "-m", "second")
    git("ben", "checkout", "-q", "main")
    git("ben", "merge", "-q", "work")
    laptops.wait_until_equal()

    assert "" == git("anna", "status", "--porcelain")
    assert "2" == git("anna", "rev-list", "--count", "HEAD").strip()
    git("anna", "fsck", "--strict")
    assert [] == laptops.conflicts()


def test_a_client_that_is_killed_while_it_receives(pair: Pair) -> None:
    """Each path is old or new, the next start completes it, and no conflict is invented."""
    two = Laptops(pair, 2)
    two.start()
    for round_ in range(4):
        for number in range(60):
            two.write("anna", f"d{number % 7}/f{number}", f"{round_} {number}\n" * 200)
        if round_:
            two.remove("anna", f"d{round_}")
        until(lambda: bool(two.clients["ben"].log.all("file.received")), "ben receives")
        time.sleep(0.02 * round_)
        two.clients["ben"].kill()
        for path in two.at("ben").rglob("f*"):
            assert path.read_bytes().count(b"\n") == 200, "a part of a file"
        two.start("ben")
        two.wait_until_equal()

    assert [] == two.conflicts()
    assert [] == [path.name for path in two.pair.place.glob(".*dirsync-staging*") if any(path.iterdir())]


def test_an_emptied_server_empties_no_laptop(pair: Pair) -> None:
    """Its removals are held at the laptop, told with their direction, and approved as one list."""
    one = Laptops(pair, 1)
    for number in range(20):
        one.write("anna", f"f{number}", str(number))
    one.start()
    one.wait_until_equal()
    for path in pair.replica.iterdir():
        path.unlink()
    held = one.clients["anna"].wait_for("guard.held")

    assert 20 == len(list(one.at("anna").iterdir()))
    assert "of the source would be removed" in held["problem"]
    status = one.clients["anna"].status()
    assert held["hold"] == status["holds"][0]["id"]
    assert 0 == one.clients["anna"].command("approve", held["hold"]).code
    until(lambda: not list(one.at("anna").iterdir()), "emptied")


def test_an_emptied_laptop_empties_no_server(pair: Pair) -> None:
    """The other way round, as in a mirror."""
    one = Laptops(pair, 1)
    for number in range(20):
        one.write("anna", f"f{number}", str(number))
    one.start()
    one.wait_until_equal()
    for path in one.at("anna").iterdir():
        path.unlink()
    one.clients["anna"].wait_for("guard.held")

    assert 20 == len(list(pair.replica.iterdir()))


def test_three_laptops_at_the_same_time(pair: Pair) -> None:
    """All write at once, in the same directories; all end equal, and each version is somewhere."""
    three = Laptops(pair, 3)
    three.start()
    written: set[str] = set()
    for round_ in range(5):
        for name in three.names:
            for number in range(6):
                content = f"{name} {round_} {number}"
                three.write(name, f"own/{name}/{number}-{round_}", content)
                written.add(content)
            three.write(name, "shared", f"{name} {round_}")
        time.sleep(0.1)
    last = {f"{name} 4" for name in three.names}
    three.wait_until_equal(30)

    held = {path.read_text() for path in pair.replica.rglob("*") if path.is_file()}
    assert written <= held
    assert held & last


def test_a_mirror_and_two_way_exclude_each_other(pair: Pair) -> None:
    """One line says so."""
    two = Laptops(pair, 2)
    two.start("anna")
    refused = pair.once(source=two.at("ben"), state_dir=pair.place / "state-ben")

    assert 1 == refused.code
    assert any("REPLICA_BUSY" in line or "writer" in line or "two-way" in line for line in refused.messages)


def test_a_source_that_cannot_be_written(pair: Pair) -> None:
    """Is refused at once, with one line."""
    one = Laptops(pair, 1)
    settings = one.settings("anna")
    refused = pair.once(**{**settings, "source": "/proc/sys"})

    assert 2 == refused.code
    assert 1 == len(refused.messages)
    assert "DIRSYNC_CLIENT_SOURCE" in refused.messages[0]


@pytest.mark.parametrize("setting", [{"delete": "never"}, {"symlinks": "ignore"}])
def test_settings_that_do_not_go_together(pair: Pair, setting: dict[str, str]) -> None:
    """Both sides could not be equal."""
    one = Laptops(pair, 1)
    refused = pair.once(**{**one.settings("anna"), **setting})

    assert 2 == refused.code
    assert "two-way" in refused.messages[0]


def test_plan_shows_arrows_and_conflicts(pair: Pair) -> None:
    """Before anything is done, and nothing is changed by it."""
    two = Laptops(pair, 2)
    for path in ("a", "b"):
        two.write("anna", path, "1")
    assert [0, 0] == [two.once(name) for name in two.names]
    two.write("ben", "b", "two")
    two.write("ben", "new", "three")
    assert 0 == two.once("ben")
    two.write("anna", "a", "two")
    two.write("anna", "new", "four")
    settings = two.settings("anna")
    told = pair.command("plan", **settings)
    data = pair.command("plan", "--json", **settings).json

    assert "-> put_file       a" in told.stdout
    assert "<- put_file       b" in told.stdout
    assert "conflict: new: the version of the source gets the name" in told.stdout
    assert [("new", "keep-both")] == [(found["path"], found["resolution"]) for found in data["conflicts"]]
    assert ("1", "1") == (two.at("anna", "b").read_text(), (pair.replica / "a").read_text())
    assert [0, 0] == [two.once(name) for name in two.names]
    two.wait_until_equal()
    assert 1 == len(two.conflicts())
