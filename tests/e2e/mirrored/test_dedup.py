"""Content that the replica has under any name is copied there: it is uploaded once, and then never again."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

import pytest

from dirsync.limits import KIB, LIMITS, MIB
from dirsync.v1 import agent_service_pb2 as apb
from tests.support.peers.wire import AGENT, Wire
from tests.support.running.metrics import Samples
from tests.support.running.programs import Pair
from tests.support.running.synced import done, prove_equal, synced, wait_until_agreed
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import build, differences

pytestmark = pytest.mark.programs

SMALL = 3 * KIB
LARGE = 300 * KIB
QUIET: dict[str, Any] = {"rescan_interval": "1h", "delete_settle": "100ms"}
"""The client learns of changes by events only, and the server learns of none."""
SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])


def lookups(samples: Samples) -> dict[str, int]:
    """What the content cache was asked, and how it answered."""
    return {
        result: int(samples.value("dirsync_cache_lookups_total", cache="content", result=result))
        for result in ("hit", "miss", "stale")
    }


class TestOnePush:
    """The same content again and again in what is sent at a time."""

    @SIZES
    def test_sent_once(self, pair: Pair, size: int) -> None:
        """However many files of a first sync have the same content, it is sent once."""
        content = random_bytes(size)
        build(pair.source, {f"d{number % 5}/f{number}": content for number in range(20)})
        server = pair.server()
        result = pair.once()
        did = synced(result)
        strategies = list(did.strategies.values())

        assert size == did.literal == result.event("sync.completed")["literal_bytes"]
        assert (1, 19) == (strategies.count("whole"), strategies.count("dedup"))
        assert {("whole", "small" if size == SMALL else "new"), ("dedup", "known_content")} == set(did.ways.values())
        assert 19 * size == server.metrics().value("dirsync_saved_bytes_total", reason="dedup")
        assert 19 == lookups(server.metrics())["hit"]
        prove_equal(pair)

    def test_equal_size_is_not_equal(self, pair: Pair) -> None:
        """Large files of one size are all sent, each as it is; of those that are equal, one."""
        contents = [random_bytes(LARGE, seed) for seed in range(6)]
        build(pair.source, {f"f{number}": contents[number % 6] for number in range(12)})
        pair.server()
        did = synced(pair.once())

        assert 6 * LARGE == did.literal
        prove_equal(pair)

    def test_differs_at_the_end(self, pair: Pair) -> None:
        """Two files differ in the last byte only, and that is enough."""
        content = random_bytes(LARGE)
        other = content[:-1] + bytes([content[-1] ^ 1])
        build(pair.source, {"a": content, "b": other})
        pair.server()
        pair.once()
        build(pair.source, {"c": other, "d": content})
        did = synced(pair.once())

        assert (0, {"c": "dedup", "d": "dedup"}) == (did.literal, did.strategies)
        assert (content, other) == ((pair.replica / "d").read_bytes(), (pair.replica / "c").read_bytes())

    def test_nothing_is_not_content(self, pair: Pair) -> None:
        """Empty files are made, not copied."""
        build(pair.source, {f"f{number}": b"" for number in range(20)})
        pair.server()

        assert {"whole"} == set(synced(pair.once()).strategies.values())


class TestAcross:
    """What came with one sync and is wanted again in another."""

    @SIZES
    def test_never_again(self, pair: Pair, size: int) -> None:
        """New names, and names that get the content of others, cost nothing; nor after all state was lost."""
        contents = {name: random_bytes(size, seed) for seed, name in enumerate("abcdefgh")}
        build(pair.source, contents)
        server = pair.server()
        pair.once()
        build(pair.source, {"new/a": contents["a"], "b": contents["c"], "d": contents["a"]})
        first = synced(pair.once())
        server.stop()
        for side in ("server", "client"):
            shutil.rmtree(pair.place / f"{side}-state")
        pair.server()
        build(pair.source, {"new/h": contents["h"], "e": contents["f"]})
        second = synced(pair.once())

        assert (0, 0) == (first.literal, second.literal)
        assert {"dedup"} == {*first.strategies.values(), *second.strategies.values()}
        prove_equal(pair)

    @SIZES
    def test_copied_from_what_goes(self, pair: Pair, size: int) -> None:
        """A copy of a file that is deleted in the same sync, or overwritten, is made before that is lost."""
        contents = {name: random_bytes(size, seed) for seed, name in enumerate(["gone", "over", "z-gone", "z-over"])}
        build(pair.source, {**contents, "stays": "s", "stays too": "t"})
        pair.server()
        pair.once()
        build(pair.source, {f"copy of {name}": content for name, content in contents.items()})
        fresh = {name: random_bytes(SMALL + seed, 100 + seed) for seed, name in enumerate(["over", "z-over"])}
        build(pair.source, fresh)
        (pair.source / "gone").unlink()
        (pair.source / "z-gone").unlink()
        did = synced(pair.once())

        assert sum(map(len, fresh.values())) == did.literal
        prove_equal(pair)

    @pytest.mark.parametrize("copy", ["a copy", "z copy"])
    def test_copied_from_what_is_replaced_quickly(self, pair: Pair, copy: str) -> None:
        """Reading the copy takes longer than replacing what it is a copy of: that waits."""
        content = random_bytes(48 * MIB)
        build(pair.source, {"over": content})
        pair.server()
        pair.once()
        build(pair.source, {copy: content, "over": b"something small"})
        did = synced(pair.once())

        assert (len(b"something small"), "dedup") == (did.literal, did.strategies[copy])
        prove_equal(pair)

    def test_metadata_is_its_own(self, pair: Pair) -> None:
        """What is copied has the mode and the time of its own file, not those of the one that it is made from."""
        build(pair.source, {"a": random_bytes(LARGE), "s": random_bytes(SMALL, 1)})
        pair.server()
        pair.once()
        for name in ("a", "s"):
            shutil.copyfile(pair.source / name, pair.source / f"{name}2")
            (pair.source / f"{name}2").chmod(0o751)
            os.utime(pair.source / f"{name}2", ns=(0, 1_234_567_890_123_456_789))

        assert 0 == synced(pair.once()).literal
        assert [] == differences(pair.source, pair.replica)

    def test_large_and_small(self, pair: Pair) -> None:
        """Sizes around the border between the two ways in which files travel make no difference."""
        border = LIMITS.inline_file_bytes
        contents = {f"{size}": random_bytes(size, size) for size in (border - 1, border, border + 1)}
        build(pair.source, contents)
        pair.server()
        pair.once()
        build(pair.source, {f"again {name}": content for name, content in contents.items()})
        did = synced(pair.once())

        assert (0, {"dedup"}) == (did.literal, set(did.strategies.values()))
        prove_equal(pair)


class TestStale:
    """Content that the replica no longer has, though both programs assume that it has."""

    @SIZES
    @pytest.mark.parametrize("harm", ["lost", "edited"])
    def test_sent_after_all(self, pair: Pair, size: int, harm: str) -> None:
        """Never wrong bytes: the copy is refused, counted as stale, and the file goes whole, once."""
        content = random_bytes(size)
        build(pair.source, {"a": content, "b": "b"})
        server = pair.server()
        client = pair.client(**QUIET)
        mark = client.log.mark()
        if harm == "lost":
            (pair.replica / "a").unlink()
        else:
            (pair.replica / "a").write_bytes(random_bytes(size, 1))
        _arrive(pair, {"c": content})
        event = client.wait_for("file.synced", since=mark, path="c")
        said = client.log.all("file.problem", since=mark, path="c")

        assert ("whole", "after_mismatch", size) == (event["strategy"], event["reason"], event["literal_bytes"])
        assert [("mismatch", "dedup")] == [(problem["kind"], problem["strategy"]) for problem in said]
        assert 1 == lookups(client.metrics())["stale"]
        assert 1 <= lookups(server.metrics())["stale"]
        assert content == (pair.replica / "c").read_bytes()
        with Wire(client.address) as agent:
            agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse)
        prove_equal(pair)

    def test_another_has_it(self, pair: Pair) -> None:
        """Where one file is not what it was, another of the same content serves."""
        content = random_bytes(LARGE)
        build(pair.source, {"a": content, "b": content, "c": content})
        server = pair.server()
        client = pair.client(**QUIET)
        mark = client.log.mark()
        (pair.replica / "a").write_bytes(random_bytes(LARGE, 1))
        (pair.replica / "b").unlink()
        _arrive(pair, {"d": content})
        event = client.wait_for("file.synced", since=mark, path="d")
        with Wire(client.address) as agent:
            agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse)
        did = done(client.log.events[mark:])

        assert ("dedup", "known_content") == (event["strategy"], event["reason"])
        assert 0 == did.literal
        assert 0 == lookups(client.metrics())["stale"]
        assert 3 <= lookups(server.metrics())["hit"]
        prove_equal(pair)


class TestLive:
    """While a client watches."""

    def test_copies(self, pair: Pair) -> None:
        """Copies of files and of whole directories cost nothing, and both sides count them."""
        spec = {f"{n}": random_bytes(SMALL if n % 3 else LARGE, n) for n in range(30)}
        build(pair.source / "d", spec)
        server = pair.server()
        client = pair.client(**QUIET)
        mark = client.log.mark()
        _arrive(pair, {f"e/{name}": content for name, content in spec.items()})
        _arrive(pair, {f"f/g/{name}": content for name, content in spec.items()})
        wait_until_agreed(pair, client, server)
        did = done([event for event in client.log.events[mark:] if event.get("path") != ".agreed"])
        size = sum(map(len, spec.values()))

        assert (0, {"dedup"}) == (did.literal, set(did.strategies.values()))
        for samples in (client.metrics(), server.metrics()):
            assert 2 * size == samples.value("dirsync_saved_bytes_total", reason="dedup")
            assert 60 == samples.value("dirsync_files_transferred_total", strategy="dedup")
            assert 60 == lookups(samples)["hit"]
        prove_equal(pair)


def _arrive(pair: Pair, spec: Mapping[str, bytes]) -> None:
    """Put this into the source at once: no part of it is visible before."""
    aside = pair.place / "aside"
    build(aside, spec)
    for top in sorted(aside.iterdir()):
        top.rename(pair.source / top.name)
