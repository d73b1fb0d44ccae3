"""Quotas of a server's threads."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.errors import LimitExceeded
from dirsync.rpc.interceptors.concurrency import CallQuota, ConcurrencyLimiter

CALLERS = ("a", "b", "c")
MOST = 3


def quota(caller: str) -> CallQuota:
    """A quota."""
    return CallQuota(caller, MOST, "max_calls_per_caller")


@pytest.mark.case("H06", "I16")
def test_one_caller_cannot_have_more_than_its_quota() -> None:
    """The call above the quota is refused by the limit's name; every other caller's is not, and it may come later."""
    limiter = ConcurrencyLimiter()
    for _ in range(MOST):
        limiter.acquire(quota("a"))
    with pytest.raises(LimitExceeded) as refused:
        limiter.acquire(quota("a"))
    limiter.acquire(quota("b"))
    limiter.release(quota("a"))
    limiter.acquire(quota("a"))

    assert "MAX_CALLS_PER_CALLER" == refused.value.reason
    assert MOST + 1 == len(limiter)


@given(moves=st.lists(st.tuples(st.sampled_from(CALLERS), st.booleans())))
def test_it_counts_as_a_counter_does(moves: list[tuple[str, bool]]) -> None:
    """In whatever order calls come and go, one is refused exactly when its caller has used its quota."""
    limiter, under_way = ConcurrencyLimiter(), Counter[str]()
    for caller, comes in moves:
        if comes:
            refused = under_way[caller] >= MOST
            try:
                limiter.acquire(quota(caller))
            except LimitExceeded:
                assert refused
            else:
                assert not refused
                under_way[caller] += 1
        elif under_way[caller]:
            limiter.release(quota(caller))
            under_way[caller] -= 1

    assert under_way.total() == len(limiter)
