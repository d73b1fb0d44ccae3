"""What happens in the middle of a program's work: at a call of the kernel that was chosen before."""

from collections.abc import Callable
from typing import Final

from tests.simulation.invariants import Violation
from tests.simulation.machine.patching import current
from tests.simulation.scheduler import Scheduler

CALL_NS: Final = 20_000
"""What a call of the kernel takes."""
CHANGING: Final = frozenset(
    {
        "chmod",
        "copy_file_range",
        "create",
        "exchange",
        "fchmod",
        "ftruncate",
        "link",
        "mkdir",
        "mkfifo",
        "pwrite",
        "rename",
        "rmdir",
        "symlink",
        "unlink",
        "utime",
        "write",
    }
)
"""Calls that change something."""

Act = Callable[[str], None]
"""Is told the call that it strikes at; may raise what the call is to raise, or kill the program."""


class Strikes:
    """The strikes that wait for one program, which may die and come back meanwhile."""

    def __init__(self, scheduler: Scheduler, watch: Act) -> None:
        """``watch`` is told every call."""
        self._scheduler = scheduler
        self._watch = watch
        self._armed: list[tuple[int, Act]] = []
        self._calls = 0
        self._is_inside = False

    def arm(self, calls: int, act: Act) -> None:
        """Do this at the so-many-th call from now."""
        self._armed.append((self._calls + calls, act))

    def clear(self) -> None:
        """Nothing strikes any more."""
        self._armed.clear()

    def hook(self, call: str) -> None:
        """The program makes a call."""
        current.wall_ns += CALL_NS
        self._calls += 1
        self._watch(call)
        if self._armed and not self._is_inside:
            self._strike(call)

    def _strike(self, call: str) -> None:
        due = [one for one in self._armed if one[0] <= self._calls]
        self._is_inside = True
        try:
            for one in due:
                self._armed.remove(one)
                self._scheduler.note(f"at a call of {call}")
                one[1](call)
        finally:
            self._is_inside = False


def must_not_change(call: str) -> None:
    """P5: a client reads its source, and does nothing else to it."""
    if call in CHANGING:
        msg = f"P5: the client changes its source: {call}"
        raise Violation(msg)
