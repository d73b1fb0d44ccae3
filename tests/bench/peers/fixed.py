"""dirsync with a strategy that is fixed instead of chosen, to see what choosing is worth.

There is no such setting: ``python -m tests.bench.peers.fixed STRATEGY ARGUMENT...`` is the client with another
:func:`dirsync.tree.strategy.choose`.
"""

import os
import sys
from pathlib import Path

import dirsync.tree.strategy
from dirsync.limits import LIMITS
from dirsync.tree.strategy import Choice, Reason, Strategy
from tests.bench.peers.dirsync import Dirsync

_PROJECT = Path(__file__).parents[3]
FIXED = {
    "whole": Choice(Strategy.WHOLE, Reason.NOT_OFFERED),
    "delta": Choice(Strategy.DELTA, Reason.SIMILAR),
}


class Fixed(Dirsync):
    """Large files with a basis are all sent in one way."""

    def __init__(self, place: Path, strategy: str, compression: str = "none") -> None:
        """``strategy``: ``auto``, or a key of :data:`FIXED`."""
        super().__init__(place)
        self.name = strategy
        self.compression = compression
        self._strategy = strategy

    def sync(self) -> None:
        """``once``."""
        path = {"PYTHONPATH": str(_PROJECT)}
        self.run(sys.executable, "-m", __name__, self._strategy, "once", environment={**self._client, **path})


def main() -> int:
    """The client, with what is fixed."""
    strategy = sys.argv.pop(1)
    if strategy in FIXED:
        choose = dirsync.tree.strategy.choose

        def fixed(size: int, similarity: float | None) -> Choice:
            if size <= LIMITS.inline_file_bytes or similarity is None:
                return choose(size, similarity)
            return FIXED[strategy]

        dirsync.tree.strategy.choose = fixed
    from dirsync_client.__main__ import main as client  # noqa: PLC0415  # it takes the function when it is loaded

    return client()


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
