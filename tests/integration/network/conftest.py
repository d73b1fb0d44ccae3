"""A pair with a bad network between its programs."""

from collections.abc import Iterator

import pytest

from tests.support.faults.toxic import Toxic
from tests.support.running.programs import Pair


@pytest.fixture
def line(pair: Pair) -> Iterator[Toxic]:
    """The network between the pair's programs."""
    with Toxic(pair.server_address) as line:
        yield line
