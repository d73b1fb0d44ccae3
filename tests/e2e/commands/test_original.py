"""What the program of the same name did wrong that dirsync follows (FZambia/dirsync): each would fail for it.

What other tests show already is only named here; the rest is below.

| the original | shown by |
|---|---|
| lost every file that was renamed | test_renames.py, integration/test_renames_live.py |
| never sent a file with an old mtime that was moved in, or over another | TestMoved |
| copied what it took for known content without reading it: wrong bytes, reported as synced | test_dedup.py, TestStale |
| "copied" a file onto itself and truncated it | TestReplica.test_touched_after_an_edit_by_hand |
| never came to an end of a burst of atomic saves, or died in it | TestSaves |
| ended at one changed byte in any file over 221 MiB | TestLarge.test_one_byte |
| took 85 s for 8 MiB that were rewritten | TestLarge.test_rewritten |
| took seconds for each 4 KiB in a large file | test_deltas.py |
| ended at 36,000 files with long paths | TestMany; test_sizes.py |
| ended whenever the server was not there, or a file vanished | integration/test_running.py, integration/test_live.py |
| did not watch new directories in new directories | integration/test_live.py, test_directories_made_and_filled |
| ended where TMPDIR was on another file system, and left an empty file | TestReplica.test_temporary_directory |
| left an empty file when it was killed in an upload | integration/test_running.py, test_killed_in_an_upload |
| followed links at the replica, and wrote outside of it | TestReplica.test_link_to_outside |
| stored a mixture of what a file was and what it became | integration/test_live.py, test_written_while_synced |
| emptied the replica with the source | integration/test_guards_live.py |
| lost modes, times and links; ended where a directory became a file | test_mirror.py |
| read every file again, on both sides, at each start | test_frugal.py, test_mirror.py |
| let anybody in | test_access.py |
"""

import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import KIB, MIB
from dirsync.v1 import agent_service_pb2 as apb
from tests.support.peers.wire import AGENT, Wire
from tests.support.running.programs import Client, Pair
from tests.support.running.synced import prove_equal, synced
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.edits import scatter
from tests.support.trees.trees import File, build, differences, equal, look

pytestmark = pytest.mark.programs

OLD_NS = 1_000_000_000_123_456_789
"""A modification time long before any sync."""
QUIET: dict[str, Any] = {"rescan_interval": "1h", "delete_settle": "100ms"}
"""The client learns of changes by events only."""
_numbers = itertools.count()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, Client]]:
    """A pair that runs for the tests that each need but a directory of it; in the end both sides are read again."""
    pair = Pair(tmp_path_factory.mktemp("running") / "pair")
    pair.server()
    yield pair, pair.client(**QUIET)
    until(lambda: equal(pair.source, pair.replica), "replica equal to the source")
    prove_equal(pair)
    wrong = pair.end()

    assert wrong == []


class Place:
    """A directory of its own in a running pair."""

    def __init__(self, pair: Pair, client: Client) -> None:
        self.client = client
        self.name = f"place{next(_numbers)}"
        self.source = pair.source / self.name
        self.replica = pair.replica / self.name
        self.outside = pair.place / f"outside of {self.name}"
        self.source.mkdir()

    def wait_until_equal(self, seconds: float = 15.0) -> None:
        """Return when the replica's directory is what the source's is."""
        until(lambda: equal(self.source, self.replica), "replica equal to the source", seconds=seconds)

    def sync_now(self) -> None:
        """Have the client look at both sides."""
        with Wire(self.client.address) as agent:
            assert agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse).in_sync


@pytest.fixture
def place(running: tuple[Pair, Client]) -> Place:
    """A directory of its own for each test."""
    return Place(*running)


class TestMoved:
    """Files that are older than the last sync, and new where they are."""

    @pytest.mark.parametrize("size", [2 * KIB, 200 * KIB], ids=["small", "large"])
    @pytest.mark.parametrize("to", ["d/new", "there"])
    @pytest.mark.parametrize("within", [False, True], ids=["from outside", "within"])
    def test_old_file(self, place: Place, size: int, to: str, *, within: bool) -> None:
        """An old file that is moved into the tree or within it, to a new name or over another, arrives with its age."""
        build(place.source, {"there": "was there", "d/x": "x"})
        content = random_bytes(size, next(_numbers))
        origin = place.source if within else place.outside
        build(origin, {"old": File(content, mtime_ns=OLD_NS)})
        place.wait_until_equal()
        (origin / "old").rename(place.source / to)
        place.wait_until_equal()

        assert content == (place.replica / to).read_bytes()
        assert OLD_NS == (place.replica / to).stat().st_mtime_ns

    @pytest.mark.parametrize(
        "copy",
        [
            pytest.param(shutil.copytree, id="cp -a"),
            pytest.param(Path.rename, id="mv"),
        ],
    )
    def test_old_directory(self, place: Place, copy: Callable[[Path, Path], object]) -> None:
        """So does a whole tree that is brought in with its times."""
        build(place.outside, {f"d{n}/f": File(random_bytes(KIB, n), mtime_ns=OLD_NS + n) for n in range(20)})
        copy(place.outside, place.source / "in")

        place.wait_until_equal()


class TestSaves:
    """Bursts of saves as careful programs make them: a new file beside, and a rename over the old one."""

    @staticmethod
    def burst(place: Place, count: int, files: int) -> None:
        """Save so many times while what was saved before is being synced; readers see whole files only."""
        build(place.source, {f"f{number}": f"{number:08d}" * 500 for number in range(files)})
        place.wait_until_equal()
        torn: set[str] = set()
        ended = threading.Event()

        def read() -> None:
            while not ended.is_set():
                for number in range(files):
                    content = (place.replica / f"f{number}").read_text()
                    if content != content[:8] * 500:
                        torn.add(content[:8])

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in range(count):
                path = place.source / f"f{number % files}"
                beside = path.with_name(f".{path.name}.{number}")
                beside.write_text(f"{number:08d}" * 500)
                beside.rename(path)
            place.wait_until_equal(60)
        finally:
            ended.set()
            reader.join()

        assert set() == torn
        assert {f"f{number}" for number in range(files)} <= look(place.replica).keys()

    def test_burst(self, place: Place) -> None:
        """300 saves of 300 files, while they are synced, end with the last of each."""
        self.burst(place, 300, 300)

    @pytest.mark.slow
    def test_large_burst(self, place: Place) -> None:
        """So do 2,000 of 2,000, and 5,000 of ten."""
        self.burst(place, 2_000, 2_000)
        self.burst(place, 5_000, 10)


class TestLarge:
    """Files whose checksums, or whose changes, are many."""

    def test_one_byte(self, pair: Pair) -> None:
        """A byte that changes in 300 MiB costs a block, asked for or remembered."""
        piece = random_bytes(MIB)
        with (pair.source / "large").open("wb") as file:
            for number in range(300):
                file.write(number.to_bytes(8, "big") + piece[8:])
        pair.server()
        pair.once()
        sent = []
        for seed, forgets in enumerate((False, True)):
            scatter(pair.source / "large", 1, 1, seed)
            if forgets:
                shutil.rmtree(pair.place / "client-state" / "signatures")
            did = synced(pair.once())
            sent.append(did.literal)

            assert {"large": ("delta", "similar")} == did.ways
        assert max(sent) <= 4 * KIB
        assert [] == differences(pair.source, pair.replica)

    def test_rewritten(self, place: Place) -> None:
        """8 MiB that are rewritten, in part or as a whole, are acknowledged as soon as any; the original took 85 s."""
        path = place.source / "f"
        path.write_bytes(random_bytes(8 * MIB - 1, 7))
        place.wait_until_equal()
        for content in (
            random_bytes(8 * MIB, 8),  # all of it, then 3 of 8 MiB
            random_bytes(3 * MIB, 9) + random_bytes(8 * MIB, 8)[3 * MIB :] + b"!",
        ):
            with path.open("r+b") as file:
                file.write(content)
            place.client.wait_for("file.synced", path=f"{place.name}/f", size=len(content))
            place.wait_until_equal()


class TestMany:
    """More names than fit into a message."""

    def test_long_names(self, pair: Pair) -> None:
        """More than 4 MiB of names are sent, listed, compared and planned."""
        names = [f"{number:06d}-{'n' * 240}" for number in range(18_000)]
        for name in names:
            os.symlink("x", pair.source / name)
        pair.server()
        pair.once()
        (pair.source / names[7]).unlink()
        shutil.rmtree(pair.place / "client-state")
        planned = pair.command("plan", "--json")
        second = pair.once()

        assert [1, 1] == [len(planned.json["operations"]), second.event("sync.completed")["deletes"]]
        assert len(names) - 1 == len(os.listdir(pair.replica))

    @pytest.mark.slow
    def test_forty_thousand_files(self, pair: Pair) -> None:
        """40,000 files in directories with names of 110 bytes are mirrored."""
        build(pair.source, {f"{n % 400:0110d}/f{n}": f"{n}" for n in range(40_000)})
        pair.server()

        assert 40_000 == len(synced(pair.once()).ways)
        prove_equal(pair)


class TestReplica:
    """What is at the replica beside what came from the source."""

    @pytest.mark.parametrize("size", [2 * KIB, 200 * KIB], ids=["small", "large"])
    def test_touched_after_an_edit_by_hand(self, place: Place, size: int) -> None:
        """A file that was changed at the replica, and then touched in the source, is the source's again."""
        content = random_bytes(size, next(_numbers))
        build(place.source, {"f": content, "same": content})
        place.wait_until_equal()
        for edit in (b"", content[: size // 2], content + b"more", b"by hand".ljust(size)):
            (place.replica / "f").write_bytes(edit)
            (place.source / "f").touch()
            place.wait_until_equal()

        assert content == (place.replica / "f").read_bytes() == (place.replica / "same").read_bytes()

    def test_link_to_outside(self, place: Place) -> None:
        """What was replaced by a link at the replica is repaired, and nothing is written where the link leads."""
        build(place.source, {"d/x": "x", "d/large": random_bytes(200 * KIB, next(_numbers)), "f": "f"})
        place.wait_until_equal()
        build(place.outside, {"x": "theirs", "f": "theirs"})
        shutil.rmtree(place.replica / "d")
        (place.replica / "d").symlink_to(place.outside)
        (place.replica / "f").unlink()
        (place.replica / "f").symlink_to(place.outside / "f")
        build(place.source, {"d/x": "new", "d/y": "y", "f": "new"})
        place.sync_now()
        place.wait_until_equal()

        assert {"x": b"theirs", "f": b"theirs"} == {p.name: p.read_bytes() for p in place.outside.iterdir()}

    def test_temporary_directory(self, pair: Pair) -> None:
        """TMPDIR may be on another file system, full or not there at all: nothing is ever put there."""
        build(pair.source, {"d/x": "x", "large": random_bytes(200 * KIB)})
        elsewhere = ["env", "TMPDIR=/proc/nowhere"]
        pair.server(prefix=elsewhere)
        build(pair.source, {"d/y": "y"})
        first = pair.once(prefix=elsewhere)
        scatter(pair.source / "large", 1)
        shutil.copyfile(pair.source / "large", pair.source / "copy")
        second = pair.once(prefix=elsewhere)

        assert (0, 0) == (first.code, second.code)
        prove_equal(pair)
