"""Renames that were not watched: what has another name when a sync begins is moved at the replica, and not sent."""

import re
import shutil

import pytest

from dirsync.limits import KIB
from tests.support.proxy import Proxy
from tests.support.running.programs import Pair
from tests.support.running.synced import Done, done, prove_equal, synced
from tests.support.trees.content import random_bytes
from tests.support.trees.renames import EXCHANGES, RENAMES, Rename, contents, exchange
from tests.support.trees.trees import build, differences, look

pytestmark = pytest.mark.programs

CASES = RENAMES | EXCHANGES

WIRE_BYTES = 12 * KIB
"""What a ``once`` that renames something may cost, with its connection, its session and the listing of two levels."""
STAYING = tuple(f"stays{number}" for number in range(8))
"""So many that a client without memory knows the replica for its own."""


def folder(name: str) -> str:
    """The directory of a case."""
    return re.sub(r"\W", "-", name)


@pytest.fixture(scope="module")
def gone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """What one sync did after the hands of all cases: in the directory of each."""
    pair = Pair(tmp_path_factory.mktemp("gone") / "pair")
    pair.server()
    for name, case in CASES.items():
        build(pair.source / folder(name), contents(name, *case.before))
    first = pair.once()
    for name, case in CASES.items():
        case.hands(pair.source / folder(name))
    result = pair.once()
    prove_equal(pair)
    wrong = pair.end()

    assert (0, 0, []) == (first.code, result.code, wrong)
    return {name: done(result.events, below=f"{folder(name)}/") for name in CASES}


@pytest.mark.parametrize("name,case", RENAMES.items(), ids=RENAMES)
def test_rename(gone: dict[str, Done], name: str, case: Rename) -> None:
    """What has another name is moved, a directory as one, and nothing is sent."""
    assert 0 == gone[name].literal
    assert dict.fromkeys(case.moves, "rename") == gone[name].strategies


@pytest.mark.parametrize("name,case", EXCHANGES.items(), ids=EXCHANGES)
def test_name_taken_again(gone: dict[str, Done], name: str, case: Rename) -> None:
    """Where a name stays in use for something else, only new content is sent."""
    assert case.sends == gone[name].literal
    assert not case.steps or ["rename"] * case.steps == list(gone[name].strategies.values())


class TestState:
    """What the client does not remember."""

    def test_lost(self, pair: Pair) -> None:
        """A client that has forgotten everything knows what moved by its content: nothing is sent."""
        build(pair.source, contents("lost", "d/a", "d/Lb", "d/e/c", "La", "f/b", *STAYING))
        pair.server()
        pair.once()
        (pair.source / "d").rename(pair.source / "f/d")
        (pair.source / "La").rename(pair.source / "f/b")
        shutil.rmtree(pair.place / "client-state")
        did = synced(pair.once())

        assert 0 == did.literal
        assert {"rename", "dedup"} >= set(did.strategies.values())
        prove_equal(pair)

    def test_wire(self, pair: Pair) -> None:
        """A sync that only renames, a file and a directory of 1,000 files, costs little more than saying hello."""
        build(pair.source, {"large": random_bytes(2 << 20), **{f"d/{n % 10}/{n}": f"{n}" for n in range(1_000)}})
        pair.server()
        pair.once()
        (pair.source / "d").rename(pair.source / "e")
        (pair.source / "large").rename(pair.source / "e/large")
        with Proxy(pair.server_address) as proxy:
            did = synced(pair.once(server=proxy.address))
            cost = proxy.sent + proxy.received

        assert {"e": "rename", "e/large": "rename"} == did.strategies
        assert cost < WIRE_BYTES
        prove_equal(pair)


class TestRules:
    """What must stay where it is."""

    def test_ignored_content_stays(self, pair: Pair) -> None:
        """What is ignored at the replica does not move along, nor is anything moved to where it would be ignored."""
        before = contents("ignored", "d/a", "d/Lb", "d/sub/c", "plain/La")
        build(pair.source, {".dirsyncignore": "*.log\n/build/\n", **before})
        pair.server()
        pair.once()
        build(pair.replica, {"d/theirs.log": "kept", "d/sub/deep/theirs.log": "kept"})
        (pair.source / "d").rename(pair.source / "e")
        (pair.source / "plain").rename(pair.source / "other")
        did = synced(pair.once())
        again = pair.once()
        (pair.source / "e").rename(pair.source / "build")
        hidden = pair.once(guard_max_delete_percent=100)
        left = {path for path, seen in look(pair.replica).items() if seen.kind == "file"}

        assert 0 == did.literal
        assert "rename" == did.strategies["other"]
        assert 0 == again.event("sync.completed")["files"]
        assert (0, 0) == (hidden.code, pair.command("verify", "--deep").code)
        assert {".dirsyncignore", "other/La", "d/theirs.log", "d/sub/deep/theirs.log"} == left

    def test_delete_never(self, pair: Pair) -> None:
        """With DELETE=never the former names stay, with what they had, and still nothing is sent."""
        before = contents("never", "d/a", "d/Lb", "La")
        build(pair.source, before)
        pair.server()
        pair.once(delete="never")
        (pair.source / "d").rename(pair.source / "e")
        (pair.source / "La").rename(pair.source / "Lz")
        did = synced(pair.once(delete="never"))
        again = synced(pair.once(delete="never"))

        assert 0 == did.literal
        assert {"e/a": "dedup", "e/Lb": "dedup", "Lz": "dedup"} == did.strategies
        assert {} == again.ways
        assert {*before, "d", "e", "e/a", "e/Lb", "Lz"} == look(pair.replica).keys()
        assert before["La"] == (pair.replica / "La").read_bytes() == (pair.replica / "Lz").read_bytes()

    def test_delete_never_exchanges(self, pair: Pair) -> None:
        """DELETE=never allows exchanges of two names: nothing is removed by that."""
        build(pair.source, contents("never", "La", "Lb"))
        pair.server()
        pair.once(delete="never")
        exchange(pair.source / "La", pair.source / "Lb")
        did = synced(pair.once(delete="never"))

        assert (0, ["rename"]) == (did.literal, list(did.strategies.values()))

    def test_guards_let_moves_pass(self, pair: Pair) -> None:
        """Moving nine tenths of a tree to a new directory is no loss."""
        names = [f"n{number}" for number in range(40)]
        build(pair.source, contents("guards", *names, *(f"d{number}/x" for number in range(10))))
        pair.server()
        pair.once()
        (pair.source / "new").mkdir()
        for name in [*names[:36], *(f"d{number}" for number in range(9))]:
            (pair.source / name).rename(pair.source / "new" / name)
        result = pair.once()

        assert 0 == synced(result).literal
        assert 0 == result.event("sync.completed")["deletes"]
        assert [] == differences(pair.source, pair.replica)


class TestReplica:
    """What else may be at the replica."""

    def test_edited_by_hand(self, pair: Pair) -> None:
        """What was changed at the replica while no program ran is never mistaken for what is renamed."""
        before = contents("hands", "d/a", "d/Lb", "La", "b", "x/Lc")
        build(pair.source, before)
        server = pair.server()
        pair.once()
        for state in ("looked at", "not looked at"):
            for name, content in before.items():
                assert isinstance(content, bytes)
                (pair.replica / name).write_bytes(state.encode().ljust(len(content)))
            (pair.source / "d").rename(pair.source / "e")
            (pair.source / "b").rename(pair.source / "c")
            exchange(pair.source / "La", pair.source / "x/Lc")
            if state == "looked at":
                server.stop()
                pair.server()
            pair.once()
            (pair.source / "e").rename(pair.source / "d")
            (pair.source / "c").rename(pair.source / "b")
            result = pair.once()

            assert 0 == result.code
        pair.once()
        prove_equal(pair)

    def test_done_already(self, pair: Pair) -> None:
        """The same renames were made at the replica: nothing is left to do."""
        build(pair.source, contents("done", "d/a", "d/Lb", "La"))
        server = pair.server()
        pair.once()
        server.stop()
        for root in (pair.source, pair.replica):
            (root / "d").rename(root / "e")
            (root / "La").rename(root / "e/La")
        pair.server()
        did = synced(pair.once())

        assert (0, {}) == (did.literal, did.ways)
        prove_equal(pair)

    def test_both_lost_everything(self, pair: Pair) -> None:
        """Server and client without any state find by content what has another name."""
        build(pair.source, contents("both", "d/a", "d/Lb", "La", *STAYING))
        server = pair.server()
        pair.once()
        server.stop()
        (pair.source / "d").rename(pair.source / "e")
        for side in ("server", "client"):
            shutil.rmtree(pair.place / f"{side}-state")
        pair.server()
        did = synced(pair.once())

        assert 0 == did.literal
        prove_equal(pair)
