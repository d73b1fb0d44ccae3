"""What a link leads to is looked at with the link: the link may be newer than what was looked at by then."""

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from dirsync.endpoint.source.source import Source, SourceOptions
from dirsync.fs.index.index import Index
from dirsync.fs.root import Root
from dirsync.tree.path import ROOT, RelPath


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """A source with one version, a link to it, and a link to that one."""
    (tmp_path / "state").mkdir()
    (tmp_path / "source/v1/sub").mkdir(parents=True)
    (tmp_path / "source/v1/sub/f").write_text("1")
    (tmp_path / "source/current").symlink_to("v1")
    index = Index.open(tmp_path / "state", "index.sqlite")
    source = Source(Root.open(tmp_path / "source"), index, SourceOptions(b".dirsyncignore"))
    for _ in source.scan():
        pass
    yield source
    source.close()


def lead_to(top: Path, target: str) -> None:
    """Let the link lead there, at once."""
    (top / "tmp").symlink_to(target)
    (top / "tmp").rename(top / "current")


@pytest.mark.parametrize("known", ["nothing", "empty", "partly"])
def test_directory(source: Source, tmp_path: Path, known: str) -> None:
    """All of a directory is found, however much of it was known before."""
    top = tmp_path / "source"
    if known != "nothing":
        (top / "v2").mkdir()
        source.look([RelPath(b"v2")])
    if known == "partly":
        (top / "v2/key").write_text("old")
        source.look([RelPath(b"v2/key")])
    (top / "v2/sub").mkdir(parents=True)
    (top / "v2/sub/f").write_text("2")
    (top / "v2/key").write_text("new key")
    lead_to(top, "v2")
    changed = source.look([RelPath(b"current")])
    key = source.tree.get(RelPath(b"v2/key"))

    assert key is not None
    assert 7 == key.size
    assert {b"current", b"v2/key", b"v2/sub/f"} <= set(changed)


def test_swapped_meanwhile(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that was replaced while what it led to was looked at is known as it is now, with what is behind it."""
    top = tmp_path / "source"
    scan = source.scan

    def scan_late(starts: Iterable[RelPath] = (ROOT,), *, deep: bool = True) -> Iterator[list[RelPath]]:
        if (top / "v2").exists():
            (top / "v3").mkdir()
            (top / "v3/key").write_text("3")
            lead_to(top, "v3")
            shutil.rmtree(top / "v2")
        return scan(starts, deep=deep)

    (top / "v2").mkdir()
    (top / "v2/key").write_text("2")
    source.look([RelPath(b"v2")])
    lead_to(top, "v2")
    monkeypatch.setattr(source, "scan", scan_late)
    changed = source.look([RelPath(b"current")])
    entry = source.tree.get(RelPath(b"current"))

    assert entry is not None
    assert b"v3" == entry.target
    assert {b"current", b"v2", b"v3", b"v3/key"} <= set(changed)


def test_file(source: Source, tmp_path: Path) -> None:
    """So is a file, behind another link."""
    top = tmp_path / "source"
    (top / "v1/sub/f").write_text("longer")
    (top / "v2").symlink_to("v1/sub")
    lead_to(top, "v2/f")
    changed = source.look([RelPath(b"current")])
    entry = source.tree.get(RelPath(b"v1/sub/f"))

    assert entry is not None
    assert 6 == entry.size
    assert {b"current", b"v2", b"v1/sub/f"} == set(changed)


@pytest.mark.parametrize("target", ["absent", "v1/absent/x", "../outside", "/absolute", "current", ".", "fifo/x"])
def test_nothing(source: Source, tmp_path: Path, target: str) -> None:
    """A link that leads to nothing, out of the source, or to what holds it costs nothing more."""
    lead_to(tmp_path / "source", target)
    (tmp_path / "source/other").write_text("not looked at")

    assert [RelPath(b"current")] == source.look([RelPath(b"current")])
    assert RelPath(b"other") not in source.tree
