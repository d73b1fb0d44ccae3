"""Waiting for a condition, never for a time: a test is as quick as what it waits for, and fails with what it saw."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SECONDS = 15.0
"""How long something may take on a busy machine before it counts as not happening."""
_PAUSE = 0.005


def until(condition: Callable[[], T], what: str, *, seconds: float = SECONDS) -> T:
    """The first true value of ``condition``; fails the test, naming ``what``, when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            msg = f"not within {seconds:g} s: {what}; last seen: {value!r}"
            raise AssertionError(msg)
        time.sleep(_PAUSE)
