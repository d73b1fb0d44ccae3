"""Programs that save their files in many ways beside a client that lives: their last text arrives, under every name."""

import mmap
import os
from pathlib import Path

import pytest

from tests.support.running.programs import Pair
from tests.support.running.waiting import until
from tests.support.trees.trees import File, build, equal

pytestmark = pytest.mark.programs

SAVES = ["in place", "rename", "backup", "unnamed", "truncate", "append", "hard link"]


@pytest.mark.case("D09")
def test_saves(pair: Pair) -> None:
    """However a program saves, its last text arrives."""
    build(pair.source, {f"{how}.txt": "never saved" for how in SAVES})
    pair.server()
    client = pair.client()
    for number in range(5):
        for how in SAVES:
            _save(pair.source / f"{how}.txt", how, f"saved {number}\n")
    until(lambda: equal(pair.source, pair.replica), "what was saved")
    client.stop()

    assert {"saved 4\n"} == {(pair.replica / f"{how}.txt").read_text()[-8:] for how in SAVES}


@pytest.mark.case("D10")
def test_mapped(pair: Pair) -> None:
    """A change by a mapping, for which the kernel sends no event, is found by a rescan."""
    build(pair.source, {"f": File(b"a" * 10_000)})
    pair.server()
    client = pair.client(rescan_interval="1s")
    with (pair.source / "f").open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        file.close()
        for letter in b"bcd":
            mapping[:] = bytes([letter]) * 10_000
            mapping.flush()
            until(lambda: equal(pair.source, pair.replica), "what was mapped")
    client.stop()

    assert b"d" * 10_000 == (pair.replica / "f").read_bytes()


@pytest.mark.case("D11")
def test_hard_link(pair: Pair) -> None:
    """What is changed by one name of a file is right under all of them at once, without a rescan."""
    build(pair.source, {"a/one": "before", "other": "x"})
    (pair.source / "b").mkdir()
    (pair.source / "b/two").hardlink_to(pair.source / "a/one")
    pair.server()
    client = pair.client(rescan_interval="1h")
    with (pair.source / "a/one").open("r+") as file:
        file.write("after!")
    until(lambda: equal(pair.source, pair.replica), "both names")
    (pair.source / "b/two").chmod(0o600)
    until(lambda: equal(pair.source, pair.replica), "the mode of both names")
    (pair.source / "three").hardlink_to(pair.source / "b/two")
    (pair.source / "three").write_text("written by a new name")
    until(lambda: equal(pair.source, pair.replica), "all names")
    client.stop()

    assert {"written by a new name"} == {(pair.replica / name).read_text() for name in ("a/one", "b/two", "three")}
    assert 1 == (pair.replica / "a/one").stat().st_nlink


def _save(path: Path, how: str, text: str) -> None:
    beside = path.with_suffix(".new")
    match how:
        case "in place":
            path.write_text(text)
        case "rename":
            beside.write_text(text)
            beside.replace(path)
        case "backup":
            path.replace(path.with_suffix(".bak"))
            path.write_text(text)
        case "unnamed":
            _save_unnamed(path, text)
        case "truncate":
            os.truncate(path, 0)
            with path.open("r+") as file:
                for letter in text:
                    file.write(letter)
                    file.flush()
        case "append":
            with path.open("a") as file:
                file.write(text)
        case _:
            path.with_suffix(".old").unlink(missing_ok=True)
            path.with_suffix(".old").hardlink_to(path)
            beside.write_text(text)
            beside.replace(path)


def _save_unnamed(path: Path, text: str) -> None:
    """Write a file without a name, and link it when it is complete."""
    directory = os.open(path.parent, os.O_RDONLY)
    unnamed = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY)
    os.write(unnamed, text.encode())
    path.unlink(missing_ok=True)
    os.link(f"/proc/self/fd/{unnamed}", path.name, dst_dir_fd=directory)
    os.close(unnamed)
    os.close(directory)
