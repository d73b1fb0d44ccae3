"""The fixtures that tests of several kinds share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.running.programs import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """A source and a replica with the programs between them; all are ended at the end, and must end well."""
    pair = Pair(tmp_path / "pair")
    yield pair
    wrong = pair.end()

    assert wrong == []
