"""What a mirror is, seen from the command line: what ends where, what is sent for it, and what is left alone."""

import hashlib
import os
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest

from dirsync.limits import KIB, LIMITS, MIB
from tests.support.faults.privileges import without_override
from tests.support.running.log import Event
from tests.support.running.programs import Pair, Result
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, Link, Spec, build, differences, look

pytestmark = pytest.mark.programs

BLOCK = 4 * KIB
OLD = 1_000_000_000_123_456_789
"""A modification time with nanoseconds."""
TREE: Spec = {
    "empty/": None,
    "a/b/c/deep.txt": "deep",
    "a/b/upper.txt": "upper",
    "a/run": File(b"#!/bin/sh\n", mode=0o750, mtime_ns=OLD),
    "large": File(random_bytes(300 * KIB), mode=0o600, mtime_ns=OLD),
    "link": Link("a/run"),
    "none": File(b"", mode=0o444, mtime_ns=0),
}


def completed(result: Result) -> Event:
    """What a sync that went well did."""
    assert 0 == result.code, result
    return result.event("sync.completed")


def strategies(result: Result) -> dict[str, str]:
    """How each file was brought over."""
    return {event["path"]: event["strategy"] for event in result.events if event["event"] == "file.synced"}


class TestFirst:
    """A replica that has nothing of the source."""

    def test_everything_is_mirrored(self, pair: Pair) -> None:
        """Subdirectories, empty ones, links, modes and times to the nanosecond arrive."""
        pair.server()
        build(pair.source, TREE)
        (pair.source / "a").chmod(0o711)
        did = completed(pair.once())

        assert [] == differences(pair.source, pair.replica)
        assert OLD == (pair.replica / "large").stat().st_mtime_ns
        assert (10, 0) == (did["files"], did["deletes"])

    def test_unneeded_paths_go(self, pair: Pair) -> None:
        """What the replica has and a known source does not is removed, whole directories as well."""
        pair.server()
        build(pair.source, TREE)
        build(pair.replica, {"a/b/more/x": "x", "stale": "s", **TREE})
        did = completed(pair.once())

        assert [] == differences(pair.source, pair.replica)
        assert 3 == did["deletes"]

    def test_structure_first(self, pair: Pair) -> None:
        """Directories are there before the first large file is: content comes last."""
        pair.server()
        build(pair.source, {f"d{number}/e/": None for number in range(20)} | {"a-large": File(random_bytes(4 * MIB))})
        plan = pair.command("plan", "--json").json
        client = pair.client(synced=False, bandwidth_limit="1MiB")
        client.wait_for("session.opened")
        deadline = time.monotonic() + 20
        while not (pair.replica / "d19" / "e").is_dir():
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert not (pair.replica / "a-large").exists()
        assert {"make_directory", "put_file"} == {step["operation"] for step in plan["operations"]}

    @pytest.mark.case("D14")
    def test_sizes_around_every_border(self, pair: Pair) -> None:
        """Empty files, single bytes and sizes around blocks, batches and frames are exact."""
        borders = (BLOCK, LIMITS.inline_file_bytes, LIMITS.frame_bytes)
        sizes = {0, 1, *(times * border + off for border in borders for times in (1, 2) for off in (-1, 0, 1))}
        pair.server()
        build(pair.source, {f"{size}": File(random_bytes(size, size)) for size in sizes})
        completed(pair.once())

        assert [] == differences(pair.source, pair.replica)

    @pytest.mark.case("D12")
    def test_special_files_are_left_alone(self, pair: Pair) -> None:
        """FIFOs, sockets and devices are counted as untracked, never opened, and change no exit code."""
        pair.server()
        build(pair.source, {"d/file": "x"})
        os.mkfifo(pair.source / "d" / "fifo")
        if os.geteuid() == 0:
            os.mknod(pair.source / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.path.relpath(pair.source / "socket"))
            result = pair.once("--json")
            verified = pair.command("verify", "--deep")

        assert 0 == result.code
        assert 0 == verified.code
        assert (3 if os.geteuid() == 0 else 2) == result.json["untracked"]
        assert [] == result.json["problems"]
        assert {"d", "d/file"} == look(pair.replica).keys()

    def test_long_names_and_deep_directories(self, pair: Pair, request: pytest.FixtureRequest) -> None:
        """A path of 2000 directories, far over PATH_MAX, and names of 255 bytes are mirrored."""
        depth = 2000
        pair.server()
        build(pair.source, {"n" * 255: "long", "ü" * 127: "long too"})
        _make_deep(pair.source, depth)
        request.addfinalizer(lambda: _remove_deep(pair.source, pair.replica))
        completed(pair.once())
        verified = pair.command("verify", "--deep", "--json")

        assert 0 == verified.code
        assert depth + 3 == verified.json["entries"]
        assert b"bottom" == _read_deep(pair.replica, depth)
        assert "long" == (pair.replica / ("n" * 255)).read_text()

    @pytest.mark.needs("modes")
    def test_read_only_directories(self, pair: Pair) -> None:
        """Without special powers, directories that may not be written are filled, changed and emptied all the same."""
        powerless = without_override()
        pair.server(prefix=powerless)
        build(pair.source, {"ro/sub/a": "1", "ro/b": "2", "w": "3"})
        for name in ("ro/sub", "ro"):
            (pair.source / name).chmod(0o555)
        first = pair.once(prefix=powerless)
        equal_first = differences(pair.source, pair.replica)
        (pair.source / "ro/sub/a").unlink()
        build(pair.source, {"ro/b": "other", "ro/sub/c": "new"})
        second = pair.once(prefix=powerless)

        assert (0, 0) == (first.code, second.code)
        assert [] == equal_first
        assert [] == differences(pair.source, pair.replica)
        for tree in (pair.source, pair.replica):
            for name in ("ro", "ro/sub"):
                (tree / name).chmod(0o755)


class TestAgain:
    """A replica that has most of it."""

    def test_only_differences_travel(self, pair: Pair) -> None:
        """A small change in a large tree costs its size and a listing of where it is; no change costs nothing."""
        listed = 10 + 2 * 30  # entries of the root and of the two directories that differ
        pair.server()
        build(pair.source, {f"d{number % 10}/f{number}": File(random_bytes(8 * KIB, number)) for number in range(300)})
        first = completed(pair.once())
        (pair.source / "d3/f3").write_bytes(random_bytes(5 * KIB))
        (pair.source / "d4/f4").unlink()
        second = completed(pair.once())
        third = completed(pair.once())

        assert 300 * 8 * KIB < first["wire_bytes"]
        assert (1, 1, 5 * KIB) == (second["files"], second["deletes"], second["literal_bytes"])
        assert second["wire_bytes"] < 6 * KIB + listed * 80
        assert (0, 0, 0) == (third["files"], third["deletes"], third["literal_bytes"])
        assert third["wire_bytes"] < 1 * KIB
        assert [] == differences(pair.source, pair.replica)

    def test_touch_sends_metadata(self, pair: Pair) -> None:
        """A file of which only mode or time changed is recognised by its SHA-256: no content is sent."""
        pair.server()
        build(pair.source, TREE)
        completed(pair.once())
        os.utime(pair.source / "large", ns=(0, OLD + 1))
        (pair.source / "a/run").chmod(0o700)
        result = pair.once()

        assert {"large": "metadata", "a/run": "metadata"} == strategies(result)
        assert 0 == completed(result)["literal_bytes"]
        assert [] == differences(pair.source, pair.replica)

    def test_same_size_and_time_other_content(self, pair: Pair) -> None:
        """Another content of the same size is sent even where size and modification time are the same."""
        pair.server()
        build(pair.source, TREE)
        completed(pair.once())
        build(pair.source, {"large": File(random_bytes(300 * KIB, 1), mode=0o600, mtime_ns=OLD)})
        result = pair.once()

        assert {"large": "whole"} == strategies(result)
        assert [] == differences(pair.source, pair.replica)

    def test_lost_index_sends_nothing(self, pair: Pair) -> None:
        """Without STATE_DIR everything is read again and, being equal, not sent: it counts as saved, ``unchanged``."""
        pair.server()
        build(pair.source, TREE)
        completed(pair.once())
        shutil.rmtree(pair.place / "client-state")
        for path in ("large", "a/run"):
            os.utime(pair.source / path, ns=(0, OLD + 5))
        client = pair.client()
        done = client.log.all("sync.completed")[0]
        samples = client.metrics()

        size = sum(path.lstat().st_size for path in pair.source.rglob("*") if path.is_file() and not path.is_symlink())

        assert 0 == done["literal_bytes"]
        assert size == done["saved_bytes"] == done["logical_bytes"]
        assert size == samples.value("dirsync_saved_bytes_total", reason="unchanged")
        assert [] == differences(pair.source, pair.replica)

    def test_both_indexes_lost(self, pair: Pair) -> None:
        """Client and server that have both forgotten everything find each other equal and move nothing."""
        server = pair.server()
        build(pair.source, TREE)
        completed(pair.once())
        before = {path: path.lstat().st_ino for path in pair.replica.rglob("*")}
        server.stop()
        for side in ("client", "server"):
            shutil.rmtree(pair.place / f"{side}-state")
        pair.server()
        did = completed(pair.once())

        assert (0, 0, 0) == (did["files"], did["deletes"], did["literal_bytes"])
        assert before == {path: path.lstat().st_ino for path in pair.replica.rglob("*")}

    def test_kinds_change(self, pair: Pair) -> None:
        """Files, directories and links take each other's places."""
        pair.server()
        build(pair.source, {"a": "file", "b/x": "1", "c": Link("a"), "d": "file", "e/y": "2", "f": Link("b")})
        completed(pair.once())
        for name in ("a", "c", "d", "f"):
            (pair.source / name).unlink()
        for name in ("b", "e"):
            shutil.rmtree(pair.source / name)
        build(pair.source, {"a/x": "1", "b": "file", "c": "file", "d": Link("a"), "e": Link("b"), "f/y": "2"})
        completed(pair.once(guard_max_delete_percent=100))

        assert [] == differences(pair.source, pair.replica)


class TestLarge:
    """Files that travel in frames."""

    def test_several_at_once(self, pair: Pair) -> None:
        """Several large files are under way at the same time, and a small one does not wait for them."""
        pair.server()
        spec: Spec = {f"large{number}": File(random_bytes(2 * MIB, number)) for number in range(3)}
        build(pair.source, {**spec, "z-small": "small"})
        client = pair.client(bandwidth_limit="2MiB", compression="none")
        synced = client.log.all("file.synced")
        began = {event["path"]: _seconds(event) - event["duration_ms"] / 1000 for event in synced}
        ended = {event["path"]: _seconds(event) for event in synced}
        large = sorted(spec)

        assert max(began[name] for name in large) < min(ended[name] for name in large)
        assert ended["z-small"] < min(ended[name] for name in large)
        assert [] == differences(pair.source, pair.replica)

    def test_content_survives(self, pair: Pair) -> None:
        """A file of many frames arrives with its SHA-256."""
        pair.server()
        content = random_bytes(20 * MIB + 12_345)
        build(pair.source, {"d/large": content})
        did = completed(pair.once())

        assert hashlib.sha256(content).digest() == hashlib.sha256((pair.replica / "d/large").read_bytes()).digest()
        assert len(content) == did["literal_bytes"]


class TestAttributes:
    """Which attributes are mirrored."""

    def test_setuid_never(self, pair: Pair) -> None:
        """Setuid, setgid and sticky bits stay behind, and both sides count as equal."""
        pair.server()
        build(pair.source, {"tool": File(b"x", mode=0o6755), "shared/": None})
        (pair.source / "shared").chmod(0o3777)
        completed(pair.once())
        seen = look(pair.replica)

        assert (0o755, 0o777) == (seen["tool"].mode, seen["shared"].mode)
        assert 0 == completed(pair.once())["files"]
        assert 0 == pair.command("verify").code

    def test_fixed_permissions(self, pair: Pair) -> None:
        """PERMISSIONS=fixed sets the mode of every file and directory; that is equal, and nothing is done twice."""
        pair.server(permissions="fixed", file_mode="0640", dir_mode="0750")
        build(pair.source, TREE)
        completed(pair.once())
        seen = look(pair.replica)
        (pair.source / "a/run").chmod(0o777)
        second = completed(pair.once())

        assert {0o640} == {found.mode for found in seen.values() if found.kind == "file"}
        assert {0o750} == {found.mode for found in seen.values() if found.kind == "directory"}
        assert (0, 0) == (second["files"], second["deletes"])
        assert 0 == pair.command("verify", "--deep").code

    def test_times_left_alone(self, pair: Pair) -> None:
        """PRESERVE_MTIME=false does not set the source's times, nor counts them as differences."""
        pair.server()
        build(pair.source, TREE)
        completed(pair.once(preserve_mtime=False))
        os.utime(pair.source / "large", ns=(0, OLD + 1))
        second = completed(pair.once(preserve_mtime=False))

        assert OLD != (pair.replica / "large").stat().st_mtime_ns
        assert (0, 0) == (second["files"], second["literal_bytes"])
        assert 0 == pair.command("verify", "--deep", preserve_mtime=False).code

    def test_links_ignored(self, pair: Pair) -> None:
        """SYMLINKS=ignore leaves links out and sees no difference in that."""
        pair.server()
        build(pair.source, {**TREE, "d/dangling": Link("/nowhere")})
        completed(pair.once(symlinks="ignore"))
        verified = pair.command("verify", symlinks="ignore")

        assert not [path for path, found in look(pair.replica).items() if found.kind == "link"]
        assert 0 == verified.code
        assert 0 == completed(pair.once(symlinks="ignore"))["files"]

    def test_links_are_data(self, pair: Pair) -> None:
        """Links are kept as they are, wherever they point, and never followed."""
        outside = pair.place / "outside"
        build(outside, {"secret": "s"})
        links = {
            "up": "..",
            "out": str(outside),
            "loop": "loop",
            "dangling": "nowhere",
            "odd": "\udcff",
            "l": "x" * 4095,
        }
        pair.server()
        build(pair.source, {name: Link(target) for name, target in links.items()})
        completed(pair.once())

        assert [] == differences(pair.source, pair.replica)
        assert {"secret"} == look(outside).keys()


def _make_deep(root: Path, depth: int) -> None:
    descriptor = os.open(root, os.O_DIRECTORY)
    for number in range(depth):
        os.mkdir(f"d{number}", dir_fd=descriptor)
        descriptor = _into(descriptor, f"d{number}")
    bottom = os.open("file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=descriptor)
    os.write(bottom, b"bottom")
    os.close(bottom)
    os.close(descriptor)


def _remove_deep(*roots: Path) -> None:
    """Python's own way recurses, and so does pytest's when it tidies up later."""
    subprocess.run(["rm", "-rf", *(root / "d0" for root in roots)], check=True, timeout=60)


def _read_deep(root: Path, depth: int) -> bytes:
    descriptor = os.open(root, os.O_DIRECTORY)
    for number in range(depth):
        descriptor = _into(descriptor, f"d{number}")
    bottom = os.open("file", os.O_RDONLY, dir_fd=descriptor)
    content = os.read(bottom, 100)
    os.close(bottom)
    os.close(descriptor)
    return content


def _into(descriptor: int, name: str) -> int:
    below = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=descriptor)
    os.close(descriptor)
    return below


def _seconds(event: Event) -> float:
    hours, minutes, seconds = event["timestamp"].partition("T")[2].rstrip("Z").split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
