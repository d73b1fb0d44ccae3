"""Shares of a server's threads."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.errors import LimitExceeded
from dirsync.rpc.interceptors.concurrency import Crowd, Share

HOLDERS = ("a", "b", "c")
MOST = 3


def share(holder: str) -> Share:
    """A share."""
    return Share(holder, MOST, "max_calls_per_caller")


@pytest.mark.case("H06", "I16")
def test_one_holder_cannot_have_more_than_its_share() -> None:
    """The call above the share is refused by the limit's name; everybody else's is not, and it may come later."""
    crowd = Crowd()
    for _ in range(MOST):
        crowd.enter(share("a"))
    with pytest.raises(LimitExceeded) as refused:
        crowd.enter(share("a"))
    crowd.enter(share("b"))
    crowd.leave(share("a"))
    crowd.enter(share("a"))

    assert "MAX_CALLS_PER_CALLER" == refused.value.reason
    assert MOST + 1 == len(crowd)


@given(moves=st.lists(st.tuples(st.sampled_from(HOLDERS), st.booleans())))
def test_it_counts_as_a_counter_does(moves: list[tuple[str, bool]]) -> None:
    """Whoever comes and goes in whatever order, a call is refused exactly when its holder has its share."""
    crowd, under_way = Crowd(), Counter[str]()
    for holder, comes in moves:
        if comes:
            refused = under_way[holder] >= MOST
            try:
                crowd.enter(share(holder))
            except LimitExceeded:
                assert refused
            else:
                assert not refused
                under_way[holder] += 1
        elif under_way[holder]:
            crowd.leave(share(holder))
            under_way[holder] -= 1

    assert under_way.total() == len(crowd)
