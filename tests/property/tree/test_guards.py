"""Guards by machine: nothing is lost between what goes and what is held."""

from hypothesis import given
from hypothesis import strategies as st

from dirsync.tree.diff import diff
from dirsync.tree.guards.history import History
from dirsync.tree.guards.hold import Facts, GuardPolicy, hold_id
from dirsync.tree.guards.judge import judge
from dirsync.tree.path import RelPath, is_within
from dirsync.tree.plan import Operation, Plan
from dirsync.tree.tree import Tree
from tests.property.strategies import pairs, paths
from tests.support.trees.plans import set_apart

policies = st.builds(GuardPolicy, st.integers(0, 100), st.integers(0, 20), st.integers(0, 10))


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Any state of the source."""
    return Facts(draw(st.integers(0, 3)), draw(st.booleans()), draw(st.sets(paths, max_size=2)), draw(st.booleans()))


@given(pairs(), facts(), policies)
def test_every_step_goes_or_is_held(pair: tuple[Tree, Tree], found: Facts, policy: GuardPolicy) -> None:
    """Order is kept, nothing is in both, nothing that goes needs something that is held, and approval releases all."""
    replica, source = pair
    plan = Plan(diff(replica, source))
    overwrites: list[Operation] = []
    for _ in set_apart(plan.immediate(), overwrites):
        pass
    steps = [*overwrites, *plan.deletes]
    history = History(0.0, len(replica))
    released, hold = judge(steps, found, history, now=0.0, policy=policy)
    held = list(hold.operations) if hold else []

    assert steps == sorted(released + held, key=steps.index)
    for step in released:
        assert not any(is_within(other.path, step.path) for other in held if other in plan.deletes)
    if hold:
        approved = judge(steps, found, history, now=0.0, policy=policy, approved=(hold.id,))

        assert hold.id == hold_id(held)
        assert (steps, None) == approved


@given(pairs())
def test_what_is_not_set_apart_only_adds(pair: tuple[Tree, Tree]) -> None:
    """What goes into a foreign replica finds nothing at its path, and its directory is there."""
    replica, source = pair
    overwrites: list[Operation] = []
    made: set[RelPath] = {RelPath(b"")}
    for step in set_apart(Plan(diff(replica, source)).immediate(), overwrites):
        parent = RelPath(step.path.rpartition(b"/")[0])

        assert replica.get(step.path) is None
        assert parent in made or replica.directory(parent) is not None
        made.add(step.path)


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 100), st.integers(0, 10)), max_size=50))
def test_history_never_forgets_within_the_window(events: list[tuple[float, int, int]]) -> None:
    """However acknowledgements fall, the window's deletes and its largest tree count, and those of long ago do not."""
    history = History(0.0, 50)
    now, log = 0.0, [(0.0, 50, 0)]
    for pause, entries, deletes in events:
        now += pause
        history.acknowledged(now, entries, deletes)
        log.append((now, entries, deletes))
    recent = [event for event in log if event[0] >= now - 60]
    possible = [event for event in log if event[0] >= now - 63]

    assert sum(event[2] for event in recent) <= history.deletes(now) <= sum(event[2] for event in possible)
    assert history.largest(now) >= max(event[1] for event in recent)
