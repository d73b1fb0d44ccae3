"""The table of paths, whatever is asked of it."""

from hypothesis import given
from hypothesis import strategies as st

from dirsync.tree.path import RelPath
from dirsync_client.reconcile.path_states import TRANSITIONS, InvalidTransition, PathTable, Phase

PATHS = (RelPath(b"a"), RelPath(b"b"), RelPath(b"c"))
steps = st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from(Phase), st.sampled_from(PATHS)), max_size=40)


@given(steps)
def test_one_phase(wanted: list[tuple[RelPath, Phase, RelPath]]) -> None:
    """A path has one phase, a transition that the table does not have raises, and the table agrees with itself."""
    table = PathTable()
    for path, phase, key in wanted:
        before = table.phase(path)
        may_follow = phase is before or phase in TRANSITIONS[before]
        try:
            if phase is Phase.BLOCKED:
                table.block(path, key)
            else:
                table.to(path, phase)
        except InvalidTransition:
            assert not may_follow
            assert before is table.phase(path)
        else:
            assert may_follow
        found = [(at, each) for each in Phase for at in table.paths(each)]

        assert len(table) == len(found) == len(dict(found))
        assert all(each is table.phase(at) for at, each in found)
        assert all(state.waits_for is not None for _, state in table.states(Phase.BLOCKED))
