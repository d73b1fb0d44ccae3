"""A hook that runs a program."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dirsync.limits import LIMITS
from dirsync.runtime.hooks.command import CommandHook
from dirsync.runtime.hooks.outcome import Outcome, Result
from tests.support.running.waiting import until
from tests.unit.runtime.hooks.runs import PLACE, STATE, run_of

NAMES = ("SERVICE", "NAMESPACE", "ROOT", "ROOT_DIGEST")


def never() -> bool:
    """A run that may take any time."""
    return False


def after(seconds: float) -> Callable[[], bool]:
    """A run that may take so many seconds."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def sh(code: str) -> CommandHook:
    """A hook that runs this in a shell."""
    return CommandHook(("/bin/sh", "-c", code))


def test_told(tmp_path: Path) -> None:
    """A program gets the message on its stdin, and where and which state in its environment."""
    target = str(tmp_path / "f")
    code = "import json, os, sys; json.dump([sys.stdin.read(), dict(os.environ)], open(sys.argv[1], 'w'))"
    outcome = CommandHook((sys.executable, "-c", code, target)).run(PLACE, run_of(b"a", b"b"), never)

    message, environment = json.loads((tmp_path / "f").read_text())
    assert Outcome(Result.SUCCEEDED) == outcome
    assert ["a", "b"] == json.loads(message)["paths"]
    assert ["client", "photos", "/srv/photos", STATE.hex()] == [environment[f"DIRSYNC_HOOK_{name}"] for name in NAMES]
    assert os.environ["PATH"] == environment["PATH"]


@pytest.mark.parametrize(
    "code, problem",
    [
        ("exit 3", "it ended with exit status 3"),
        ("echo first; echo 'what is wrong' >&2; exit 1", "it ended with exit status 1: what is wrong"),
        ("kill -9 $$", "it ended with signal 9"),
        ("printf 'a\\033[31m\\377'; exit 1", "it ended with exit status 1: a\\x1b[31m\\xff"),
    ],
)
def test_failures(code: str, problem: str) -> None:
    """How it ended is told, with the last line that it wrote."""
    assert Outcome(Result.FAILED, problem) == sh(code).run(PLACE, run_of(b"a"), never)


def test_no_program(tmp_path: Path) -> None:
    """A program that is gone is a failure like another."""
    outcome = CommandHook((str(tmp_path / "gone"),)).run(PLACE, run_of(b"a"), never)

    assert Result.FAILED is outcome.result
    assert "gone cannot be started" in outcome.problem


def test_input_that_nobody_reads() -> None:
    """A program need not read its stdin, however much there is."""
    many = run_of(*(b"%d" % number * 20 for number in range(LIMITS.max_hook_paths)))

    assert Outcome(Result.SUCCEEDED) == sh("exit 0").run(PLACE, many, never)
    assert Outcome(Result.SUCCEEDED) == sh("exec 0<&-; sleep 0.2").run(PLACE, many, never)


def test_all_input_arrives(tmp_path: Path) -> None:
    """A message that is larger than a pipe arrives whole."""
    many = run_of(*(b"%d" % number * 20 for number in range(LIMITS.max_hook_paths)))

    assert Outcome(Result.SUCCEEDED) == sh(f"cat > {tmp_path}/f").run(PLACE, many, never)
    assert LIMITS.max_hook_paths == len(json.loads((tmp_path / "f").read_text())["paths"])


def test_output_that_does_not_end() -> None:
    """What a program writes is not kept, and does not keep it from being ended."""
    outcome = sh("yes").run(PLACE, run_of(b"a"), after(0.3))

    assert Outcome(Result.TIMED_OUT, "it took too long, and was ended: y") == outcome


def test_timed_out(tmp_path: Path) -> None:
    """A program that takes too long is ended, with those that it started, even if they ignore SIGTERM."""
    code = f"trap '' TERM; sh -c 'trap \"\" TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done' & wait; sleep 60"
    outcome = sh(code).run(PLACE, run_of(b"a"), after(0.5))

    assert Result.TIMED_OUT is outcome.result
    pid = int((tmp_path / "pid").read_text())
    until(lambda: not _runs(pid), "the end of what the program started")


def test_sigterm_comes_first(tmp_path: Path) -> None:
    """A program may end by itself when it is told that time is up."""
    code = f"trap 'echo ended > {tmp_path}/f; exit 0' TERM; while :; do sleep 0.05; done"
    outcome = sh(code).run(PLACE, run_of(b"a"), after(0.5))

    assert Result.TIMED_OUT is outcome.result
    assert "ended\n" == (tmp_path / "f").read_text()


def test_what_goes_on_in_the_background() -> None:
    """A program that leaves another one behind, which holds its output open, has ended all the same."""
    started = time.monotonic()
    outcome = sh("sleep 5 & exit 0").run(PLACE, run_of(b"a"), after(60))

    assert Outcome(Result.SUCCEEDED) == outcome
    assert time.monotonic() - started < 5


def test_nothing_is_left_open() -> None:
    """A run leaves no descriptor behind."""
    before = len(os.listdir("/dev/fd"))
    for code in ("exit 0", "exit 1", "cat"):
        sh(code).run(PLACE, run_of(b"a"), never)

    assert before == len(os.listdir("/dev/fd"))


def _runs(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody waits for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
