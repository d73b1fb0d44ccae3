"""Renames while a client watches: what has another name now is moved at the replica, and none of it is sent."""

import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dirsync.limits import KIB, MIB
from dirsync.v1 import agent_service_pb2 as apb
from tests.support.peers.wire import AGENT, Wire
from tests.support.proxy import Proxy
from tests.support.running.programs import Client, Pair, Server
from tests.support.running.synced import Done, done, prove_equal, wait_until_agreed
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.renames import EXCHANGES, RENAMES, Rename, aside, contents, exchange
from tests.support.trees.trees import Spec, build, equal

pytestmark = pytest.mark.programs

QUIET: dict[str, Any] = {"rescan_interval": "1h", "delete_settle": "100ms"}
"""The client learns of changes by events only."""
WIRE_BYTES = 4 * KIB
"""What a rename may cost, with all that TCP carries."""


class Running(NamedTuple):
    """A pair that runs, for tests that each work in a directory of its source."""

    pair: Pair
    server: Server
    client: Client

    def agree(self) -> None:
        """Return when everything has arrived and is acknowledged."""
        wait_until_agreed(self.pair, self.client, self.server)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One pair for the tests of this module that need no settings; in the end both sides are read again."""
    pair = Pair(tmp_path_factory.mktemp("running") / "pair")
    running = Running(pair, pair.server(), pair.client(**QUIET))
    yield running
    prove_equal(pair)
    wrong = pair.end()

    assert wrong == []


class Place(NamedTuple):
    """A test's own directory."""

    running: Running
    name: str

    @property
    def source(self) -> Path:
        """Where it is in the source."""
        return self.running.pair.source / self.name

    @property
    def replica(self) -> Path:
        """Where it is at the replica."""
        return self.running.pair.replica / self.name

    def make(self, spec: Spec) -> None:
        """Have this on both sides, known to the client."""
        build(self.source, spec)
        # A directory that was filled within the tick of the clock in which it was made proves nothing by its times.
        time.sleep(0.02)
        for directory in self.source.rglob("*/"):
            if directory.is_dir() and not directory.is_symlink():
                directory.chmod(directory.stat().st_mode & 0o7777)
        self.running.agree()

    def watch(self, hands: Callable[[Path], object], *, at_once: bool = False) -> Done:
        """What the client does when this happens; ``at_once``: it sees nothing of it before all is done."""
        client = self.running.client
        mark = client.log.mark()
        if at_once:
            client.signal(signal.SIGSTOP)
            until(lambda: _is_stopped(client.pid), "the client stopped")
        hands(self.source)
        if at_once:
            client.signal(signal.SIGCONT)
        self.running.agree()
        return done(client.log.events[mark:], below=f"{self.name}/")


@pytest.fixture
def place(running: Running, request: pytest.FixtureRequest) -> Place:
    """A directory of its own for each test."""
    place = Place(running, re.sub(r"\W", "-", request.node.name))
    place.source.mkdir()
    return place


def start(pair: Pair, spec: Spec, **settings: Any) -> Running:
    """A pair of its own that runs, both sides equal."""
    build(pair.source, spec)
    running = Running(pair, pair.server(), pair.client(**{**QUIET, **settings}))
    running.agree()
    return running


class TestNames:
    """Everything that can happen to names."""

    @pytest.mark.parametrize("case", RENAMES.values(), ids=RENAMES)
    def test_rename(self, place: Place, case: Rename) -> None:
        """What has another name is moved, a directory as one, and nothing is sent."""
        place.make(contents(place.name, *case.before))
        did = place.watch(case.hands, at_once=True)

        assert 0 == did.literal
        assert dict.fromkeys(case.moves, "rename") == did.strategies

    @pytest.mark.parametrize("case", RENAMES.values(), ids=RENAMES)
    def test_rename_step_by_step(self, place: Place, case: Rename) -> None:
        """Whatever the client sees of it on the way, nothing is sent."""
        place.make(contents(place.name, *case.before))

        assert 0 == place.watch(case.hands).literal

    @pytest.mark.parametrize("case", EXCHANGES.values(), ids=EXCHANGES)
    def test_name_taken_again(self, place: Place, case: Rename) -> None:
        """Where a name stays in use for something else, only new content is sent."""
        place.make(contents(place.name, *case.before))
        did = place.watch(case.hands, at_once=True)

        assert case.sends == did.literal
        assert not case.steps or ["rename"] * case.steps == list(did.strategies.values())

    @pytest.mark.parametrize("case", EXCHANGES.values(), ids=EXCHANGES)
    def test_name_taken_again_step_by_step(self, place: Place, case: Rename) -> None:
        """Whatever the client sees on the way, it ends right, and no content goes twice.

        What a name has for a moment only may be lost at the replica before it is known that another path needs it.
        """
        before = contents(place.name, *case.before)
        place.make(before)

        assert place.watch(case.hands).literal <= case.sends + sum(len(what) for what in before.values() if what)

    def test_again_and_again(self, place: Place) -> None:
        """A name that goes to and fro ends where it is, with nothing sent on the way."""
        place.make(contents(place.name, "d/a", "d/Lb", "La"))

        def hands(top: Path) -> None:
            for number in range(40):
                (top / ("d", "e")[number % 2]).rename(top / ("e", "d")[number % 2])
                (top / ("La", "Lz")[number % 2]).rename(top / ("Lz", "La")[number % 2])

        assert 0 == place.watch(hands).literal

    def test_renamed_and_changed(self, place: Place) -> None:
        """Of a directory that moved and changed only the change is sent."""
        place.make(contents(place.name, "d/a", "d/Lb", "d/e/c"))

        def hands(top: Path) -> None:
            (top / "d").rename(top / "f")
            build(top, {"f/e/c": random_bytes(3 * KIB, 1), "f/new": random_bytes(KIB, 2)})

        did = place.watch(hands)

        assert 4 * KIB == did.literal
        assert {"f": "rename", "f/e/c": "whole", "f/new": "whole"} == did.strategies


def _rotate(top: Path) -> None:
    (top / "Lb").rename(top / "Lc")
    (top / "La").rename(top / "Lb")
    (top / "La").write_bytes(b"new")


class TestMoment:
    """What a reader of the replica sees meanwhile."""

    @pytest.mark.parametrize(
        "hands",
        [
            pytest.param(lambda top: aside(top / "La", top / "Lb"), id="swap"),
            pytest.param(lambda top: exchange(top / "La", top / "Lb"), id="swap at once"),
            pytest.param(_rotate, id="rotation"),
        ],
    )
    def test_never_absent(self, place: Place, hands: Callable[[Path], object]) -> None:
        """While names change places, each of them always is something that it was or is to be."""
        before = contents(place.name, "La", "Lb")
        place.make(before)
        names, allowed = ("La", "Lb"), {*before.values(), b"new"}
        strange: set[str] = set()
        looks = [0]
        ended = threading.Event()

        def look() -> None:
            while not ended.is_set():
                for name in names:
                    try:
                        content = (place.replica / name).read_bytes()
                    except FileNotFoundError:
                        strange.add(f"{name} is absent")
                    else:
                        if content not in allowed:
                            strange.add(f"{name} has {len(content)} bytes of something else")
                looks[0] += 1

        reader = threading.Thread(target=look)
        reader.start()
        try:
            for _ in range(5):
                place.watch(hands, at_once=True)
        finally:
            ended.set()
            reader.join()

        assert set() == strange
        assert looks[0] > 20


class TestWire:
    """What it costs, counted outside of both programs."""

    def test_ten_thousand(self, pair: Pair) -> None:
        """Renaming a directory of 10,000 files, or a large file, takes less than 4 KiB on the wire, both ways."""
        spec = {f"d/{number % 100}/{number}": f"{number}" for number in range(10_000)}
        build(pair.source, {**spec, "large": random_bytes(4 * MIB)})
        shutil.copytree(pair.source, pair.replica)
        pair.server()
        with Proxy(pair.server_address) as proxy:
            client = pair.client(synced=False, server=proxy.address, **QUIET)
            client.wait_for("sync.completed", seconds=60)
            costs = []
            for old, new in (("d", "e"), ("large", "e/7/large"), ("e", "f")):
                mark, before = client.log.mark(), proxy.sent + proxy.received
                (pair.source / old).rename(pair.source / new)
                event = client.wait_for("file.synced", since=mark)
                client.wait_for("sync.completed", since=mark)
                costs.append(proxy.sent + proxy.received - before)

                assert (new, "rename", 0) == (event["path"], event["strategy"], event["literal_bytes"])
            until(lambda: equal(pair.source, pair.replica), "replica equal to the source")

        assert max(costs) < WIRE_BYTES
        assert 10_000 + 1 + 10_001 == client.metrics().value("dirsync_files_transferred_total", strategy="rename")

    def test_cut(self, pair: Pair) -> None:
        """A connection that is cut while renames are on their way, before or after they were made, costs nothing."""
        build(pair.source, contents("cut", "d/a", "d/Lb", "La", "f/x"))
        server = pair.server()
        with Proxy(pair.server_address) as proxy:
            client = pair.client(server=proxy.address, **QUIET)
            mark = client.log.mark()
            for number in range(6):
                (pair.source / ("d", "e")[number % 2]).rename(pair.source / ("e", "d")[number % 2])
                aside(pair.source / "La", pair.source / "f/x")
                if number % 2:
                    until(lambda: equal(pair.source, pair.replica), "the renames at the replica", seconds=40)
                proxy.cut()
            wait_until_agreed(pair, client, server, seconds=40)
            sent = [event for event in client.log.all("file.synced", since=mark) if event["literal_bytes"]]

        assert [".agreed"] == [event["path"] for event in sent]


class TestReplica:
    """What else may be at the replica."""

    def test_edited_by_hand(self, pair: Pair) -> None:
        """What was changed at the replica by hand is never mistaken for what is renamed."""
        before = contents("hands", "d/a", "d/Lb", "La", "b", "x/Lc")
        running = start(pair, before)
        for name, content in before.items():
            assert isinstance(content, bytes)
            (pair.replica / name).write_bytes(b"by hand".ljust(len(content)))
        for old, new in (("d", "e"), ("La", "Lz"), ("b", "b2"), ("x/Lc", "La")):
            (pair.source / old).rename(pair.source / new)
        with Wire(running.client.address) as agent:
            answer = agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse)
        running.agree()

        assert answer.in_sync
        prove_equal(pair)

    def test_guards_let_moves_pass(self, pair: Pair) -> None:
        """Moving nine tenths of a tree to a new directory is no loss: no guard holds anything."""
        names = [f"n{number}" for number in range(40)]
        running = start(pair, contents("guards", *names, *(f"d{number}/x" for number in range(10))))
        (pair.source / "new").mkdir()
        for name in [*names[:36], *(f"d{number}" for number in range(9))]:
            (pair.source / name).rename(pair.source / "new" / name)
        running.agree()

        assert [] == running.client.log.all("guard.held")


def _is_stopped(pid: int) -> bool:
    """Whether no thread of a process runs."""
    threads = Path(f"/proc/{pid}/task").glob("*/stat")
    return all(thread.read_text().rpartition(")")[2].split()[0] == "T" for thread in threads)
