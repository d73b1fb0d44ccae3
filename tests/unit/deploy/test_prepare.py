"""Who gets which mount point before the services start; what it does for real is in ``tests/e2e/containers``."""

import importlib.util
import itertools
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.outside.manifests import REPOSITORY
from tests.support.trees.trees import Link, build


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare", REPOSITORY / "deploy" / "compose" / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


prepare = _load()
ROOT, USER, PERSON, STRANGER = (prepare.Owner(uid, uid) for uid in (0, 65532, 1000, 100_000))
READ, WRITE = (
    prepare.Place.parse(text) for text in ("read:/mnt/source=./data/source", "write:/mnt/replica=./data/replica")
)


@pytest.mark.parametrize(
    "place, usable, owner, expected",
    [
        (WRITE, False, ROOT, USER),
        (WRITE, False, PERSON, USER),
        (WRITE, False, STRANGER, USER),
        (WRITE, True, STRANGER, None),
        (READ, False, STRANGER, USER),
        (READ, True, ROOT, PERSON),
        (READ, True, PERSON, None),
        (READ, True, STRANGER, None),
    ],
)
def test_empty(place: object, usable: bool, owner: object, expected: object) -> None:
    """An empty directory is given to the user who needs it: that of the services, or the owner of the project."""
    actual = prepare.new_owner(place, usable=usable, empty=True, owner=owner, user=USER, project=PERSON)

    assert expected == actual


@pytest.mark.parametrize(
    "place, usable, owner", list(itertools.product((READ, WRITE), (True, False), (ROOT, STRANGER)))
)
def test_not_empty(place: object, usable: bool, owner: object) -> None:
    """A directory that is not empty keeps its owner."""
    assert None is prepare.new_owner(place, usable=usable, empty=False, owner=owner, user=USER, project=PERSON)


def test_project_of_root() -> None:
    """Where root cloned the project, the source stays root's."""
    assert None is prepare.new_owner(READ, usable=True, empty=True, owner=ROOT, user=USER, project=ROOT)


@pytest.mark.privileged
def test_own(tmp_path: Path) -> None:
    """A volume of the services' own follows them with all that is in it; a link there leads nowhere else."""
    outside = tmp_path / "outside"
    outside.write_text("somebody else's")
    volume = tmp_path / "volume"
    build(volume, {"index": "", "signatures/deep/one": "", "link": Link(str(outside))})
    place = prepare.Place.parse(f"own:{volume}=server-state")
    said = [prepare.prepare(place, USER, PERSON) for _ in range(2)]
    owners = {path.relative_to(tmp_path).parts[0]: path.lstat().st_uid for path in tmp_path.rglob("*")}

    assert [None, None] == said
    assert {"outside": 0, "volume": 65532} == owners
    assert {65532} == {path.lstat().st_uid for path in (volume, *volume.rglob("*"))}


@pytest.mark.parametrize(
    "place, words",
    [
        (READ, ["./data/source", "owner 1000:1000", "mode 0700", "cannot be read by uid 65532", "PUID=1000", "a+rX"]),
        (WRITE, ["./data/replica", "cannot be written by uid 65532", "PGID=1000", "sudo chown -R 65532:65532"]),
    ],
)
def test_refusal(place: object, words: list[str]) -> None:
    """A refusal is one line: the directory by its path on the host, its owner, the missing access, and what to do."""
    line = prepare.refusal(place, USER, PERSON, 0o40700)

    assert [] == [word for word in words if word not in line]
    assert "\n" not in line
