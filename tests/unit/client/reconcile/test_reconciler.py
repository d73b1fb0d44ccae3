"""The reconciler as a whole: events in, commands out. Nothing here starts a process or touches a disk."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from dirsync.limits import LIMITS
from dirsync.tree.diff import Change
from dirsync.tree.entry import FileIdentity, pack
from dirsync.tree.guards.hold import Guard, GuardPolicy
from dirsync.tree.outcome import Outcome
from dirsync.tree.plan import Delete, MakeDirectory, Move, PutFile, SetMetadata
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.reconcile.commands import (
    AcceptMounts,
    Adopt,
    CheckSource,
    HashFile,
    ListReplica,
    LookAt,
    RememberRecord,
    ReportFailed,
    ReportHold,
    ReportRelease,
    ReportUnchanged,
    SpendApproval,
    WakeAt,
)
from dirsync_client.reconcile.context import PROMPT_ATTEMPTS, Options
from dirsync_client.reconcile.dispatch import Dispatcher
from dirsync_client.reconcile.events import (
    Disconnected,
    FileHashed,
    HoldApproved,
    ReplicaListed,
    Settled,
    SourceScanned,
    Tick,
    Unsent,
)
from dirsync_client.reconcile.path_states import Phase
from tests.unit.client.reconcile.harness import Harness, paths
from tests.unit.client.reconcile.model import directory, entry, path, record, unread

A, B, D = path("a"), path("b"), path("d")


@pytest.fixture
def sync() -> Harness:
    """A source with a directory and two files, and an empty replica."""
    sync = Harness()
    sync.source.tree.put(D, directory())
    sync.write("a", b"one")
    sync.write("d/b", b"two")
    return sync


@pytest.fixture
def synced(sync: Harness) -> Harness:
    """The same after the first sync."""
    sync.connect()
    sync.run()
    sync.seen.clear()
    return sync


class TestSync:
    """From two trees to one."""

    def test_first(self, sync: Harness) -> None:
        """Everything is sent, parents first, and then both sides are known to be equal."""
        sync.connect()
        sent = sync.settle()

        assert [D, A, path("d/b")] == paths(sent)
        assert sync.reconciler.view.in_sync
        assert sync.source.tree.digest() == sync.server.digest()
        assert 0 == sync.reconciler.view.pending

    def test_nothing_to_do(self, synced: Harness) -> None:
        """A session that finds both sides equal sends nothing."""
        synced.tell(Disconnected())
        synced.connect(adopted=True)

        assert [] == synced.outgoing
        assert synced.reconciler.view.in_sync

    def test_not_before_a_session(self, sync: Harness) -> None:
        """Without a session nothing is sent, whatever the source shows."""
        sync.change("a", "d")

        assert [] == sync.seen
        assert not sync.reconciler.view.in_sync

    def test_change(self, synced: Harness) -> None:
        """A change is one operation, and is remembered as sent."""
        synced.write("a", b"another")
        synced.change("a")
        sent = synced.settle()

        assert [A] == paths(sent)
        assert RememberRecord(A, record(b"another")) in synced.seen
        assert synced.reconciler.view.in_sync

    def test_change_meanwhile(self, synced: Harness) -> None:
        """What changes while it is on its way is compared again after that."""
        synced.write("a", b"another")
        synced.change("a")
        synced.write("a", b"a third")
        synced.change("a")
        first = synced.settle()
        second = synced.settle()

        assert [[A], [A]] == [paths(first), paths(second)]
        assert synced.reconciler.view.in_sync
        assert entry(b"a third") == synced.server.get(A)

    def test_mode_only(self, synced: Harness) -> None:
        """Metadata travels without content."""
        synced.source.tree.put(A, pack(entry(b"one")._replace(mode=0o600)))
        synced.change("a")
        (sent,) = synced.settle()

        assert isinstance(sent.operation, SetMetadata)

    def test_same_events_same_commands(self) -> None:
        """Two reconcilers that are told the same do the same."""
        seen = []
        for _ in range(2):
            sync = Harness()
            sync.write("a", b"one")
            sync.connect()
            sync.settle(Outcome.STORAGE)
            sync.wait(LIMITS.retry_initial_seconds)
            sync.look()
            seen.append(sync.seen)

        assert seen[0] == seen[1]

    def test_bulk_in_parts(self) -> None:
        """A large comparison goes on by itself, a bounded part at a time."""
        sync = Harness()
        for number in range(2000):
            sync.write(f"f{number:04}", b"%d" % number)
        sync.connect()

        assert 2000 == len(sync.settle())
        assert sync.reconciler.view.in_sync


class TestReading:
    """Files that may be equal."""

    def test_unchanged(self, synced: Harness) -> None:
        """A file of the same size is read; if it is equal, nothing is sent but what else has changed."""
        synced.source.tree.put(A, pack(unread(b"one")))
        synced.change("a")
        planned = synced.source.tree.record(A)
        asked = [command for command in synced.seen if isinstance(command, HashFile)]
        synced.tell(FileHashed(A, planned, record(b"one")))

        assert [HashFile(A, planned, 3)] == asked
        assert ReportUnchanged(entry(b"one"), moved=False) in synced.seen
        assert [] == synced.outgoing
        assert synced.reconciler.view.in_sync

    def test_changed_while_read(self, synced: Harness) -> None:
        """A digest of what is not there any more is not believed: the file is read again."""
        synced.source.tree.put(A, pack(unread(b"one")))
        synced.change("a")
        planned = synced.source.tree.record(A)
        synced.source.tree.put(A, pack(unread(b"two")._replace(mtime_ns=5)))
        synced.tell(FileHashed(A, planned, record(b"one")))

        assert 2 == sum(isinstance(command, HashFile) for command in synced.seen)

    def test_unreadable(self, synced: Harness) -> None:
        """A file that cannot be read is a problem, is looked at, and is tried again later."""
        synced.source.tree.put(A, pack(unread(b"one")))
        synced.change("a")
        problem = Problem(A, ProblemKind.UNREADABLE, "permission denied")
        synced.tell(FileHashed(A, synced.source.tree.record(A), problem))

        assert {A: problem} == synced.reconciler.view.problems
        assert LookAt((A,), retry=False) in synced.seen
        assert not synced.reconciler.view.in_sync

    def test_below_what_vanished(self, synced: Harness) -> None:
        """Where a directory above is gone, the file is free again, and both are looked at."""
        at = path("d/b")
        synced.source.tree.put(at, pack(unread(b"two")))
        synced.change("d/b")
        gone = Problem(D, ProblemKind.VANISHED, "gone")
        synced.tell(FileHashed(at, synced.source.tree.record(at), gone))

        assert Phase.IDLE is synced.reconciler.view.phase(at)
        assert LookAt((D, at), retry=True) in synced.seen

    def test_vanished_and_back(self, sync: Harness) -> None:
        """A file that was gone when it was to be read, and has changed meanwhile, is sent as it is now."""
        sync.connect()
        first = next(transmit for transmit in sync.outgoing if transmit.path == A)
        sync.outgoing.remove(first)
        sync.settle()
        sync.write("a", b"another")
        sync.change("a")
        sync.tell(Unsent(first, Problem(A, ProblemKind.VANISHED, "gone")))
        sync.look()
        (again,) = sync.outgoing

        assert sync.source.tree.record(A) == again.planned


class TestFailures:
    """What the server does not do."""

    def test_pauses_grow(self, sync: Harness) -> None:
        """A path with a problem is tried again after 1, 2, 4 seconds and so on, at last every minute."""
        sync.connect()
        pauses = []
        sync.outgoing = [transmit for transmit in sync.outgoing if transmit.path == A]
        for _ in range(9):
            sync.settle(Outcome.STORAGE)
            assert sync.wake_at is not None
            pauses.append(sync.wake_at - sync.now)
            sync.wait(pauses[-1])
            sync.look()

        assert [1, 2, 4, 8, 16, 32, 60, 60, 60] == pauses

    def test_very_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """However many paths have a problem, so many are tried again in a second, and once the cause is gone, all."""
        monkeypatch.setattr("dirsync_client.reconcile.context.LIMITS", replace(LIMITS, retries_per_second=0.5))
        sync = Harness(Options())
        for number in range(200):
            sync.write(f"{number:03}", b"content %d" % number)
        sync.connect()
        tries = 0
        begun = sync.now
        while sync.now < begun + 1000:
            tries += len(sync.outgoing)
            sync.settle(*[Outcome.STORAGE] * len(sync.outgoing))
            sync.wait(1.0)
            sync.look()
        for _ in range(20):
            sync.wait(1.0)
            sync.look()
            sync.settle()

        first, retried, probes = 200, 0.5 * 1000, 1000 / LIMITS.probe_seconds
        assert tries <= 2 * (first + retried + probes)  # each first asks whether it would be taken
        assert sync.reconciler.view.in_sync

    def test_solved(self, synced: Harness) -> None:
        """After a success the next series starts with the shortest pause."""
        for content in (b"one failure", b"after a success"):
            synced.write("a", content)
            synced.change("a")
            synced.settle(Outcome.STORAGE)
            assert synced.wake_at == synced.now + LIMITS.retry_initial_seconds
            synced.wait(LIMITS.retry_initial_seconds)
            synced.look()
            synced.settle()  # it would be taken
            synced.settle()

        assert synced.reconciler.view.in_sync

    def test_hint_is_sooner(self, sync: Harness) -> None:
        """A change of the path is tried at once; a change beside it is not."""
        sync.connect()
        sync.outgoing = [transmit for transmit in sync.outgoing if transmit.path == A]
        sync.settle(Outcome.STORAGE)
        sync.change("a")
        not_yet = list(sync.outgoing)
        sync.change(retried=["a"])

        assert [] == not_yet
        assert [A] == paths(sync.outgoing)

    def test_changed_is_tried_at_once(self, synced: Harness) -> None:
        """What was not there any more as planned is tried again at once, a few times, and then has to wait."""
        synced.write("a", b"another")
        synced.change("a")
        for _ in range(PROMPT_ATTEMPTS):
            synced.settle(Outcome.CHANGED)
        tried = paths(synced.outgoing)
        synced.settle(Outcome.CHANGED)

        assert [A] == tried
        assert [] == synced.outgoing
        assert synced.wake_at == synced.now + LIMITS.retry_initial_seconds
        assert PROMPT_ATTEMPTS + 1 == sum(isinstance(command, ReportFailed) for command in synced.seen)

    def test_what_is_in_a_replaced_directory(self) -> None:
        """A directory waits while something in it cannot be removed: both are tried again, more and more rarely."""
        sync = Harness(Options())
        sync.server.put(path("b"), directory())
        sync.server.put(path("b/a"), directory())
        sync.write("b", b"a file now")
        sync.connect(adopted=True)
        sent = 0
        for _ in range(240):
            sync.wait(0.25)
            sync.look()
            sent += len(sync.outgoing)
            answers = {path("b/a"): Outcome.REFUSED, path("b"): Outcome.CHANGED}
            sync.settle(*(answers[transmit.path] for transmit in sync.outgoing))

        assert 2 <= sent <= 14
        assert path("b/a") in sync.reconciler.view.problems

        sync.server.remove(path("b/a"))
        sync.wait(LIMITS.retry_max_seconds)
        for _ in range(8):
            sync.wait(0.25)
            sync.look()
            sync.run()

        assert sync.reconciler.view.in_sync

    def test_hand_edit(self, synced: Harness) -> None:
        """What the server says is there now is what the next plan is made from."""
        synced.server.put(A, record(b"by hand"))
        synced.write("a", b"another")
        synced.change("a")
        synced.settle(Outcome.CHANGED)
        (again,) = synced.settle()
        synced.run()

        assert entry(b"by hand") == again.operation.expected
        assert synced.reconciler.view.in_sync

    @pytest.mark.parametrize(
        "outcome, kind",
        [
            (Outcome.STORAGE, ProblemKind.STORAGE),
            (Outcome.REFUSED, ProblemKind.REFUSED),
            (Outcome.LIMIT, ProblemKind.LIMIT),
            (Outcome.UNSUPPORTED, ProblemKind.UNSUPPORTED),
            (Outcome.UNKNOWN, ProblemKind.REFUSED),
        ],
    )
    def test_kinds(self, synced: Harness, outcome: Outcome, kind: ProblemKind) -> None:
        """A failure is a problem of the kind that it has."""
        synced.write("a", b"another")
        synced.change("a")
        synced.settle(outcome)

        assert [kind] == [problem.kind for problem in synced.reconciler.view.problems.values()]

    def test_below_a_directory_that_failed(self, sync: Harness) -> None:
        """Nothing is sent into a directory that cannot be made; it follows when the directory is there."""
        sync.connect()
        made = [transmit for transmit in sync.outgoing if isinstance(transmit.operation, MakeDirectory)]
        sync.outgoing = [transmit for transmit in sync.outgoing if transmit not in made]
        below = [transmit for transmit in sync.outgoing if transmit.path == path("d/b")]
        sync.outgoing = made + below
        sync.settle(Outcome.STORAGE, Outcome.CHANGED)
        waiting = (sync.reconciler.view.phase(D), sync.reconciler.view.phase(path("d/b")), list(sync.outgoing))
        sync.wait(LIMITS.retry_initial_seconds)
        sync.look()
        sent = paths(sync.outgoing)

        assert (Phase.FAILED, Phase.BLOCKED, []) == waiting
        assert [D, path("d/b")] == sent

    def test_another_replica(self, synced: Harness) -> None:
        """A root digest that is not the expected one has the replica listed again, and repaired."""
        synced.server.put(B, record(b"a stranger"))
        synced.write("a", b"another")
        synced.change("a")
        synced.settle()
        (listing,) = synced.listings
        synced.run()

        assert synced.server.digest() == listing.root_digest or B not in synced.server
        assert B not in synced.server
        assert synced.reconciler.view.in_sync

    def test_listed_when_nothing_is_on_its_way(self, synced: Harness) -> None:
        """The replica is listed when everything is settled, and nothing is sent meanwhile."""
        synced.write("a", b"another")
        synced.write("b", b"a new one")
        synced.change("a", "b")
        first, second = synced.outgoing
        synced.server.put(path("x"), record(b"by hand"))
        synced.outgoing = [first]
        synced.settle()
        early = list(synced.listings)
        synced.outgoing = [second]
        synced.settle()
        synced.write("c", b"meanwhile")
        synced.change("c")
        waiting = list(synced.outgoing)
        synced.run()

        assert ([], []) == (early, waiting)
        assert synced.reconciler.view.in_sync


class TestSession:
    """Sessions come and go."""

    def test_lost(self, sync: Harness) -> None:
        """What was on its way when a session ended is compared again in the next one."""
        sync.connect()
        sync.tell(Disconnected())
        sync.outgoing.clear()
        away = (sync.reconciler.view.in_sync, sync.reconciler.view.pending)
        sync.connect()
        sync.run()

        assert (False, 0) == away
        assert sync.reconciler.view.in_sync

    def test_problems_outlive_it(self, synced: Harness) -> None:
        """A problem is shown until it is tried again."""
        synced.write("a", b"another")
        synced.change("a")
        synced.settle(Outcome.STORAGE)
        synced.tell(Disconnected())
        shown = list(synced.reconciler.view.problems)
        synced.connect(adopted=True)
        synced.run()

        assert [A] == shown
        assert {} == synced.reconciler.view.problems

    def test_scans_of_the_replica(self, synced: Harness) -> None:
        """One scan of the replica is asked for at a time; what is asked for meanwhile follows it."""
        synced.scans_at_once = False
        for _ in range(3):
            synced.tell(SourceScanned(both_sides=True))
        first, working = synced.rescans, synced.reconciler.view.is_working
        synced.tell(Settled([], [], synced.server.digest(), rescanned=True))
        second = synced.rescans
        synced.tell(Settled([], [], synced.server.digest(), rescanned=True))

        assert (1, True, 2, 2) == (first, working, second, synced.rescans)
        assert not synced.reconciler.view.is_working

    def test_adopted_once(self, sync: Harness) -> None:
        """Both sides are equal: that this source belongs to this replica is remembered, once."""
        sync.connect()
        sync.run()
        sync.write("a", b"another")
        sync.change("a")
        sync.run()

        assert 1 == sum(isinstance(command, Adopt) for command in sync.seen)

    def test_moved_root_is_not_adopted(self, sync: Harness) -> None:
        """A source that is not where it was is not remembered; it is checked again after the next scan only."""
        sync.in_place = False
        sync.connect()
        sync.run()
        checks = sum(isinstance(command, CheckSource) for command in sync.seen)
        sync.in_place = True
        sync.tell(SourceScanned(both_sides=False))

        assert 1 == checks
        assert isinstance(sync.seen[-1], Adopt)


class TestDeletes:
    """What left the source."""

    def test_last(self, synced: Harness) -> None:
        """What left is removed, the content of a directory before the directory."""
        synced.source.tree.remove(D)
        synced.change("d")
        sent = synced.settle()

        assert [path("d/b"), D] == paths(sent)
        assert all(isinstance(transmit.operation, Delete) for transmit in sent)
        assert synced.reconciler.view.in_sync

    def test_settle(self) -> None:
        """A running client waits until no more removals come."""
        sync = Harness(Options(delete_settle=5.0))
        sync.write("a", b"one")
        sync.write("b", b"two")
        sync.connect()
        sync.run()
        sync.source.tree.remove(A)
        sync.change("a")
        early = list(sync.outgoing)
        wake = sync.wake_at
        sync.wait(5.0)

        assert ([], 5.0) == (early, wake)
        assert [A] == paths(sync.outgoing)

    def test_back_in_time(self) -> None:
        """What comes back before it is judged is not removed."""
        sync = Harness(Options(delete_settle=5.0))
        sync.write("a", b"one")
        sync.write("b", b"two")
        sync.connect()
        sync.run()
        sync.source.tree.remove(A)
        sync.change("a")
        sync.write("a", b"one")
        sync.change("a")
        sync.wait(5.0)

        assert [] == sync.outgoing
        assert sync.reconciler.view.in_sync

    def test_never(self, sync: Harness) -> None:
        """With DELETE=never what left stays, and both sides count as in sync."""
        sync = Harness(Options(deletes=False, at_once=True))
        sync.write("a", b"one")
        sync.connect()
        sync.run()
        sync.source.tree.remove(A)
        sync.change("a")

        assert [] == sync.outgoing
        assert sync.reconciler.view.in_sync

    def test_never_replaces_a_directory(self) -> None:
        """With DELETE=never a file does not take a directory's place: that is a problem, and says what to do."""
        sync = Harness(Options(deletes=False, at_once=True))
        sync.source.tree.put(D, directory())
        sync.connect()
        sync.run()
        sync.write("d", b"a file now")
        sync.change("d")

        assert [] == sync.outgoing
        assert [ProblemKind.REFUSED] == [problem.kind for problem in sync.reconciler.view.problems.values()]

    @pytest.fixture
    def never(self) -> Harness:
        """With DELETE=never, a first sync into a replica that has much that the source does not know."""
        sync = Harness(Options(deletes=False, at_once=True))
        sync.write("a", b"ours")
        sync.server.put(A, record(b"theirs"))
        for name in ("x", "y", "z"):
            sync.server.put(path(name), record(name.encode()))
        sync.connect()
        sync.run()
        return sync

    @pytest.mark.case("G07")
    def test_never_overwrites(self, never: Harness) -> None:
        """With DELETE=never what would be overwritten in such a replica is held, and updated once that is approved."""
        hold = never.reconciler.view.hold
        problems = never.reconciler.view.problems
        assert hold is not None
        never.tell(HoldApproved(hold.id))
        never.run()
        never.write("a", b"ours again")
        never.change("a")
        never.run()

        assert (Guard.FOREIGN, [A], {}) == (hold.guard, [step.path for step in hold.operations], problems)
        assert never.server.record(A) == record(b"ours again")
        assert all(path(name) in never.server for name in ("x", "y", "z"))
        assert never.reconciler.view.in_sync

    @pytest.mark.parametrize("becomes", ["nothing", "in the way"])
    def test_never_overwrites_what_is_kept(self, never: Harness, becomes: str) -> None:
        """What was to be overwritten and left the source is kept, and held no more; so is a directory in the way."""
        if becomes == "nothing":
            never.source.tree.remove(A)
        else:
            never.server.put(A, directory())
            never.server.put(path("a/b"), record(b"b"))
            never.tell(ReplicaListed(never.server.copy()))
        never.change("a")
        kinds = [problem.kind for problem in never.reconciler.view.problems.values()]

        assert never.reconciler.view.hold is None
        assert [] == never.outgoing
        assert ([] if becomes == "nothing" else [ProblemKind.REFUSED]) == kinds
        assert (becomes == "nothing") == never.reconciler.view.in_sync


class TestGuards:
    """Removals that need someone's word."""

    @pytest.fixture
    def held(self) -> Harness:
        """A source that lost all of its twelve files."""
        sync = Harness(Options(at_once=True, policy=GuardPolicy(50, 10_000)))
        for number in range(12):
            sync.write(f"f{number}", b"%d" % number)
        sync.write("stays", b"")
        sync.connect()
        sync.run()
        sync.seen.clear()
        for number in range(12):
            sync.source.tree.remove(path(f"f{number}"))
        sync.change(*(f"f{number}" for number in range(12)))
        return sync

    def test_held(self, held: Harness) -> None:
        """Too many removals are held, and shown."""
        hold = held.reconciler.view.hold

        assert hold is not None
        assert (Guard.DELETE_PERCENT, 12, []) == (hold.guard, len(hold.operations), held.outgoing)
        assert ReportHold(hold) in held.seen
        assert 12 == held.reconciler.view.phases[Phase.HELD]
        assert not held.reconciler.view.is_working

    def test_everything_else_flows(self, held: Harness) -> None:
        """What is not held is sent."""
        held.write("new", b"new")
        held.change("new")

        assert [path("new")] == paths(held.settle())
        assert held.reconciler.view.hold is not None

    def test_approved(self, held: Harness) -> None:
        """Approval releases exactly the list, and is spent."""
        hold = held.reconciler.view.hold
        assert hold is not None
        held.tell(HoldApproved(hold.id))
        held.run()

        assert SpendApproval(hold.id) in held.seen
        assert ReportRelease(hold) in held.seen
        assert held.reconciler.view.hold is None
        assert held.reconciler.view.in_sync

    def test_deletes_under_way_count(self) -> None:
        """Removals that were released and are not settled count with those that come after them."""
        sync = Harness(Options(delete_settle=0.0, policy=GuardPolicy(50, 10_000)))
        for number in range(12):
            sync.write(f"f{number}", b"%d" % number)
        sync.connect()
        sync.run()
        sync.source.tree.remove(path("f0"))
        sync.change("f0")
        (first,) = sync.outgoing
        for number in range(1, 10):
            sync.source.tree.remove(path(f"f{number}"))
        sync.change(*(f"f{number}" for number in range(1, 10)))

        assert sync.reconciler.view.hold is not None
        assert [first] == sync.outgoing

    def test_unknown_approval(self, held: Harness) -> None:
        """Another id releases nothing."""
        held.tell(HoldApproved("0" * 16))

        assert [] == held.outgoing
        assert held.reconciler.view.hold is not None

    def test_approved_without_a_session(self, held: Harness) -> None:
        """A hold is shown and can be approved while no session is open; the next one acts on it."""
        hold = held.reconciler.view.hold
        assert hold is not None
        held.tell(Disconnected())
        shown = held.reconciler.view.hold
        held.tell(HoldApproved(hold.id))
        held.connect(adopted=True)
        held.run()

        assert hold == shown
        assert held.reconciler.view.in_sync

    def test_over_when_the_reason_is_gone(self, held: Harness) -> None:
        """What comes back is not held any more."""
        for number in range(12):
            held.write(f"f{number}", b"%d" % number)
        held.change(*(f"f{number}" for number in range(12)))
        held.tell(SourceScanned(both_sides=False))

        assert held.reconciler.view.hold is None
        assert held.reconciler.view.in_sync

    def test_root_moved(self, synced: Harness) -> None:
        """Nothing is removed while the source's root is not where it was."""
        synced.in_place = False
        synced.source.tree.remove(A)
        synced.change("a")
        hold = synced.reconciler.view.hold

        assert hold is not None
        assert Guard.ROOT_CHANGED is hold.guard

    @pytest.mark.case("G10")
    def test_mount_that_changed(self, synced: Harness) -> None:
        """What a mount hides is held; when it shows again and both sides are equal, the mount is accepted."""
        d, b = path("d"), path("d/b")
        known = synced.source.tree.record(b)
        assert known is not None
        synced.source.mounts_changed.add(d)
        synced.source.tree.remove(b)
        synced.change("d/b")
        hold = synced.reconciler.view.hold
        accepted = [command for command in synced.seen if isinstance(command, AcceptMounts)]
        synced.source.tree.put(b, known)
        synced.change("d/b")

        assert hold is not None
        assert (Guard.MOUNT_CHANGED, [b]) == (hold.guard, [step.path for step in hold.operations])
        assert [] == accepted
        assert set() == synced.source.mounts_changed
        assert synced.reconciler.view.in_sync

    @pytest.mark.case("F04", "G05")
    @pytest.mark.parametrize(
        "kept, guard",
        [pytest.param(9, None, id="most"), pytest.param(3, Guard.ROOT_CHANGED, id="few")],
    )
    def test_root_made_again(self, held: Harness, kept: int, guard: Guard | None) -> None:
        """Another root with most of the replica's names is the same source, made again; one with few of them is not."""
        held.source.identity = FileIdentity(1, 3)
        for number in range(kept):
            held.write(f"f{number}", b"another %d" % number)
        held.change(*(f"f{number}" for number in range(kept)))
        held.tell(SourceScanned(both_sides=False))
        held.run()
        hold = held.reconciler.view.hold

        assert guard == (hold and hold.guard)
        assert held.reconciler.view.in_sync == (hold is None)

    def test_foreign(self, sync: Harness) -> None:
        """A replica that the source does not know keeps what it has, overwrites included, until that is approved."""
        sync.server.put(A, record(b"theirs"))
        for name in ("x", "y", "z"):
            sync.server.put(path(name), record(name.encode()))
        sync.connect()
        sent = sync.settle()
        hold = sync.reconciler.view.hold
        assert hold is not None
        sync.tell(HoldApproved(hold.id))
        sync.run()

        assert [D, path("d/b")] == paths(sent)
        assert Guard.FOREIGN is hold.guard
        assert {A, path("x"), path("y"), path("z")} == {step.path for step in hold.operations}
        assert sync.reconciler.view.in_sync


def test_overwrite_that_came_after_an_approval() -> None:
    """A file that changed after its foreign replica's hold was approved is sent, not forgotten."""
    live = Harness(Options())
    live.write("b", b"ours")
    for name in ("x", "y", "z"):
        live.server.put(path(name), record(name.encode()))
    live.connect()
    live.run()
    live.wait(5)
    hold = live.reconciler.view.hold
    assert hold is not None
    live.write("b", b"changed since")
    live.change("b")
    live.tell(HoldApproved(hold.id))
    for _ in range(3):
        live.wait(5)
        live.run()

    assert live.reconciler.view.in_sync
    assert live.server.record(path("b")) == live.source.tree.record(path("b"))


def test_no_waking_while_listing(synced: Harness) -> None:
    """Nothing is due while the replica is listed, whatever waits: the answer comes first."""
    synced.write("b", b"fails")
    synced.change("b")
    synced.settle(Outcome.STORAGE)
    synced.write("a", b"another")
    synced.server.put(path("x"), record(b"by hand"))
    synced.change("a")
    synced.settle()
    synced.wait(10 * LIMITS.retry_initial_seconds)

    assert synced.listings
    assert synced.wake_at is None


def test_ticks_cost_nothing(synced: Harness) -> None:
    """A quiet reconciler that is woken wants nothing."""
    synced.tell(Tick())

    assert [] == synced.seen


def test_wakes_when_something_is_due(sync: Harness) -> None:
    """A client that waits for nothing is not woken; one with a problem is."""
    sync.connect()
    sync.settle()
    quiet = sync.wake_at
    sync.write("a", b"another")
    sync.change("a")
    sync.settle(Outcome.STORAGE)

    assert quiet is None
    assert WakeAt(LIMITS.retry_initial_seconds) in sync.seen


def test_late_listing_is_taken(synced: Harness) -> None:
    """A listing replaces what was known, and everything is compared with it."""
    synced.server.remove(A)
    synced.tell(ReplicaListed(synced.server.copy()))
    (sent,) = synced.settle()

    assert isinstance(sent.operation, PutFile)
    assert A == sent.path
    assert not any(isinstance(command, ListReplica) for command in synced.seen)


def test_a_renamed_directory_is_compared_at_its_top(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a directory is moved, what is in it is not compared one by one, however much that is."""
    sync = Harness(Options())
    sync.source.tree.put(D, directory())
    for number in range(50):
        sync.write(f"d/{number}", b"%d" % number)
    sync.server = sync.source.tree.copy()
    sync.connect(adopted=True)
    dispatched: list[Change] = []
    dispatch = Dispatcher.dispatch

    def counted(self: Dispatcher, changes: Iterable[Change], changed_at: float) -> None:
        changes = list(changes)
        dispatched.extend(changes)
        dispatch(self, changes, changed_at)

    monkeypatch.setattr(Dispatcher, "dispatch", counted)
    sync.source.tree.move(D, path("e"))
    sync.source.renames.note_moved(D, path("e"), FileIdentity(1, 1), proved=True)
    sync.change("d", "e")
    assert [(b"e", Move)] == [(sent.path, type(sent.operation)) for sent in sync.outgoing]
    assert [] == dispatched
    sync.run()

    assert sync.server.digest() == sync.source.tree.digest()
    assert sync.reconciler.view.in_sync
