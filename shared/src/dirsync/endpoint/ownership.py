"""Who may publish into a replica that several servers can reach. Where only one can, nobody is asked."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Final, Protocol


class Ownership(Protocol):
    """The right of this process to publish into one replica."""

    @property
    def number(self) -> int:
        """The fencing number: higher than that of any owner before."""
        ...

    @property
    def state_directory(self) -> Path:
        """Where this owner keeps its index."""
        ...

    def publishing(self) -> AbstractContextManager[Callable[[], None]]:
        """While this lasts nobody else takes over. It yields what is called before each change.

        Both raise:
            Unavailable: another process has taken over, or may have.
        """
        ...


def _nobody_else() -> None:
    """There is no other owner."""


ALONE: Final[AbstractContextManager[Callable[[], None]]] = nullcontext(_nobody_else)
"""Publishing where the lock on the replica's directory keeps all others out. It has no state, so all may use it."""
