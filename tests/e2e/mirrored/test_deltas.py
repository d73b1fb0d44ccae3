"""What a change of a large file costs: the blocks that the replica has are not sent, whichever side remembers them.

Bounds are those that the project promises for 1 GiB; they do not depend on the size of the file.
"""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dirsync.delta.signature.builder import SignatureBuilder
from dirsync.delta.signature.stored import dump_signature, load_signature
from dirsync.limits import KIB, MIB
from dirsync.v1 import agent_service_pb2 as apb
from tests.support.peers.wire import AGENT, Wire
from tests.support.running.programs import Pair, Result
from tests.support.running.synced import prove_equal, synced, wait_until_agreed
from tests.support.trees.content import random_bytes, text
from tests.support.trees.edits import (
    append,
    blank,
    change_first,
    change_last,
    cut_off,
    cut_out,
    cut_round,
    double,
    insert,
    scatter,
    turn,
)
from tests.support.trees.trees import build

pytestmark = pytest.mark.programs

Edit = Callable[..., None]

BLOCK = 4 * KIB
PROMISED: dict[str, tuple[Edit, int]] = {
    "scattered": (scatter, 12 * MIB // 10),
    "inserted": (insert, 64 * KIB),
    "appended": (append, 101 * MIB // 10),
}
"""What is done to a file, and the bytes that may be sent for it."""
OTHERS: dict[str, tuple[Edit, int]] = {
    "one byte": (partial(scatter, count=1, size=1), 2 * BLOCK),
    "first byte": (change_first, BLOCK),
    "last byte": (change_last, BLOCK),
    "cut off": (cut_off, BLOCK),
    "cut out": (cut_out, 2 * BLOCK),
    "turned": (turn, 4 * BLOCK),
    "doubled": (double, 2 * BLOCK),
    "blanked": (blank, MIB + 2 * BLOCK),
    "prefixed": (partial(insert, at=0, size=10), 2 * BLOCK),
    "replaced by a part": (cut_round, 2 * BLOCK),
}
"""The same for the small change of a smaller file; zeros count as content."""
MEMORIES: dict[str, Callable[[Path], None]] = {
    "remembered": lambda _: None,
    "fetched": lambda state: shutil.rmtree(state / "signatures"),
    "all state lost": shutil.rmtree,
}
"""What the client knows of the blocks that the replica has."""
QUIET: dict[str, Any] = {"rescan_interval": "1h"}


def literals(result: Result) -> dict[str, int]:
    """Bytes of content that were sent for each file."""
    return {event["path"]: event["literal_bytes"] for event in result.events if event["event"] == "file.synced"}


def check(pair: Pair, edits: dict[str, tuple[Edit, int]], memory: Callable[[Path], None], **seed: int) -> None:
    """Make the edits, each in a file of its own that is synced already, and see what they cost."""
    for name, (edit, _) in edits.items():
        edit(pair.source / name, **seed)
    memory(pair.place / "client-state")
    result = pair.once()
    did, sent = synced(result), literals(result)

    assert dict.fromkeys(edits, ("delta", "similar")) == did.ways
    assert {} == {name: count for name, count in sent.items() if count > edits[name][1]}
    assert did.literal == result.event("sync.completed")["literal_bytes"]
    prove_equal(pair)


class TestLiterals:
    """Bytes of content that are sent."""

    def test_promised(self, pair: Pair) -> None:
        """A hundred scattered edits, an insertion and 10 MiB more in a large file cost what is promised."""
        build(pair.source, {name: random_bytes(64 * MIB, seed) for seed, name in enumerate(PROMISED)})
        pair.server()
        pair.once()
        for seed, memory in enumerate(("remembered", "fetched")):
            check(pair, PROMISED, MEMORIES[memory], seed=100 + seed)

    @pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)
    def test_others(self, pair: Pair, memory: Callable[[Path], None]) -> None:
        """Whatever is done to a file, what stayed of it is not sent, wherever it is now."""
        build(pair.source, {name: random_bytes(4 * MIB, seed) for seed, name in enumerate(OTHERS)})
        pair.server()
        pair.once()
        check(pair, OTHERS, memory)

    def test_sizes(self, pair: Pair) -> None:
        """A byte costs a block in a file of any size that travels alone, remembered or not."""
        sizes = [65 * KIB, 100 * KIB, 255 * KIB, 256 * KIB, MIB + 1]
        build(pair.source, {f"{size}": random_bytes(size, size) for size in sizes})
        pair.server()
        pair.once()
        for size in sizes:
            scatter(pair.source / f"{size}", 1, 1)
        sent = literals(pair.once())

        assert len(sizes) == len(sent)
        assert max(sent.values()) <= BLOCK
        prove_equal(pair)

    def test_block_size(self, pair: Pair) -> None:
        """BLOCK_SIZE is what a byte costs; where a file has but one block it goes whole."""
        build(pair.source, {"f": random_bytes(2 * MIB)})
        pair.server()
        for seed, block_size in enumerate((512, 64 * KIB, 16 * MIB)):
            pair.once(block_size=block_size)
            scatter(pair.source / "f", 1, 1, seed)
            did = synced(pair.once(block_size=block_size))

            assert did.literal <= min(block_size, 2 * MIB)
            assert ("delta" if block_size < MIB else "whole") == did.strategies["f"]
        prove_equal(pair)

    def test_compressed(self, pair: Pair) -> None:
        """Literals of a delta are compressed where that pays, and counted as what they are."""
        build(pair.source, {"f": random_bytes(MIB)})
        pair.server()
        pair.once()
        with (pair.source / "f").open("ab") as file:
            file.write(text(MIB))
        did = pair.once().event("sync.completed")

        assert MIB <= did["literal_bytes"] <= MIB + BLOCK
        assert did["wire_bytes"] < MIB // 2
        assert 2 * MIB == did["logical_bytes"]
        prove_equal(pair)

    def test_renamed_and_edited(self, pair: Pair) -> None:
        """A file that was renamed and then edited is made from what it was, under its former name."""
        build(pair.source, {"d/f": random_bytes(4 * MIB), "g": random_bytes(3 * MIB, 1)})
        server = pair.server()
        client = pair.client(**QUIET)
        mark = client.log.mark()
        (pair.source / "d").rename(pair.source / "e")
        (pair.source / "e/f").rename(pair.source / "h")
        scatter(pair.source / "h", 3)
        (pair.source / "g").rename(pair.source / "e/g")
        scatter(pair.source / "e/g", 3, seed=1)
        wait_until_agreed(pair, client, server)

        assert sum(event["literal_bytes"] for event in client.log.all("file.synced", since=mark)) < 64 * KIB
        prove_equal(pair)


class TestChoice:
    """When not to."""

    def test_nothing_in_common(self, pair: Pair) -> None:
        """A file that shares nothing with what it replaces goes whole, and hardly anything is asked before."""
        build(pair.source, {"f": random_bytes(8 * MIB)})
        pair.server()
        pair.once(compression="none")
        for memory in MEMORIES.values():
            (pair.source / "f").write_bytes(random_bytes(8 * MIB, id(memory)))
            memory(pair.place / "client-state")
            result = pair.once(compression="none")
            did = result.event("sync.completed")

            assert {"f": ("whole", "dissimilar")} == synced(result).ways
            assert did["wire_bytes"] < 8 * MIB + 16 * KIB

    def test_reasons(self, pair: Pair) -> None:
        """Each file's log event says how it was transferred and why."""
        contents = {name: random_bytes(MIB + seed, seed) for seed, name in enumerate(["edited", "other", "kept"])}
        build(pair.source, {"little": "1", "touched": "t", **contents})
        pair.server()
        pair.once()
        scatter(pair.source / "edited", 1)
        fresh = {"other": random_bytes(MIB, 9), "new": random_bytes(MIB + 9, 10)}
        build(pair.source, {"little": "2", "again": contents["kept"], **fresh})
        (pair.source / "touched").chmod(0o600)
        (pair.source / "kept").rename(pair.source / "moved")

        assert {
            "edited": ("delta", "similar"),
            "other": ("whole", "dissimilar"),
            "new": ("whole", "new"),
            "little": ("whole", "small"),
            "again": ("dedup", "known_content"),
            "touched": ("metadata", "same_content"),
            "moved": ("rename", "same_file"),
        } == synced(pair.once()).ways


class TestFalse:
    """What is remembered, or at the replica, is not what it seems."""

    @pytest.mark.case("A13")
    def test_damaged_memory(self, pair: Pair) -> None:
        """A remembered signature that is damaged is as good as none, and gone."""
        build(pair.source, {"f": random_bytes(2 * MIB)})
        pair.server()
        pair.once()
        for seed, harm in enumerate((_cut_short, _flipped, lambda _: b"something else", _of_other_blocks)):
            stored = max((pair.place / "client-state/signatures").iterdir(), key=lambda path: path.stat().st_mtime_ns)
            stored.write_bytes(harm(stored.read_bytes()))
            scatter(pair.source / "f", 1, 1, seed)
            did = synced(pair.once())

            assert {"f": ("delta", "similar")} == did.ways
            assert did.literal <= BLOCK
            assert not stored.exists()
        prove_equal(pair)

    @pytest.mark.case("I26")
    def test_forged_memory(self, pair: Pair) -> None:
        """What checksums that lie would make is never published: the file goes whole, once, with a line in the log."""
        content = random_bytes(2 * MIB)
        build(pair.source, {"f": content, "other": "x"})
        server = pair.server()
        pair.once()
        (stored,) = (pair.place / "client-state/signatures").iterdir()
        stored.write_bytes(signature_of(content[MIB:] + content[:MIB]))
        scatter(pair.source / "f", 1, 1)
        result = pair.once()
        did = synced(result)
        said = [event for event in result.events if event["event"] == "file.problem"]
        again = synced(pair.once())

        assert {"f": ("whole", "after_mismatch")} == did.ways
        assert 2 * MIB == did.literal
        assert [("f", "mismatch", "delta")] == [(event["path"], event["kind"], event["strategy"]) for event in said]
        assert {} == again.ways
        assert 1 == server.metrics().value("dirsync_changes_applied_total", operation="put_file", outcome="mismatch")
        prove_equal(pair)

    @pytest.mark.case("G11")
    def test_basis_edited_by_hand(self, pair: Pair) -> None:
        """A delta from a basis that changed at the replica meanwhile is refused: never a mixture."""
        build(pair.source, {"f": random_bytes(2 * MIB)})
        server = pair.server()
        client = pair.client(**QUIET)
        scatter(pair.replica / "f", 2, seed=5)
        scatter(pair.source / "f", 1, 1)
        wait_until_agreed(pair, client, server)
        with Wire(client.address) as agent:
            agent.ask(AGENT + "SyncNow", apb.SyncNowRequest(), apb.SyncNowResponse)

        prove_equal(pair)


def _cut_short(raw: bytes) -> bytes:
    return raw[: len(raw) // 2]


def _flipped(raw: bytes) -> bytes:
    return raw[:100] + bytes([raw[100] ^ 1]) + raw[101:]


def _of_other_blocks(_raw: bytes) -> bytes:
    return signature_of(random_bytes(2 * MIB), block_size=8 * KIB)


def signature_of(content: bytes, block_size: int = BLOCK) -> bytes:
    """What a client remembers of content."""
    builder = SignatureBuilder(block_size)
    builder.feed(content)
    signature = builder.finish()
    assert signature is not None
    stored = dump_signature(signature)

    assert load_signature(stored) is not None
    return stored
