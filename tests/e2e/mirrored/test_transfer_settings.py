"""Settings that change how content travels and how it is kept: each really does what it says."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from dirsync.limits import KIB, MIB
from tests.support.running.log import Event
from tests.support.running.programs import Pair
from tests.support.trees.content import random_bytes, text
from tests.support.trees.trees import File, Spec, build, differences

pytestmark = pytest.mark.programs

SIZE = 400 * KIB
RULES = "*.log\n/build/\n!keep.log\n"
SOURCE: Spec = {".dirsyncignore": RULES, "a.log": "mine", "keep.log": "kept", "src/x": "1", "src/x.tmp": "t"}


def sync(pair: Pair, **settings: Any) -> Event:
    """Sync everything into an empty replica, and see that it is equal."""
    result = pair.once(guard_max_delete_percent=100, **settings)

    assert 0 == result.code
    assert [] == differences(pair.source, pair.replica)
    return result.event("sync.completed")


class TestCompression:
    """COMPRESSION, for files in frames and in batches."""

    @pytest.mark.parametrize("compression", ["gzip", "zstd", "auto"])
    def test_what_shrinks(self, pair: Pair, compression: str) -> None:
        """Content that shrinks is sent compressed, and the saved bytes are reported."""
        pair.server()
        build(pair.source, {"frames": text(SIZE), "batch": text(20 * KIB)})
        did = sync(pair, compression=compression)

        assert SIZE + 20 * KIB == did["literal_bytes"] == did["logical_bytes"]
        assert did["wire_bytes"] < 0.35 * SIZE
        assert did["saved_bytes"] + did["wire_bytes"] == pytest.approx(SIZE + 20 * KIB, abs=2 * KIB)

    @pytest.mark.parametrize("compression", ["gzip", "auto", "none"])
    def test_what_does_not(self, pair: Pair, compression: str) -> None:
        """Random content saves nothing and costs no more than itself; ``none`` does not even try with text."""
        pair.server()
        content = text(SIZE) if compression == "none" else random_bytes(SIZE)
        build(pair.source, {"frames": content, "batch": content[: 20 * KIB]})
        did = sync(pair, compression=compression)

        assert 0 == did["saved_bytes"]
        assert did["wire_bytes"] == pytest.approx(SIZE + 20 * KIB, abs=2 * KIB)


class TestPace:
    """How fast, and in what pieces."""

    def test_bandwidth_limit(self, pair: Pair) -> None:
        """BANDWIDTH_LIMIT bounds the bytes per second, after a burst of one second's worth."""
        pair.server()
        build(pair.source, {f"f{number}": File(random_bytes(MIB // 2, number)) for number in range(5)})
        limited = sync(pair, bandwidth_limit="1MiB", compression="none")["duration_ms"]
        build(pair.source, {f"g{number}": File(random_bytes(MIB // 2, 5 + number)) for number in range(5)})
        free = sync(pair, compression="none")["duration_ms"]

        assert 1_400 < limited  # no machine is too slow for that
        assert free < limited

    @pytest.mark.parametrize("size", ["512", "16MiB"])
    def test_block_size(self, pair: Pair, size: str) -> None:
        """BLOCK_SIZE is taken at both ends of what is allowed."""
        pair.server()
        build(pair.source, {"f": File(random_bytes(SIZE))})

        assert SIZE == sync(pair, block_size=size)["logical_bytes"]


@pytest.mark.needs("strace")
def test_fsync(pair: Pair) -> None:
    """FSYNC=always forces each file, ``batch`` a few times per commit, ``never`` not at all."""
    counts = {}
    build(pair.source, {f"d{number % 3}/f{number}": "x" for number in range(30)})
    for policy in ("always", "batch", "never"):
        trace = pair.place / f"{policy}.trace"
        prefix = ["strace", "-D", "-f", "-qq", "-e", "trace=fsync,fdatasync,syncfs", "-o", str(trace)]
        shutil.rmtree(pair.replica, ignore_errors=True)
        shutil.rmtree(pair.place / "server-state", ignore_errors=True)
        server = pair.server(prefix=prefix, fsync=policy)
        _started(trace, server.address)
        sync(pair)
        counts[policy] = sum("replica" in line or "sync" in line for line in trace.read_text().splitlines())
        server.kill()  # strace now and then forgets to pass a signal on; nothing is asked of the end here

    assert 30 <= counts["always"]
    assert 1 <= counts["batch"] < 30
    assert 0 == counts["never"]


class TestLimits:
    """What is refused is named with its limit, and nothing else suffers for it."""

    @pytest.mark.parametrize(
        "setting,value,refused",
        [
            ("max_file_size", "10KiB", {"big"}),
            ("quota_bytes", "20KiB", {"big"}),
            ("quota_entries", "3", {"z/last"}),
        ],
    )
    def test_limit(self, pair: Pair, setting: str, value: str, refused: set[str]) -> None:
        """Other paths are synced, the exit code is 4, and the message has the limit's name."""
        told: dict[str, Any] = {setting: value}
        pair.server(**told)
        build(pair.source, {"a": "small", "big": File(random_bytes(20 * KIB)), "z/last": File(random_bytes(2 * KIB))})
        result = pair.once("--json")
        problems = {problem["path"]: problem for problem in result.json["problems"]}

        assert 4 == result.code
        assert refused == problems.keys()
        assert {"limit"} == {problem["kind"] for problem in problems.values()}
        assert all(setting.upper() in problem["message"] for problem in problems.values())
        assert (pair.replica / "a").exists()
        assert {"file.problem"} == {event["event"] for event in result.events if event["level"] == "warning"}

    def test_limit_lifted(self, pair: Pair) -> None:
        """What was refused goes through as soon as the limit allows it."""
        server = pair.server(max_file_size="10KiB")
        build(pair.source, {"big": File(random_bytes(300 * KIB))})
        refused = pair.once()
        server.stop()
        pair.server()

        assert 4 == refused.code
        assert "problem: big has 307200 bytes; MAX_FILE_SIZE allows 10240" == refused.stdout.splitlines()[0]
        assert 1 == sync(pair)["files"]

    def test_free_space(self, pair: Pair) -> None:
        """MIN_FREE_BYTES keeps the disk from being filled; directories and links are synced, and readiness shows it."""
        server = pair.server(min_free_bytes=1 << 60)
        build(pair.source, {"d/f": "x"})
        result = pair.once()

        assert 4 == result.code
        assert "MIN_FREE_BYTES" in result.stdout.splitlines()[0]
        assert (pair.replica / "d").is_dir()
        assert not (pair.replica / "d/f").exists()
        assert 1 == server.command("health", "--ready", metrics_listen=f"127.0.0.1:{server.http_port}").code


class TestIgnore:
    """Ignored paths are left alone on both sides."""

    def test_both_sides(self, pair: Pair) -> None:
        """The rules of the file and of IGNORE hold for what the source has and for what the replica has."""
        pair.server()
        build(pair.source, {**SOURCE, "build/out": "o"})
        build(pair.replica, {"a.log": "theirs", "build/other": "o", "src/y.tmp": "t", "src/gone": "g"})
        first = pair.once(ignore="*.tmp")
        second = pair.once(ignore="*.tmp")
        files = {str(p.relative_to(pair.replica)): p.read_text() for p in pair.replica.rglob("*") if p.is_file()}

        assert (0, 0) == (first.code, second.code)
        assert {
            ".dirsyncignore": RULES,
            "a.log": "theirs",
            "keep.log": "kept",
            "src/x": "1",
            "build/other": "o",
            "src/y.tmp": "t",
        } == files
        assert (0, 0) == _moved(second.event("sync.completed"))
        assert 0 == pair.command("verify", "--deep", ignore="*.tmp").code

    def test_directories_of_ignored_content_only(self, pair: Pair) -> None:
        """A directory that has nothing else is there on neither side's account: not made, not deleted, no flapping.

        Nor does it matter that the server saw it before it received the ignore rules.
        """
        build(pair.source, {".dirsyncignore": "*.log", "logs/deep/a.log": "1", "both/": None, "x": "x"})
        build(pair.replica, {"theirs/deep/b.log": "2", "both/c.log": "3"})
        pair.server()
        verified = pair.command("verify", "--json")
        plan = pair.command("plan", "--json")
        runs = [pair.once() for _ in range(2)]
        left = {str(p.relative_to(pair.replica)) for p in pair.replica.rglob("*")}

        assert [".dirsyncignore", "both", "x"] == sorted(step["path"] for step in plan.json["operations"])
        assert [] == plan.json["holds"]
        assert [".dirsyncignore", "both", "x"] == [line["path"] for line in verified.json["differences"]]
        assert [0, 0] == [run.code for run in runs]
        assert {".dirsyncignore", "both", "both/c.log", "x", "theirs", "theirs/deep", "theirs/deep/b.log"} == left
        assert (0, 0) == _moved(runs[1].event("sync.completed"))

    def test_directory_with_ignored_content_leaves_the_source(self, pair: Pair) -> None:
        """A directory that leaves the source goes at the replica, save what is ignored there; then there is peace."""
        pair.server()
        build(pair.source, {".dirsyncignore": "*.log", "d/x": "x", "y": "y"})
        pair.once()
        build(pair.replica, {"d/their.log": "kept"})
        shutil.rmtree(pair.source / "d")
        runs = [pair.once() for _ in range(2)]

        assert [0, 0] == [run.code for run in runs]
        assert ["their.log"] == [path.name for path in (pair.replica / "d").iterdir()]
        assert (0, 0) == _moved(runs[1].event("sync.completed"))
        assert 0 == pair.command("verify").code

    def test_file_in_place_of_a_directory_with_ignored_content(self, pair: Pair) -> None:
        """Ignored content is never removed for what takes its directory's place: a problem, and the rest goes on."""
        pair.server()
        build(pair.source, {".dirsyncignore": "*.log", "d/x": "x"})
        pair.once()
        build(pair.replica, {"d/their.log": "kept"})
        shutil.rmtree(pair.source / "d")
        build(pair.source, {"d": "now a file", "z": "z"})
        result = pair.once("--json")

        assert 4 == result.code
        assert ["d"] == [problem["path"] for problem in result.json["problems"]]
        assert "kept" == (pair.replica / "d/their.log").read_text()
        assert (pair.replica / "z").exists()


def _moved(event: Event) -> tuple[int, int]:
    return event["files"], event["deletes"]


def _started(trace: Path, address: str) -> None:
    """Forget what the server did to start."""
    assert address
    trace.write_text("")
