"""Removals that others make up for, and approvals of lists that change: the reconciler's part."""

import pytest

from dirsync.tree.entry import directory_entry, pack
from dirsync.tree.guards.hold import Guard, GuardPolicy, hold_id
from dirsync.tree.plan import Delete
from dirsync_client.reconcile.commands import ReportHold
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import Disconnected, HoldApproved
from tests.unit.client.reconcile.harness import Harness
from tests.unit.client.reconcile.model import path, record

SETTLE = 0.5


class Build(Harness):
    """A source with one file that stays, and a build's output."""

    def __init__(self, files: int = 40, *, rested: float = 100.0) -> None:
        super().__init__(Options(delete_settle=SETTLE, policy=GuardPolicy(50, 10_000)))
        self.write("stays", b"stays")
        self.names: list[str] = []
        self._serial = 0
        for number in range(files):
            self.write(f"out{number}", b"out%d" % number)
        self.names = [f"out{number}" for number in range(files)]
        self._serial = files
        self.connect(adopted=True)
        self.run()
        self.wait(rested)

    def remove(self, *names: str) -> None:
        """These leave the source, and that is noticed."""
        for name in names:
            self.source.tree.remove(path(name))
        self.change(*names)

    def empty(self, count: int | None = None) -> None:
        """The output is removed, or so many files of it."""
        gone, self.names = self.names[:count], self.names[len(self.names) if count is None else count :]
        self.remove(*gone)

    def fill(self, count: int) -> None:
        """So many files with new names come."""
        names = [f"out{self._serial + number}" for number in range(count)]
        self._serial += count
        self.names += names
        for name in names:
            self.write(name, name.encode())
        self.change(*names)
        self.run()

    def rest(self) -> None:
        """What is to settle does."""
        for _ in range(10):
            self.wait(SETTLE)
            self.run()

    @property
    def guard(self) -> Guard | None:
        """Why something is held."""
        hold = self.reconciler.view.hold
        return hold and hold.guard

    @property
    def hold_id(self) -> str:
        """What status shows."""
        hold = self.reconciler.view.hold
        assert hold is not None
        return hold.id

    @property
    def equal(self) -> bool:
        """Whether the replica is what the source is."""
        return self.server.digest() == self.source.tree.digest()


@pytest.fixture
def build() -> Build:
    """Both sides are equal, and nothing happened within the window."""
    return Build()


@pytest.mark.case("G06")
@pytest.mark.parametrize("pause", [0.0, 0.1, 3.0, 30.0])
def test_rebuild_is_no_loss(build: Build, pause: float) -> None:
    """Output that is emptied and filled with other names is replaced, however long it was empty within the window."""
    for size in (36, 40, 33, 40):
        build.empty()
        if pause:
            build.wait(pause)
        build.fill(size)
        build.rest()

        assert build.guard is None
        assert build.equal


@pytest.mark.case("G06")
@pytest.mark.parametrize("size", [25, 40, 60])
def test_new_output_before_the_old_goes(build: Build, size: int) -> None:
    """Output that is filled first and cleaned then is replaced as well."""
    for _ in range(2):
        old = len(build.names)
        build.fill(size)
        build.wait(5.0)
        build.empty(old)
        build.rest()

        assert build.guard is None
        assert build.equal
        build.wait(70.0)


@pytest.mark.case("G06")
def test_empty_output_is_held_until_it_is_filled(build: Build) -> None:
    """While nothing came it looks like a loss; when enough has come, it goes without a person."""
    build.empty()
    build.rest()
    guards = [build.guard]
    for size in (10, 15):
        build.fill(size)
        build.rest()
        guards.append(build.guard)

    assert [Guard.DELETE_PERCENT, Guard.DELETE_PERCENT, None] == guards
    assert build.equal


@pytest.mark.case("G06")
@pytest.mark.parametrize("back", [12, 25, 40])
def test_same_names_come_back(build: Build, back: int) -> None:
    """What is held drops out of the hold when it comes back, with other content, and no scan has to find that."""
    names = list(build.names)
    build.empty()
    build.rest()
    guards = [build.guard]
    for name in names[:back]:
        build.write(name, b"of another build")
    build.change(*names[:back])
    build.run()
    build.rest()

    guards.append(build.guard)
    if back == 12:
        hold = build.reconciler.view.hold
        assert hold is not None
        assert sorted(path(name) for name in names[back:]) == sorted(step.path for step in hold.operations)
        assert "28 of 41 entries would be deleted" in hold.message
    else:
        assert [Guard.DELETE_PERCENT, None] == guards
        assert build.equal


@pytest.mark.case("G06")
def test_emptied_source_is_filled(build: Build) -> None:
    """A source that is not empty any more is judged by what it has: other names that came make up for what went."""
    build.empty()
    build.remove("stays")
    build.rest()
    guards = [build.guard]
    build.fill(38)
    build.rest()

    assert [Guard.ROOT_EMPTIED, None] == [*guards, build.guard]
    assert build.equal


@pytest.mark.case("G06")
def test_loss_after_a_rebuild_is_held(build: Build) -> None:
    """A replacement is not credited twice: deletes right after a rebuild are judged by what is left."""
    build.empty()
    build.fill(40)
    build.rest()
    build.empty(21)
    build.rest()

    assert Guard.DELETE_PERCENT is build.guard


@pytest.mark.case("G06")
@pytest.mark.parametrize("pause", [0.0, 5.0])
def test_part_of_what_just_came_is_no_replacement(build: Build, pause: float) -> None:
    """A tree that was just copied and loses most of itself is held, although it is larger than before."""
    build.fill(200)
    build.wait(pause)
    build.empty(150)
    build.rest()

    assert Guard.DELETE_PERCENT is build.guard


@pytest.mark.case("G06")
def test_what_comes_later_is_no_replacement(build: Build) -> None:
    """What comes when the removal is older than the window has nothing to do with it."""
    build.empty()
    build.rest()
    build.wait(70.0)
    build.fill(40)
    build.rest()

    assert Guard.DELETE_PERCENT is build.guard


@pytest.mark.case("G06")
def test_what_comes_and_goes_is_no_replacement(build: Build) -> None:
    """A temporary file that is made again and again does not end a hold, nor does time."""
    build.empty()
    build.rest()
    held = build.hold_id
    for number in range(200):
        build.write(f"tmp{number}", b"")
        build.change(f"tmp{number}")
        build.run()
        build.wait(SETTLE)
        build.remove(f"tmp{number}")
        build.wait(SETTLE)
        build.run()

    assert held == build.hold_id
    assert 1 == sum(isinstance(command, ReportHold) for command in build.seen)
    assert path("tmp198") not in build.server


@pytest.mark.case("G06")
def test_trickle_beside_a_hold_is_held(build: Build) -> None:
    """What was there before the hold stays, also when it goes one by one while something is held."""
    build.empty(30)
    build.rest()
    for name in list(build.names):
        build.remove(name)
        build.rest()

    assert 41 == len(build.server)


@pytest.mark.case("G06")
def test_replaced_while_the_session_was_lost(build: Build) -> None:
    """What came before a session ended still counts in the next one."""
    build.empty()
    build.rest()
    build.fill(36)
    build.tell(Disconnected())
    build.connect(adopted=True)
    build.rest()

    assert build.guard is None
    assert build.equal


@pytest.mark.case("G06")
def test_rebuilt_between_two_runs(build: Build) -> None:
    """A client that finds everything replaced at its first comparison replaces it."""
    later = Build()
    later.server = build.server.copy()
    later.server.remove(path("out0"))
    for number in range(500, 540):
        later.write(f"out{number}", b"")
    for name in later.names:
        later.source.tree.remove(path(name))
    later.tell(Disconnected())
    later.wait(100.0)
    later.connect(adopted=True)
    later.run()
    later.rest()

    assert later.guard is None
    assert later.equal


def _swap(build: Build, version: int, size: int = 3) -> None:
    """Let another version take the place of the one before: its directory comes, the former one goes."""
    names = [f"v{version}/{number}" for number in range(size)]
    build.source.tree.put(path(f"v{version}"), pack(directory_entry(0o755)))
    for name in names:
        build.write(name, name.encode())
    build.change(f"v{version}", *names)
    build.run()
    if version:
        former = [f"v{version - 1}", *(f"v{version - 1}/{number}" for number in range(size))]
        build.source.tree.remove(path(former[0]))
        build.change(*former)


@pytest.mark.case("G06")
@pytest.mark.parametrize("new_first", [True, False])
def test_rebuilds_right_after_the_first_sync(new_first: bool) -> None:
    """What the first sync brought is as old as what was there: a rebuild replaces it, and the next one what came so."""
    build = Build(rested=1.0)
    for size in (36, 25, 40, 44, 30):
        old = len(build.names)
        if not new_first:
            build.empty()
            build.wait(0.2)
        build.fill(size)
        if new_first:
            build.wait(0.5)
            build.empty(old)
        build.wait(1.0)
        build.rest()

        assert build.guard is None
        assert build.equal


@pytest.mark.case("G06")
@pytest.mark.parametrize("pause", [0.0, 0.3, 1.0])
def test_versions_that_follow_each_other(pause: float) -> None:
    """A volume whose content is replaced every moment takes nothing away, also right after it came."""
    build = Build(files=1, rested=0.0)
    for version in range(60):
        _swap(build, version)
        build.wait(pause)
        build.run()

        assert build.guard is None
    build.rest()

    assert build.guard is None
    assert build.equal


@pytest.mark.case("G06")
def test_loss_after_versions_is_held(build: Build) -> None:
    """What the versions were does not make up for anything else that goes."""
    for version in range(20):
        _swap(build, version, size=30)
        build.wait(0.3)
        build.run()
    build.empty()
    build.rest()

    assert Guard.DELETE_PERCENT is build.guard


class TestApproval:
    """A person reads an id and types it while things go on."""

    def test_of_an_earlier_list(self, build: Build) -> None:
        """It releases the paths that the person saw; what came to it since waits for its own approval."""
        build.empty(30)
        build.rest()
        seen = build.hold_id
        build.empty(5)
        build.write("out3", b"back")
        build.change("out3")
        build.rest()
        now = build.hold_id
        released = build.reconciler.view.approval(seen)
        build.tell(HoldApproved(seen))
        build.rest()

        assert seen != now
        assert 29 == released.paths
        assert "no longer held since then: 1 paths of it" in released.message
        assert "out30, out31, out32 and 2 more" in released.message
        assert f"dirsync-client approve {hold_id([Delete(path(f'out{n}'), None) for n in range(30, 35)])}" in (
            released.message
        )
        assert [path("out3")] == [at for at in map(path, (f"out{n}" for n in range(30))) if at in build.server]

    def test_others_come_before_it_is_sent(self, build: Build) -> None:
        """A removal that comes between the approval and the judgement takes nothing from it."""
        build.empty()
        build.rest()
        build.tell(HoldApproved(build.hold_id))
        build.remove("stays")
        build.fill(1)
        build.rest()

        assert not any(path(f"out{number}") in build.server for number in range(40))

    def test_deletes_after_it(self, build: Build) -> None:
        """What was approved is not counted against what goes next."""
        build.empty(30)
        build.rest()
        build.tell(HoldApproved(build.hold_id))
        build.rest()
        build.empty(1)
        build.rest()

        assert build.guard is None
        assert build.equal

    def test_graver_reason(self, build: Build) -> None:
        """An approval of many deletes does not release them when the source's root is another."""
        build.empty()
        build.rest()
        seen = build.hold_id
        build.in_place = False
        build.remove("stays")
        build.rest()
        assert Guard.ROOT_CHANGED is build.guard
        released = build.reconciler.view.approval(seen)
        build.tell(HoldApproved(seen))
        build.rest()

        assert 0 == released.paths
        assert "root_changed" in released.message
        assert 41 == len(build.server)

    def test_unknown_id(self, build: Build) -> None:
        """The answer names what is held now."""
        build.empty()
        build.rest()
        released = build.reconciler.view.approval("0" * 16)

        assert 0 == released.paths
        assert f"approve {build.hold_id}" in released.message

    def test_is_spent(self, build: Build) -> None:
        """The same paths removed once more later are another matter."""
        build.empty()
        build.rest()
        build.tell(HoldApproved(build.hold_id))
        build.rest()
        assert build.equal
        for number in range(40):
            build.write(f"out{number}", b"again")
        build.names = [f"out{number}" for number in range(40)]
        build.change(*build.names)
        build.run()
        build.wait(100.0)
        build.empty()
        build.rest()

        assert Guard.DELETE_PERCENT is build.guard


def test_deep_beside_a_hold() -> None:
    """What comes below many new directories is not looked for above each of them, and what is held is seen."""
    sync = Harness(Options(at_once=True))
    for number in range(5):
        sync.server.put(path(f"theirs{number}"), record(b"theirs"))
    sync.server.put(path("d"), record(b"a file"))
    deep = "d/" * 30 + "x"
    sync.write("e", b"")
    for name in ("a/b/c/x", deep):
        above = ""
        for part in name.split("/")[:-1]:
            above = f"{above}/{part}" if above else part
            sync.source.tree.put(path(above), pack(directory_entry(0o755)))
        sync.write(name, b"new")
    sync.connect()
    sync.run()

    assert path("a/b/c/x") in sync.server
    assert sync.server.record(path("d")) == record(b"a file")
    hold = sync.reconciler.view.hold
    assert hold is not None
    assert path(deep) in {step.path for step in hold.operations}
