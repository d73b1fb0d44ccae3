"""How a run of a hook ended."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

from dirsync.runtime.hooks.debouncer import Run
from dirsync.runtime.hooks.message import Place

Expired = Callable[[], bool]
"""Whether a run has taken too long and is to be ended."""


class Result(StrEnum):
    """How it ended; the values are those of the metric and the log."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class Outcome(NamedTuple):
    """The result, and what went wrong, for people."""

    result: Result
    problem: str = ""


class Action(Protocol):
    """What a hook does."""

    def run(self, place: Place, run: Run, expired: Expired) -> Outcome:
        """Do it; ends soon after it has expired, and raises nothing."""
