"""A source that changes while it is looked at and read: what is published was there, whole, and in the end all of it.

A client is stopped at chosen calls by strace, and changes are made before it goes on.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.faults.syscalls import prefix, stop, wait_until_stopped
from tests.support.running.programs import Pair, Result
from tests.support.running.waiting import until
from tests.support.trees.content import random_bytes
from tests.support.trees.trees import File, build, differences, equal, look

pytestmark = pytest.mark.programs


@contextmanager
def stopped(pair: Pair, call: str, number: int, only: Path) -> Iterator[Callable[[], Result] | None]:
    """``once``, stopped after that call on a path, and a function that continues it; ``None`` if it ended before."""
    log = pair.place / "strace"
    log.write_bytes(b"")
    with ThreadPoolExecutor(1) as pool:
        once = pool.submit(pair.once, "--json", prefix=prefix(log, stop(call, number), only=only))
        until(lambda: once.done() or b"stopped by SIGSTOP" in log.read_bytes(), "once to stop or end")
        if once.done():
            yield None
            return
        pid = wait_until_stopped(log)

        def go_on() -> Result:
            # Another thread may come to its own call of that number, and stop everything again.
            while not once.done():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
                wait([once], 0.05)
            return once.result()

        try:
            yield go_on
        finally:
            go_on()


KINDS: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_bytes(random_bytes(100_000, seed=8)),
    "directory": lambda path: build(path, {"inside": "in it"}),
    "link": lambda path: path.symlink_to("other"),
}
SWAPS = [(one, other) for one in KINDS for other in KINDS if one != other]
POINTS = [("getdents64", 1), ("openat", 2), ("openat", 3), ("newfstatat", 2)]
"""Calls on the source's directory, between which a client lists it, looks at its entries, and opens what it reads."""


@pytest.mark.needs("strace")
class TestBetween:
    """What was seen by the scan is something else when it is read."""

    @pytest.mark.case("D06")
    @pytest.mark.parametrize("number", range(len(SWAPS)), ids=[f"{one}-{other}" for one, other in SWAPS])
    @pytest.mark.parametrize(
        "every", [pytest.param(False, id="one"), pytest.param(True, id="all", marks=pytest.mark.faults)]
    )
    def test_kind_changes(self, pair: Pair, number: int, every: bool) -> None:
        """The replica has the one, the other, or what it had; the next sync has the other."""
        one, other = SWAPS[number]
        pair.server()
        (pair.source / "other").write_text("other")
        for call, at in POINTS if every else [POINTS[number % len(POINTS)]]:
            path = pair.source / "p"
            _clear(path)
            assert pair.once().code == 0
            KINDS[one](path)
            first = look(pair.source)
            with stopped(pair, call, at, pair.source) as go_on:
                assert go_on is not None
                _clear(path)
                KINDS[other](path)
                second = look(pair.source)
                result = go_on()
            found = look(pair.replica)
            again = pair.once()

            assert result.code in (0, 4)
            assert not [name for name in found if found[name] not in (first.get(name), second.get(name))]
            assert 0 == again.code
            assert [] == differences(pair.source, pair.replica)

    @pytest.mark.case("D07")
    @pytest.mark.parametrize("call, number", POINTS)
    def test_vanishes(self, pair: Pair, call: str, number: int) -> None:
        """A file that is gone before it is read is gone: no Problem, no word, and the rest is synced."""
        pair.server()
        build(pair.source, {"kept": "1", "p": File(random_bytes(100_000))})
        with stopped(pair, call, number, pair.source) as go_on:
            assert go_on is not None
            (pair.source / "p").unlink()
            result = go_on()

        assert 0 == result.code
        assert [] == [event for event in result.events if event["level"] in ("warning", "error")]
        assert [] == differences(pair.source, pair.replica)


def _rewrite(path: Path, content: bytes) -> None:
    status = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def _replace(path: Path, content: bytes) -> None:
    path.rename(path.with_name("kept"))
    path.write_bytes(content)


WRITES: dict[str, Callable[[Path, int], object]] = {
    "rewritten": lambda path, size: path.write_bytes(b"b" * size),
    "rewritten, mtime put back": lambda path, size: _rewrite(path, b"b" * size),
    "the end rewritten": lambda path, size: _rewrite(path, b"a" * (size - 1) + b"b"),
    "truncated": lambda path, size: os.truncate(path, size // 2),
    "emptied": lambda path, _: os.truncate(path, 0),
    "appended": lambda path, size: _append(path, b"b" * size),
    "replaced": lambda path, size: _replace(path, b"b" * size),
}


@pytest.mark.needs("strace")
@pytest.mark.case("D01", "D02")
@pytest.mark.parametrize("size", [50_000, 2_500_000])
@pytest.mark.parametrize("write", WRITES)
def test_written_while_read(pair: Pair, write: str, size: int) -> None:
    """A file that changes after its first bytes were read is published as it was or as it is, never as a mixture."""
    pair.server()
    path = pair.source / "f"
    path.write_bytes(b"a" * size)
    states = [look(pair.source)["f"]]
    with stopped(pair, "read", 1, path) as go_on:
        assert go_on is not None
        WRITES[write](path, size)
        states.append(look(pair.source)["f"])
        result = go_on()
    found = look(pair.replica).get("f")
    again = pair.once()

    assert result.code in (0, 4)
    assert found is None or found in states
    assert 0 == again.code
    assert [] == differences(pair.source, pair.replica)


def _clear(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        (path / "inside").unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


class TestTimes:
    """Changes that size and mtime do not show, and times of every kind."""

    @pytest.mark.case("D03")
    def test_mtime_put_back(self, pair: Pair) -> None:
        """A file that is rewritten with the same size and given its old mtime is found by its ctime."""
        pair.server()
        build(pair.source, {"f": File(b"before", mtime_ns=10**18), "large": File(b"a" * 90_000, mtime_ns=10**18)})
        first = pair.once()
        build(pair.source, {"f": File(b"after!", mtime_ns=10**18), "large": File(b"b" * 90_000, mtime_ns=10**18)})
        second = pair.once()

        assert (0, 0) == (first.code, second.code)
        assert [] == differences(pair.source, pair.replica)

    @pytest.mark.case("D04", "D03")
    def test_within_a_tick(self, pair: Pair) -> None:
        """Files that are rewritten right after they were looked at, with the same size and mtime, are found."""
        pair.server()
        names = [f"f{number}" for number in range(200)]
        build(pair.source, dict.fromkeys(names, File(b"first!", mtime_ns=10**18)))
        client = pair.client(rescan_interval="1s", settle="1ms")
        for version in (b"second", b"third!"):
            for number, name in enumerate(names):
                build(pair.source, {name: File(version, mtime_ns=10**18)})
                time.sleep(number % 5 / 5000)
        until(lambda: equal(pair.source, pair.replica), "the last versions")
        client.stop()

        assert {b"third!"} == {(pair.replica / name).read_bytes() for name in names}

    @pytest.mark.case("D05")
    def test_mtimes(self, pair: Pair) -> None:
        """Times before 1970, at the ends of 32 bits, far in the future and to the nanosecond arrive as they are."""
        second = 10**9
        times = [-1, 0, 1, -second, 2**31 * second - 1, 2**31 * second, 2**32 * second, 2**33 * second + 123_456_789]
        times += [time.time_ns() + 86_400 * second, 10**18 + 1]
        build(pair.source, {f"at {mtime}": File(b"x", mtime_ns=mtime) for mtime in times})
        pair.server()
        first = pair.once()
        again = pair.once()

        assert (0, 0) == (first.code, again.code)
        assert 0 == again.event("sync.completed")["files"]
        assert [] == differences(pair.source, pair.replica)

    @pytest.mark.case("D05")
    @pytest.mark.needs("faketime")
    def test_clock_set_back(self, pair: Pair) -> None:
        """A clock that is set back a day, and forward again, between two syncs hides no edit."""
        (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        yesterday = ["env", f"LD_PRELOAD={library}", "FAKETIME=-1d", "FAKETIME_DONT_FAKE_MONOTONIC=1"]
        server, codes = pair.server(), []
        for number, clock in enumerate([[], yesterday, [], yesterday]):
            build(pair.source, {"f": f"version {number}", "d/g": File(bytes([number]) * 80_000, mtime_ns=10**18)})
            codes.append(pair.once(prefix=clock).code)

            assert [] == differences(pair.source, pair.replica)
        server.stop()

        assert [0] * 4 == codes


@pytest.mark.case("D19")
@pytest.mark.privileged
def test_modes(pair: Pair) -> None:
    """Permission bits are kept, the one to execute above all; setuid, setgid and sticky never are."""
    modes = [0o644, 0o755, 0o700, 0o400, 0o000, 0o111, 0o4755, 0o2755, 0o6777, 0o1777]
    build(pair.source, {f"file {mode:o}": File(b"x", mode) for mode in modes})
    for mode in modes:
        (pair.source / f"directory {mode:o}").mkdir()
        (pair.source / f"directory {mode:o}").chmod(mode)
    pair.server()
    first, again = pair.once(), pair.once()
    found = {path.name: path.lstat().st_mode & 0o7777 for path in pair.replica.iterdir()}
    wanted = {f"{kind} {mode:o}": mode & 0o777 for mode in modes for kind in ("file", "directory")}

    assert (0, 0) == (first.code, again.code)
    assert wanted == found
    assert 0 == again.event("sync.completed")["files"]
