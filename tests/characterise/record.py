"""What the histories came to when they were recorded, and how to record them again.

    PYTHONHASHSEED=0 .venv/bin/python -m tests.characterise.record

That is for when the histories change, or when a plan that differs is known to be better: what is recorded is what the
client's decisions are held to.
"""

import json
import tempfile
from pathlib import Path

from dirsync.runtime.config.settings import LogLevel
from dirsync.runtime.log.logging import configure
from tests.characterise.histories import History, controlled
from tests.characterise.play import MakeClient, Result, play
from tests.characterise.reconciled import Reconciled

RECORD = Path(__file__).with_name("recorded.json")
SEEDS = 400


def play_seed(seed: int, place: Path, make: MakeClient = Reconciled) -> Result:
    """Play one history in an empty directory."""
    with controlled():
        return play(History(seed, place), place, make)


def recorded() -> dict[int, Result]:
    """The results by their seeds."""
    rows: dict[str, list[object]] = json.loads(RECORD.read_text())
    return {int(seed): Result.decoded(row) for seed, row in rows.items()}


def main() -> None:
    """Write the record."""
    configure("client", LogLevel.ERROR)
    lines = []
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory() as place:
            row = play_seed(seed, Path(place)).encoded()
        lines.append(f'"{seed}": {json.dumps(row, separators=(",", ":"))}')
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
