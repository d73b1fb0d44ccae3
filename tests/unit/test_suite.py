"""The suite's rules, seen from outside: a pytest process on a small suite that follows them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]

SUITE = """
import pytest

@pytest.mark.case("E01")
def test_case(): pass

@pytest.mark.soak
def test_long(): pass

def test_plain(): pass
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs pytest with the repository's configuration and rules on the given test module."""
    hooks = "pytest_addoption, pytest_cmdline_main, pytest_configure"
    (tmp_path / "conftest.py").write_text(f"from tests.conftest import {hooks}\n")

    def run(suite: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_it.py").write_text(suite)
        options = ["-c", str(REPOSITORY / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:cacheprovider"]
        command = [sys.executable, "-m", "pytest", *options, "--confcutdir", str(tmp_path), *arguments]
        if not any("::" in argument or argument.endswith(".py") for argument in arguments):
            command.append(str(tmp_path))
        return subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, check=False, env={"PYTHONPATH": str(REPOSITORY)}
        )

    return run


PARALLEL = pytest.mark.parametrize(
    "parallel",
    [pytest.param([], id="one process"), pytest.param(["-n", "2"], id="two processes", marks=pytest.mark.programs)],
)
RINGS = """
import pytest

def test_first(): pass

@pytest.mark.programs
def test_second(): pass

@pytest.mark.needs("rsync")
def test_needs(): pass

@pytest.mark.soak
@pytest.mark.programs
def test_long(): pass
"""


@PARALLEL
def test_tests_on_demand_are_left_out_and_counted(run: Run, parallel: list[str]) -> None:
    """A plain run leaves out what runs only on demand, and says how to get it."""
    done = run(SUITE, *parallel)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert "left out: 1 marked soak (make soak)" in done.stdout


@PARALLEL
@pytest.mark.parametrize(
    "ring, others, left_out", [("one", 3, "2 of the second ring"), ("two", 2, "1 of the first ring (make test)")]
)
def test_a_run_takes_one_ring(run: Run, ring: str, others: int, left_out: str, parallel: list[str]) -> None:
    """A run takes the tests of one ring and none on demand, and says how to get the others."""
    done = run(RINGS, "--ring", ring, *parallel)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert f"{others} deselected" in done.stdout or parallel
    assert f"left out: {left_out}" in done.stdout
    assert "left out: 1 marked soak (make soak)" in done.stdout


def test_a_file_is_taken_from_both_rings(run: Run, tmp_path: Path) -> None:
    """Naming a file selects all of it but what is on demand."""
    done = run(RINGS, str(tmp_path / "test_it.py"))

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "1 deselected" in done.stdout


def test_a_case_declares_what_it_may_skip_for(run: Run) -> None:
    """A case test that needs something is listed in expected_skips.toml, also where the machine has it."""
    done = run(SUITE.replace("def test_case", '@pytest.mark.needs("rsync")\ndef test_case'))

    assert pytest.ExitCode.USAGE_ERROR == done.returncode
    assert "does not expect it to skip without rsync" in done.stderr


@pytest.mark.parametrize("argument", ["-m soak", "test_it.py::test_long"])
def test_tests_on_demand_run_when_asked_for(run: Run, argument: str) -> None:
    """A marker expression or the id of a test is asking."""
    done = run(SUITE, *argument.split())

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_one_case_runs_alone(run: Run) -> None:
    """``--case`` runs the tests of that case and no other."""
    done = run(SUITE, "--case", "E01")

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "1 passed, 2 deselected" in done.stdout


def test_a_case_without_a_test_is_no_success(run: Run) -> None:
    """Asking for a case that nothing proves fails and says so."""
    done = run(SUITE, "--case", "A02")

    assert pytest.ExitCode.NO_TESTS_COLLECTED == done.returncode
    assert "A02 has no test" in done.stdout


def test_an_unknown_case_is_refused(run: Run) -> None:
    """A mistyped case is a usage error, on the command line and in a marker."""
    asked = run(SUITE, "--case", "Z01")
    marked = run(SUITE.replace("E01", "Z01"))

    assert (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.USAGE_ERROR) == (asked.returncode, marked.returncode)
    assert "no such case" in asked.stderr
    assert "has no case Z01" in marked.stderr


def test_an_unknown_capability_is_refused(run: Run) -> None:
    """A mistyped capability would skip a test for ever."""
    done = run(SUITE.replace("mark.soak", 'mark.needs("luck")'))

    assert pytest.ExitCode.USAGE_ERROR == done.returncode
    assert "'luck' is no capability" in done.stderr


@PARALLEL
def test_an_unexpected_skip_of_a_case_fails_the_run(run: Run, parallel: list[str]) -> None:
    """A case test that skips for a reason of its own fails the run, in one process or several."""
    done = run(SUITE.replace("def test_case(): pass", "def test_case(): pytest.skip('not today')"), *parallel)

    assert pytest.ExitCode.TESTS_FAILED == done.returncode
    assert "test_it.py::test_case (E01) was skipped" in done.stdout
    assert "not today" in done.stdout


@PARALLEL
def test_a_module_that_skips_as_a_whole_fails_the_run(run: Run, parallel: list[str]) -> None:
    """A skipped module could hide any case."""
    done = run("import pytest\npytest.skip('not here', allow_module_level=True)\n", *parallel)

    assert pytest.ExitCode.TESTS_FAILED == done.returncode
    assert "test_it.py skips as a whole" in done.stdout


def test_a_skip_without_a_case_is_only_reported(run: Run) -> None:
    """A test that proves no case may skip; the run names it with its reason."""
    done = run(SUITE.replace("def test_plain(): pass", "def test_plain(): pytest.skip('not today')"))

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "not today" in done.stdout


@PARALLEL
def test_cases_are_listed(run: Run, parallel: list[str]) -> None:
    """``--cases`` lists every case with the number of its tests, and runs nothing."""
    done = run(SUITE, "--cases", *parallel)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "E01    1  `..` `.` empty" in done.stdout
    assert "A02    -  kill -9 client" in done.stdout
    assert "1 of 166 cases have tests" in done.stdout
    assert "passed" not in done.stdout
