"""The load and the figures of docs/scaling.md, on a small scale: ``make load`` has them in full."""

import argparse
from pathlib import Path

import pytest

from tests.load.__main__ import run
from tests.load.fleet import Load
from tests.load.idle import measure

pytestmark = pytest.mark.programs
SESSION_KIB = 200
"""What an idle session may take at the server."""


def test_a_server_is_killed_under_load(tmp_path: Path) -> None:
    """Every client is in sync again, nothing differs, and servers that live have got nothing a second time."""
    arguments = argparse.Namespace(seconds=8, rate=2.0, bytes=4096, rest=1.0, kill=True)
    found, wrong = run(tmp_path, Load(12, 3, 2, True, "never"), arguments)
    killed = [after is None for after in found.after]

    assert [] == wrong
    assert [True, False, False] == killed
    assert 0 == found.late
    assert found.in_sync is not None
    assert max(found.visible_ms) < 30_000
    assert len(found.visible_ms) == found.written // 4096


def test_an_idle_session_takes_little(tmp_path: Path) -> None:
    """Memory of the server, beside that of the namespace, and one thread."""
    cost = measure(tmp_path, 40, 1.0)

    assert cost.kib <= SESSION_KIB
    assert cost.threads < 1.5
