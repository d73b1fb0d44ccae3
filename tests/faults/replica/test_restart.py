"""What a program finds when it starts again: state of any kind, leftovers of a crash, and locks of the dead."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync_client.state import ReplicaPairing, StateDirectory, StateView
from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences

pytestmark = pytest.mark.programs


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _other_version(path: Path) -> None:
    if path.suffix == ".sqlite":
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    else:
        path.write_text(json.dumps({"client_id": 7, "replicas": ["of", "another", "version"]}))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": _truncate,
    "empty": lambda path: os.truncate(path, 0),
    "garbage": lambda path: path.write_bytes(random_bytes(path.stat().st_size)),
    "flipped": lambda path: path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes())),
    "another version": _other_version,
    "deleted": lambda path: path.unlink(),
}


class TestState:
    """STATE_DIR is a cache: whatever is in it, the result is right."""

    @pytest.mark.case("A13")
    @given(st.one_of(st.binary(), st.recursive(st.none() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())))
    def test_any_bytes(self, tmp_path_factory: pytest.TempPathFactory, kept: bytes) -> None:
        """A client reads no agreement out of what is none, has an id all the same, and can agree anew."""
        place = tmp_path_factory.mktemp("state")
        (place / "state.json").write_bytes(kept)
        state = StateDirectory(place)
        before = state.pairing("replica")
        client_id = state.client_id()
        state.agree("replica", ReplicaPairing(adopted=True, identity=None))
        state.close()

        assert ReplicaPairing(adopted=False, identity=None) == before
        assert client_id == StateDirectory(place).client_id()
        assert ReplicaPairing(adopted=True, identity=None) == StateView(place).pairing("replica")

    @pytest.mark.case("A13")
    def test_client(self, pair: Pair) -> None:
        """A client with damaged state reads its source again, and nothing else is different."""
        pair.server()
        assert pair.once().code == 0
        for number, harm in enumerate(DAMAGES.values()):
            for kept in ("state.json", "index.sqlite"):
                harm(pair.place / "client-state" / kept)
                build(pair.source, {"small": f"{number} {kept}", f"new {number}": File(random_bytes(90_000, number))})
                result = pair.once()

                assert 0 == result.code
                assert [] == differences(pair.source, pair.replica)

    @pytest.mark.case("A13")
    def test_signatures(self, pair: Pair) -> None:
        """A remembered signature that is damaged costs bytes, never a wrong file."""
        pair.server()
        content = random_bytes(1_000_000)
        for number, harm in enumerate([DAMAGES["truncated"], DAMAGES["garbage"], DAMAGES["flipped"]]):
            build(pair.source, {"large": File(content + b"%d" % number)})
            assert pair.once().code == 0
            kept = [path for path in (pair.place / "client-state" / "signatures").iterdir() if path.is_file()]
            for path in kept:
                harm(path)
            build(pair.source, {"large": File(b"inserted" + content + b"%d" % number)})
            result = pair.once()

            assert kept
            assert 0 == result.code
            assert [] == differences(pair.source, pair.replica)

    @pytest.mark.case("A13")
    @pytest.mark.parametrize("damage", ["truncated", "garbage", "another version", "deleted"])
    def test_server(self, pair: Pair, damage: str) -> None:
        """A server with damaged state reads its replica again: nothing is sent that is there."""
        server = pair.server()
        build(pair.source, {"small": "1", "large": File(random_bytes(90_000)), "d/e": "2"})
        first = pair.once()
        server.kill()
        DAMAGES[damage](pair.place / "server-state" / "default.sqlite")
        pair.server()
        again = pair.once()

        assert (0, 0) == (first.code, again.code)
        assert 0 == again.event("sync.completed")["literal_bytes"]
        assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("A14")
def test_leftovers(pair: Pair) -> None:
    """What a crash left in staging is removed at the next start; what other programs put there stays."""
    beside = pair.place / ".replica.dirsync-staging"
    beside.mkdir(mode=0o700)
    (beside / "staged-0123abcd-00000001").write_bytes(b"half a file")
    (beside / "staged-0123abcd-00000002").mkdir()
    (beside / "staged-0123abcd-00000003").symlink_to("/etc")
    (beside / "precious").write_text("not ours")
    (beside / "staged-0123abcd-00000004").mkdir()
    (beside / "staged-0123abcd-00000004" / "inside").write_text("not ours")
    pair.server()
    build(pair.source, {"f": "1"})
    result = pair.once()
    left = {path.name for path in beside.iterdir()}

    assert 0 == result.code
    assert {"precious", "staged-0123abcd-00000004"} == left
    assert [] == differences(pair.source, pair.replica)


@pytest.mark.case("A14", "E07")
def test_name_of_staging_taken(pair: Pair) -> None:
    """A directory of that name which others can read is not ours: it is left alone, and another one is used."""
    beside = pair.place / ".replica.dirsync-staging"
    build(beside, {"staged-0123abcd-00000001": "somebody's"})
    beside.chmod(0o755)
    pair.server()
    build(pair.source, {"f": "1"})
    result = pair.once()

    assert 0 == result.code
    assert "somebody's" == (beside / "staged-0123abcd-00000001").read_text()
    assert [beside] == list(pair.place.glob(".replica*"))


class TestLocks:
    """A process that dies releases its locks."""

    @pytest.mark.case("A16")
    def test_server(self, pair: Pair) -> None:
        """A server starts at once where another was killed, and again."""
        for number in range(3):
            build(pair.source, {"f": str(number)})
            server = pair.server()
            result = pair.once()
            server.kill()

            assert 0 == result.code
            assert str(number) == (pair.replica / "f").read_text()

    @pytest.mark.case("A16")
    def test_client(self, pair: Pair) -> None:
        """A client starts at once where another was killed: same state, same replica."""
        pair.server()
        for number in range(3):
            build(pair.source, {"f": str(number)})
            client = pair.client()
            client.kill()
            result = pair.once()

            assert 0 == result.code
            assert str(number) == (pair.replica / "f").read_text()

    @pytest.mark.case("A16")
    @pytest.mark.faults
    def test_state_gone_with_the_client(self, pair: Pair) -> None:
        """One that lost its state too is another client, and gets the replica when the dead one's time is over."""
        pair.server()
        build(pair.source, {"f": "1"})
        pair.client().kill()
        shutil.rmtree(pair.place / "client-state")
        build(pair.source, {"f": "2"})
        until(lambda: pair.once().code == 0, "the replica to be free", seconds=30)

        assert [] == differences(pair.source, pair.replica)
