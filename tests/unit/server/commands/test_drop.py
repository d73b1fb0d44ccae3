"""What a namespace has left on a server is listed and removed, and nothing that is in use."""

import json
from pathlib import Path
from typing import Any

import pytest

from dirsync.endpoint.quota import Quota
from dirsync.endpoint.replica import Replica, ReplicaPolicy, index_name
from dirsync_server.__main__ import main

TOKEN = "0" * 63 + "1"
POLICY = ReplicaPolicy(Quota(1 << 20, 1 << 20, 100, 0))


class House:
    """A server's directories, with a copy of ``red`` that was closed, and nothing of ``blue``."""

    def __init__(self, place: Path) -> None:
        self.root = place / "red"
        self.state = place / "state"
        self.tenants = place / "tenants.toml"
        self.tenants.write_text(
            "".join(
                f'[namespaces.{name}]\nroot = "{place / name}"\ntokens_sha256 = ["{TOKEN}"]\n'
                for name in ("red", "blue")
            )
        )
        (self.root / "directory" / "below").mkdir(parents=True)
        (self.root / "directory" / "below" / "file").write_bytes(b"content")
        (self.root / "link").symlink_to(place / "elsewhere")
        (place / "elsewhere").mkdir()
        (place / "elsewhere" / "kept").write_bytes(b"kept")
        self.state.mkdir()
        self.open().close()

    def open(self) -> Replica:
        """As a server does."""
        replica = Replica.open("red", self.root, self.state, POLICY)
        replica.scan()
        return replica

    def run(self, *arguments: str, **settings: str) -> int:
        """A command with this server's settings; its exit status."""
        flags = {"tenants-file": str(self.tenants), "state-dir": str(self.state), **settings}
        return main([*arguments, *(f"--{name}={value}" for name, value in flags.items())])


@pytest.fixture
def house(tmp_path: Path) -> House:
    """The directories of a test."""
    return House(tmp_path)


def listed(house: House, capsys: pytest.CaptureFixture[str]) -> Any:
    """What is there."""
    assert house.run("namespaces", "--json") == 0
    return json.loads(capsys.readouterr().out)["copies"]


def test_copies_are_listed(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """With what they hold and for how long nobody has used them; an open one is told apart."""
    (closed,) = listed(house, capsys)
    replica = house.open()
    (opened,) = listed(house, capsys)
    replica.close()

    assert ("red", False, 4) == (closed["namespace"], closed["open"], closed["entries"])
    assert closed["idle_seconds"] < 60
    assert (True, None) == (opened["open"], opened["idle_seconds"])


def test_a_copy_is_dropped(house: House, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Nothing is left of it, and nothing else is touched; without --yes it is only shown."""
    shown = house.run("drop", "red")
    there = house.root.exists()
    done = house.run("drop", "red", "--yes")
    capsys.readouterr()

    assert (0, True, 0, False) == (shown, there, done, house.root.exists())
    assert not (house.state / index_name("red")).exists()
    assert [] == listed(house, capsys)
    assert b"kept" == (tmp_path / "elsewhere" / "kept").read_bytes()


def test_what_is_in_use_is_not_dropped(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says what to wait for, and everything stays."""
    replica = house.open()
    code = house.run("drop", "red", "--yes")
    replica.close()

    assert 2 == code
    assert "in use" in capsys.readouterr().err
    assert (house.root / "directory" / "below" / "file").exists()


def test_the_only_copy_is_not_dropped(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    """On shared storage there is no other one."""
    code = house.run("drop", "red", "--yes", storage="shared")

    assert (2, True) == (code, house.root.exists())
    assert "one copy" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["blue", "green"])
def test_what_is_not_there_cannot_be_dropped(house: House, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A namespace without a copy here, and one that nobody knows."""
    assert 2 == house.run("drop", name, "--yes")
    assert "has nothing of" in capsys.readouterr().err
