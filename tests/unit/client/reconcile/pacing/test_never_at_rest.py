"""Files that are written all the time: when they are sent, and what is said of them meanwhile."""

import pytest

from dirsync.limits import LIMITS
from dirsync.tree.entry import pack
from dirsync.tree.problem import Problem, ProblemKind
from dirsync_client.reconcile.commands import Command, CompareFile, EstimateSimilarity, HashFile, LookAt, Sent, Transmit
from dirsync_client.reconcile.context import Options
from dirsync_client.reconcile.events import Event, FileHashed, RetryRequested, Settled, SimilarityEstimated, Unsent
from dirsync_client.reconcile.pacing.pace import Cost
from dirsync_client.reconcile.path_states import Phase
from tests.unit.client.reconcile.harness import Harness
from tests.unit.client.reconcile.model import path, record, unread

LOG = path("log")
LARGE = LIMITS.inline_file_bytes + 1
CHANGED = Problem(LOG, ProblemKind.CHANGING, "it was rewritten")


class Growing(Harness):
    """A source with a log that grows by a line at a time."""

    def __init__(self, *, at_once: bool = False) -> None:
        super().__init__(Options(at_once=at_once))
        self.now = 1000.0
        self.content = b"x" * LARGE
        self.grow()
        self.connect()

    def grow(self) -> None:
        """The log has another line, and was looked at."""
        self.content += b"a line\n"
        self.source.tree.put(LOG, pack(unread(self.content)))

    def acknowledge(self, content: bytes, *, cost: float, older: bool, waits: float = 0.0) -> None:
        """The server has ``content``, which was read for ``cost`` seconds; it answered ``waits`` seconds later."""
        (transmit,) = self.outgoing
        self.outgoing.clear()
        started = self.now
        ended = self.now + cost
        self.now = ended + waits
        read = record(content)
        self.server.put(LOG, read)
        sent = Sent(transmit, transmit.operation, transmit.choice, read, started, 7, is_older=older, ended=ended)
        self.tell(Settled([sent], [], self.server.digest()))

    def give_up(self, cost: float = 0.0) -> None:
        """The file was rewritten while it was read."""
        (transmit,) = self.outgoing
        self.outgoing.clear()
        self.tell(Unsent(transmit, CHANGED, Cost(cost, 0)))
        self.looked.clear()

    def _answer(self, command: Command) -> Event | None:
        if isinstance(command, EstimateSimilarity):
            return SimilarityEstimated(command.path, 1.0)
        return super()._answer(command)

    @property
    def phase(self) -> Phase:
        """What is going on at the log."""
        return self.reconciler.view.phase(LOG)


def sent_again(sync: Growing, seconds: float) -> float | None:
    """How long it takes until the log is sent again while it grows, at most ``seconds``."""
    begun = sync.now
    while sync.now < begun + seconds:
        sync.grow()
        sync.change("log")
        sync.wait(0.1)
        sync.look()
        if sync.outgoing:
            return sync.now - begun
    return None


def test_the_first_part_is_a_version() -> None:
    """What was read of a growing file is at the replica, and the sync is not in sync: the file has moved on."""
    sync = Growing()
    first = sync.content
    sync.grow()
    sync.change("log")
    sync.acknowledge(first, cost=3.0, older=True)

    assert Phase.PACED is sync.phase
    assert not sync.reconciler.view.in_sync
    assert not sync.reconciler.view.is_working
    assert {} == sync.reconciler.view.problems


def test_the_first_part_does_not_pass_for_the_file() -> None:
    """Even where nobody has noticed the growth, the source's record is not that of the part."""
    sync = Growing()
    sync.acknowledge(sync.content, cost=3.0, older=True)

    assert sync.source.tree.record(LOG) == pack(unread(sync.content))
    assert not sync.reconciler.view.in_sync


def test_in_sync_when_it_rests() -> None:
    """A log that is not written any more is sent, and then all is in sync."""
    sync = Growing()
    for _ in range(4):
        sync.acknowledge(sync.content, cost=3.0, older=True)
        if not sync.outgoing:
            assert sent_again(sync, 60) is not None
    sync.acknowledge(sync.content, cost=3.0, older=False)

    assert Phase.IDLE is sync.phase
    assert sync.reconciler.view.in_sync


@pytest.mark.parametrize("cost", [0.5, 2.0, 10.0])
def test_pauses_are_in_proportion(cost: float) -> None:
    """It is sent again and again; each time the pause is what the last one cost, but for the first ones."""
    sync = Growing()
    pauses = []
    for _ in range(12):
        sync.acknowledge(sync.content, cost=cost, older=True)
        pause = 0.0 if sync.outgoing else sent_again(sync, 10 * cost)
        assert pause is not None
        pauses.append(pause)

    assert [pytest.approx(LIMITS.pace_least_stretch * cost, abs=0.3)] * 3 == pauses[-3:]


def test_waiting_for_the_answer_costs_nothing() -> None:
    """A server that is busy with other files does not make this one wait for longer."""
    sync = Growing()
    first = sync.content
    sync.grow()
    sync.change("log")
    sync.acknowledge(first, cost=0.1, waits=30.0, older=True)

    assert Phase.SENDING is sync.phase


def test_age_of_what_is_missing() -> None:
    """What was noticed before the last version was read is acknowledged; what came later is not."""
    sync = Growing()
    for _ in range(3):
        sync.acknowledge(sync.content, cost=3.0, older=True)
        started = sync.now - 3.0
        if not sync.outgoing:
            assert sync.reconciler.view.only_paced
            assert started == sync.reconciler.view.paced_since
            assert sent_again(sync, 10) is not None


@pytest.mark.case("D01")
def test_rewritten_is_a_problem_in_the_end() -> None:
    """A file that is rewritten each time that it is read is a problem after three tries, and none after a success."""
    sync = Growing()
    problems = []
    for _ in range(4):
        sync.give_up()
        problems.append(sync.reconciler.view.problems.get(LOG))
        assert LookAt((LOG,), retry=False) in sync.seen
        assert sent_again(sync, 60) is not None
    sync.acknowledge(sync.content, cost=0.1, older=False)

    assert [None, None, CHANGED, CHANGED] == problems
    assert {} == sync.reconciler.view.problems
    assert sync.reconciler.view.in_sync


@pytest.mark.case("D01")
def test_rewritten_while_it_is_hashed() -> None:
    """The same holds for a file that is read to compare it."""
    sync = Harness(Options())
    sync.now = 1000.0
    for name in ("a", "log"):
        sync.server.put(path(name), record(b"y" * LARGE))
    sync.source.tree.put(path("a"), record(b"y" * LARGE))
    sync.source.tree.put(LOG, pack(unread(b"x" * LARGE)))
    sync.connect()
    sync.tell(FileHashed(LOG, sync.source.tree.record(LOG), CHANGED))

    assert Phase.PACED is sync.reconciler.view.phase(LOG)
    assert {} == sync.reconciler.view.problems


def test_what_has_moved_on_is_not_read_to_see_that() -> None:
    """A small part of a second after its first part, a file is sent again without being compared first."""
    sync = Growing()
    sync.acknowledge(sync.content, cost=0.1, older=True)

    assert 1 == len(sync.outgoing)
    assert not [command for command in sync.seen if isinstance(command, HashFile | CompareFile)]


def test_a_single_sync_takes_the_first_part() -> None:
    """For `once`, what was read is what the source had: it is done then."""
    sync = Growing(at_once=True)
    sync.acknowledge(sync.content + b"and more", cost=3.0, older=True)

    assert Phase.IDLE is sync.phase
    assert sync.reconciler.view.in_sync


def test_a_paced_path_that_is_deleted() -> None:
    """What is held back does not keep its file at the replica."""
    sync = Growing()
    sync.acknowledge(sync.content, cost=3.0, older=True)
    assert Phase.PACED is sync.phase
    sync.source.tree.remove(LOG)
    sync.change("log", retried=["log"])
    sync.wait(10)
    sync.run()

    assert LOG not in sync.server
    assert sync.reconciler.view.in_sync


def test_a_new_session_compares_again() -> None:
    """A lost session loses no path that was held back."""
    sync = Growing()
    sync.acknowledge(sync.content, cost=3.0, older=True)
    sync.connect()
    assert Phase.PACED is sync.phase
    sync.wait(60)
    sync.look()
    (transmit,) = sync.outgoing

    assert isinstance(transmit, Transmit)
    assert LOG == transmit.path


def test_the_end_does_not_wait_for_a_pause() -> None:
    """What was to be sent later is sent at once when a retry is requested, and counts as under way until then."""
    sync = Growing()
    sync.acknowledge(sync.content, cost=3.0, older=True)
    assert Phase.PACED is sync.phase
    assert sync.reconciler.view.is_sending
    sync.tell(RetryRequested())
    sync.wait(0)
    sync.look()

    assert 1 == len(sync.outgoing)

    sync.acknowledge(sync.content, cost=3.0, older=False)

    assert not sync.reconciler.view.is_sending
