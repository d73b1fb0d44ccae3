"""How a parallel run spreads the tests: those of a file stay in one process, but for chunks of worlds.

The tests of a file share what was set up for them. A chunk of worlds shares nothing with another, and a file of them
would keep one process busy when all others have nothing left to do.
"""

from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_CHUNKS: Final = ("::test_many_worlds[", "::test_many_two_servers[")
"""The tests that simulate a chunk."""


class Spreading(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """As ``--dist loadfile``, with each chunk by itself."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        return nodeid if any(chunk in nodeid for chunk in _CHUNKS) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Spreading | None:
    """The scheduler of a run that keeps files together."""
    return Spreading(config, log) if config.getvalue("dist") == "loadfile" else None
