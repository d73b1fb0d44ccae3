"""The suite's own rules, as a pytest plugin: which tests a run takes, and which skips it may have.

- A run takes one ring of tests. The first (``make test``) needs nothing but Python and starts few programs. The second
  (``make test-all``, ``--ring two``) holds what is marked ``programs``, ``privileged``, ``needs`` or ``worlds``.
- Tests marked slow, faults, soak or bench are in neither. ``-m``, ``--case`` and a test named by its id take what they
  name from anywhere; a file takes both rings. The run says at its end what it left out and how to get it.
- ``case`` markers name cases of cases.toml, ``needs`` markers capabilities of :mod:`tests.capabilities`; anything else
  ends the run before it starts.
- The processes of a parallel run each collect everything, so what the collection showed is taken from any of them; what
  became of the tests comes with the reports.
- The rule about skipped case tests is that of :mod:`tests.cases`. A module that skips as a whole breaks it, because it
  hides which cases it holds.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import capabilities, cases
from tests.capabilities import Capability

HERE = Path(__file__).parent
ON_DEMAND = {
    "slow": "make test ARGS='-m slow'",
    "faults": "make faults",
    "soak": "make soak",
    "bench": "make test ARGS='-m bench'",
}

SECOND = ("programs", "privileged", "needs", "worlds")
RINGS = {
    "one": "of the first ring (make test)",
    "two": "of the second ring, which starts programs for seconds or needs more than Python (make test-all)",
}

_COLLECTED = "dirsync"


class Suite:
    """The rules and what one run has seen so far."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._wanted = frozenset[str](config.option.case or ())
        self._tests_of = Counter[str]()
        self._left_out = Counter[str]()
        self._outcomes: dict[str, cases.Outcome] = {}
        self._not_selected: set[str] = set()
        """Cases and ids of the tests that are left out."""
        self._complaints: list[str] = []
        try:
            self._cases = cases.parse_cases((HERE / "cases.toml").read_text())
            self._expected = cases.parse_expected_skips((HERE / "expected_skips.toml").read_text(), self._cases)
        except cases.InvalidList as error:
            raise pytest.UsageError(str(error)) from error
        for case in sorted(self._wanted - self._cases.keys()):
            msg = f"--case {case}: tests/cases.toml has no such case"
            raise pytest.UsageError(msg)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Check the markers of all tests, then keep those that belong to this run."""
        for item in items:
            self._check(item)
        kept: list[pytest.Item] = []
        others: list[pytest.Item] = []
        for item in items:
            (kept if self._selected(item) else others).append(item)
        self._not_selected = {key for item in others for key in (item.nodeid, *_cases(item))}
        if others:
            config.hook.pytest_deselected(items=others)
            items[:] = kept

    def _check(self, item: pytest.Item) -> None:
        try:
            needed = set(_needs(item))
        except cases.InvalidList as error:
            msg = f"{item.nodeid}: {error}"
            raise pytest.UsageError(msg) from error
        for case in sorted(_cases(item)):
            if case not in self._cases:
                msg = f"{item.nodeid}: tests/cases.toml has no case {case}"
                raise pytest.UsageError(msg)
            self._tests_of[case] += 1
            item.user_properties.append(("case", case))  # travels with the reports
        if _cases(item):
            keys = self._expected.keys() & {item.nodeid, *_cases(item)}
            for lacking in needed.difference(*(self._expected[key].without for key in keys)):
                msg = f"{item.nodeid}: expected_skips.toml does not expect it to skip without {lacking.value}"
                raise pytest.UsageError(msg)

    def _selected(self, item: pytest.Item) -> bool:
        option = self._config.option
        if option.cases:
            return False
        if self._wanted:
            return not self._wanted.isdisjoint(_cases(item))
        if option.markexpr or any("::" in argument for argument in self._config.args):
            return True
        if demanded := _marker(item, ON_DEMAND):
            self._left_out[f"marked {demanded} ({ON_DEMAND[demanded]})"] += 1
            return False
        ring = "two" if _marker(item, SECOND) else "one"
        if ring != option.ring and not self._names_a_file:
            self._left_out[RINGS[ring]] += 1
            return False
        return True

    @property
    def _names_a_file(self) -> bool:
        return all(argument.endswith(".py") for argument in self._config.args)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip where the machine lacks what a test needs."""
        for capability in _needs(item):
            if not capabilities.has(capability):
                pytest.skip(capability.missing)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """No module skips as a whole."""
        if report.skipped:
            self._complaints.append(f"{report.nodeid} skips as a whole ({_reason(report)}); mark its tests instead")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember what became of each test of a case."""
        marked = frozenset(str(value) for name, value in report.user_properties if name == "case")
        if marked and (report.skipped or report.when == "call"):
            self._outcomes[report.nodeid] = cases.Outcome(report.nodeid, marked, report.skipped, _reason(report))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a process of a parallel run has collected; one that crashed has nothing to say."""
        collected = getattr(node, "workeroutput", {}).get(_COLLECTED)
        if collected is not None:
            tests_of, left_out, not_selected, complaints = collected
            self._not_selected = set(not_selected)
            self._tests_of, self._left_out = Counter(tests_of), Counter(left_out)
            self._complaints = complaints

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge the skips; a run that only lists has done what it was asked for."""
        output = getattr(self._config, "workeroutput", None)
        if output is not None:
            collected = (dict(self._tests_of), dict(self._left_out), sorted(self._not_selected), self._complaints)
            output[_COLLECTED] = collected
            return
        outcomes = self._outcomes.values()
        self._complaints += cases.judge(outcomes, self._expected, capabilities.has, self._not_selected)
        if self._complaints and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        elif self._config.option.cases and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was left out, what has no test, and which skips break the rule."""
        write = terminalreporter.write_line
        if self._config.option.cases:
            for case, scenario in self._cases.items():
                write(f"{case} {self._tests_of[case] or '-':>4}  {scenario}")
            write(f"{len(self._tests_of)} of {len(self._cases)} cases have tests")
        elif self._wanted:
            for case in sorted(self._wanted - self._tests_of.keys()):
                write(f"{case} has no test: {self._cases[case]}")
        for what, count in sorted(self._left_out.items()):
            write(f"left out: {count} {what}")
        if self._complaints:
            terminalreporter.section("skips that fail this run", red=True, bold=True)
            for complaint in self._complaints:
                write(complaint)


def _cases(item: pytest.Item) -> set[str]:
    return {str(case) for marker in item.iter_markers("case") for case in marker.args}


def _marker(item: pytest.Item, markers: Iterable[str]) -> str | None:
    return next((marker for marker in markers if item.get_closest_marker(marker)), None)


def _needs(item: pytest.Item) -> Iterator[Capability]:
    if item.get_closest_marker("privileged"):
        yield Capability.PRIVILEGED
    for marker in item.iter_markers("needs"):
        yield from map(cases.capability, marker.args)


def _reason(report: pytest.CollectReport | pytest.TestReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else ""
