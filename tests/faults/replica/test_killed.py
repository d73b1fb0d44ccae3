"""Kill -9 at system calls of either side, in the middle of a plan with every kind of change.

By default at a sample of the calls, all of them by ``make faults``: each path is old or new, the next cycle puts
everything right, and nothing of ours is left behind.
"""

from collections.abc import Iterable, Iterator, Sequence

import pytest

from tests.support.faults.crashes import Crash, Sweep, points_of, sample
from tests.support.faults.syscalls import MUTATING, fail
from tests.support.running.programs import Pair

STATE = tuple(name for name in MUTATING if name != "openat")
"""Calls by which a client changes its state; at its start it opens too many files for those to be among them."""
TALKING = ("sendmsg", "recvmsg", "connect", "shutdown")
"""Calls by which a program talks to the other."""
LOOKING = ("newfstatat", "read", "readv", "pread64", "getdents64", "readlinkat", "futex", "close", "flock", "clone3")
"""Calls that change nothing, but between which the state of a program differs."""
NO_EXCHANGE = fail("renameat2", "EINVAL", "1+")
SWAPPED = (
    "exchanged-left",
    "exchanged-right",
    "file-directory",
    "directory-file",
    "link-directory",
    "directory-link",
)
"""Paths that are absent for a moment where the kernel exchanges nothing."""
HOURS = [pytest.mark.faults, pytest.mark.timeout(3600)]

pytestmark = [pytest.mark.programs, pytest.mark.needs("strace")]


@pytest.fixture
def sweep(pair: Pair) -> Iterator[Sweep]:
    """A pair that is ready to die."""
    sweep = Sweep(pair)
    yield sweep
    sweep.close()


def wrong(crashes: Iterable[Crash | None]) -> list[str]:
    """What was wrong after any of the crashes."""
    return [f"{crash.at}: {line}" for crash in crashes if crash for line in crash.wrong]


def test_plan(sweep: Sweep) -> None:
    """What is swept has every kind of operation, forth and back."""
    for turn in range(2):
        result, made = sweep.turn()
        synced = [event for event in result.events if event["event"] == "file.synced"]
        ways = {event["reason"] for event in synced}
        swapped = {name for call in made if call.name == "renameat2" for name in SWAPPED if name in call.names}

        assert {"small", "similar", "known_content", "same_file", "same_content"} == ways - {"new"}
        assert ("new" in ways) == (turn == 0)
        assert len(synced) + len([event for event in result.events if event["event"] == "file.deleted"]) >= 20
        assert set(SWAPPED) == swapped
        assert {"mkdirat", "symlinkat", "unlinkat", "fchmod", "utimensat", "renameat"} < {call.name for call in made}


@pytest.mark.case("A01", "A17")
@pytest.mark.parametrize("share", [pytest.param(40, id="sample"), pytest.param(1, id="every", marks=HOURS)])
def test_server(sweep: Sweep, share: int) -> None:
    """A server dies before any of the calls by which it changes a file, and is started again."""
    points = sample(sweep.server_points(), share)
    crashes = [sweep.kill_server(point) for point in points]

    assert [] == wrong(crashes)
    assert 2 * len(points) // 3 < sum(crash is not None for crash in crashes)


@pytest.mark.case("A17")
@pytest.mark.parametrize(
    "names, share",
    [
        pytest.param(("renameat",), 9, id="sample"),
        pytest.param(("renameat", "unlinkat", "mkdirat"), 1, id="every", marks=HOURS),
    ],
)
def test_server_that_cannot_exchange(sweep: Sweep, names: Sequence[str], share: int) -> None:
    """Where the kernel exchanges nothing, what was to be swapped may be absent too, until the next cycle."""
    turns = [[call for call in sweep.turn(names, NO_EXCHANGE)[1] if call.name in names] for _ in range(2)]
    points = sample(points_of(*turns), share)
    crashes = [sweep.kill_server(point, NO_EXCHANGE, absent=SWAPPED) for point in points]

    assert [] == wrong(crashes)
    assert 2 * len(points) // 3 < sum(crash is not None for crash in crashes)


@pytest.mark.case("A02", "A17")
@pytest.mark.parametrize("share", [pytest.param(30, id="sample"), pytest.param(1, id="every", marks=HOURS)])
def test_client(sweep: Sweep, share: int) -> None:
    """``once`` dies before any of the calls by which it changes its state or talks; the source stays untouched."""
    points = sample(sweep.client_points((*STATE, *TALKING)), share)
    crashes = [sweep.kill_client(point) for point in points]

    assert [] == wrong(crashes)
    # How many messages it takes differs from turn to turn, so a part of the points is not reached.
    assert len(points) // 2 < sum(crash is not None for crash in crashes)


@pytest.mark.case("A02")
@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_looking_client(sweep: Sweep) -> None:
    """``once`` dies at one of the thousands of calls by which it starts, looks and waits."""
    points = sample(sweep.client_points(("openat", *LOOKING)), 40)
    crashes = [sweep.kill_client(point) for point in points]

    assert [] == wrong(crashes)
    assert 2 * len(points) // 3 < sum(crash is not None for crash in crashes)
