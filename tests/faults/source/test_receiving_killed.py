"""Kill -9 and power cuts at the system calls of a two-way client while it applies what came to its source.

By default at a sample of the calls, all of them by ``make faults``: each path is old or new, the next sync converges to
what the other laptop has, no conflict is invented, and nothing of ours is left behind.
"""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.faults.boots import Boots
from tests.support.faults.crashes import Crash, Point, sample
from tests.support.faults.powercut import Kind, disk
from tests.support.faults.receiving import ReceivingSweep
from tests.support.faults.syscalls import kill, prefix, was_killed
from tests.support.running.programs import Pair
from tests.support.trees.trees import look
from tests.support.trees.turns import neither

MINUTES = [pytest.mark.faults, pytest.mark.timeout(900)]
HOURS = [pytest.mark.faults, pytest.mark.timeout(3600)]

pytestmark = [pytest.mark.programs, pytest.mark.needs("strace")]


def wrong(crashes: Iterable[Crash | None]) -> list[str]:
    """What was wrong after any of the crashes."""
    return [f"{crash.at}: {line}" for crash in crashes if crash for line in crash.wrong]


def test_turn(pair: Pair) -> None:
    """What is swept has every kind of operation, forth and back, and is applied without a conflict."""
    sweep = ReceivingSweep(pair, pair.place)
    for _ in range(2):
        _, new = sweep.turn()
        result = sweep.once()
        received = [event for event in result.events if event["event"] == "file.received"]

        assert new == look(sweep.source)
        assert len(received) >= 20
        assert {"put_file", "put_symlink", "make_directory", "set_metadata", "delete"} >= {
            event["operation"] for event in received
        }
        assert [] == sweep.converged(new)


@pytest.mark.case("A02", "A17")
@pytest.mark.parametrize(
    "share", [pytest.param(100, id="sample", marks=pytest.mark.timeout(600)), pytest.param(1, id="every", marks=HOURS)]
)
def test_killed(pair: Pair, share: int) -> None:
    """The client dies before any of the calls by which it changes its source or its state."""
    sweep = ReceivingSweep(pair, pair.place)
    points = sample(sweep.points(), share)
    crashes = [sweep.kill(point) for point in points]

    assert [] == wrong(crashes)
    assert len(points) // 2 < sum(crash is not None for crash in crashes)


@pytest.mark.needs("loop")
@pytest.mark.case("A03", "A04")
@pytest.mark.parametrize("kind", Kind)
def test_power_cut_after_the_end(tmp_path: Path, pair: Pair, kind: Kind) -> None:
    """What somebody wrote without waiting for the disk is there when the client ended well, and at the server too."""
    boots = Boots(tmp_path)
    with disk(tmp_path, kind) as power:
        sweep = ReceivingSweep(pair, power.path, boots)
        steady = sweep.source / "steady/1"
        (sweep.source / "new").write_bytes(b"new" * 10_000)
        steady.write_bytes(b"edited" * 10_000)
        (sweep.source / "mode").unlink()
        assert sweep.once().code == 0
        power.cut_power()
        boots.restart()

        assert [] == sweep.settle_with_the_server()
        assert (b"new" * 10_000, b"edited" * 10_000) == ((sweep.source / "new").read_bytes(), steady.read_bytes())
        assert not (sweep.source / "mode").exists()


@pytest.mark.needs("loop")
@pytest.mark.case("A03", "A04")
@pytest.mark.parametrize(
    "kind, share",
    [
        *(pytest.param(kind, 200, id=f"sample-{kind}", marks=MINUTES) for kind in Kind),
        *(pytest.param(kind, 1, id=f"every-{kind}", marks=HOURS) for kind in Kind),
    ],
)
def test_power_cut(tmp_path: Path, pair: Pair, kind: Kind, share: int) -> None:
    """The power of the laptop goes at any of these calls: what its client had taken over is there, the rest old."""

    def cut(sweep: ReceivingSweep, point: Point) -> Crash | None:
        old, new = sweep.turn()
        result = sweep.once(prefix(pair.place / "strace", kill(*point)))
        power.cut_power()
        boots.restart()
        if not was_killed(pair.place / "strace"):
            lost = neither(look(sweep.source), new, new)
            return Crash(point, [*lost, *sweep.converged(new)]) if result.code == 0 else Crash(point, ["failed"])
        return Crash(point, [*neither(look(sweep.source), old, new), *sweep.converged(new)])

    boots = Boots(tmp_path)
    with disk(tmp_path, kind) as power:
        sweep = ReceivingSweep(pair, power.path, boots)
        points = sample(sweep.points(), share)
        crashes = [cut(sweep, point) for point in points]

    assert [] == wrong(crashes)
    assert crashes
