"""Run a folder of case scripts, one after another, and print what each of them shows.

A case script runs a real pair of the programs for one thing that users report. Its name is ``NN-words.py``. It exits 0
if the programs do what is right. Its last line of output is the evidence. The environment tells it where the project
and its programs are: ``DIRSYNC_PROJECT`` and ``DIRSYNC_BIN``.

The exit status is 1 if a script failed in any round, and 2 if the folder has no scripts.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).resolve().parent.parent
LIMIT_SECONDS = 600.0
"""A script that takes longer has failed."""
PATTERN = "[0-9]*-*.py"
_OF_MAKE = ("ARGS", "CASES", "ROUNDS", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS")
"""What make hands to whatever it runs. A script that has a variable of that name means something else by it."""


class Shown(NamedTuple):
    """How a script ended."""

    name: str
    holds: bool
    seconds: float
    evidence: str


def run(script: Path, limit: float = LIMIT_SECONDS) -> Shown:
    """Run one script to its end, or to its limit."""
    programs = Path(sys.executable).parent
    ours = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
    environment = {**ours, "DIRSYNC_PROJECT": str(PROJECT), "DIRSYNC_BIN": str(programs)}
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=PROJECT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    try:
        output, _ = process.communicate(timeout=limit)
        code = process.returncode
    except subprocess.TimeoutExpired:
        # The programs that it started are in its process group, and have the pipe open as well.
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output, code = f"{output}\nended after {limit:g} s", 1
    lines = [line for line in output.splitlines() if line.strip()]
    return Shown(script.stem, code == 0, time.monotonic() - start, lines[-1].strip() if lines else "it printed nothing")


def main(argv: list[str] | None = None) -> int:
    """Run them all, as often as asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", type=Path, nargs="+", help="folders of scripts, or single scripts")
    parser.add_argument("--rounds", type=int, default=1, help="how often to run them all (default: %(default)s)")
    arguments = parser.parse_args(argv)
    scripts = [
        script
        for place in arguments.cases
        for script in (sorted(place.glob(PATTERN)) if place.is_dir() else [place] if place.is_file() else [])
    ]
    if not scripts:
        print(f"field: no case scripts in {', '.join(map(str, arguments.cases))}", file=sys.stderr)
        return 2
    failed: dict[str, int] = {}
    for number in range(1, arguments.rounds + 1):
        for script in scripts:
            shown = run(script.resolve())
            verdict = "holds" if shown.holds else "FAILS"
            print(f"{number:3} {verdict} {shown.seconds:6.1f} s  {shown.name:28} {shown.evidence}", flush=True)
            if not shown.holds:
                failed[shown.name] = failed.get(shown.name, 0) + 1
    for name, times in failed.items():
        print(f"field: {name} failed in {times} of {arguments.rounds} rounds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
