"""Hypothesis profiles, and the suite's own rules (:mod:`tests.suite`)."""

import gc
import os

import hypothesis
import pytest

from tests.suite import RINGS, Suite

pytest_plugins = ("tests.support.running.fixtures", "tests.spreading")

# Two cores are shared with other work: how long an example takes says nothing about the code.
hypothesis.settings.register_profile(
    "default",
    max_examples=50,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# Nothing lands or fails by luck; surprises are for the thorough profile.
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("default"), derandomize=True)
# For make coverage, which asks what is reached at all.
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("ci"), max_examples=10)
hypothesis.settings.register_profile("thorough", hypothesis.settings.get_profile("default"), max_examples=2000)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of ``pytest`` that this suite adds."""
    parser.addoption("--ring", choices=RINGS, default="one", help="which ring of tests to run (tests/suite.py)")
    group = parser.getgroup("cases", "fault and abuse cases (tests/cases.toml)")
    group.addoption("--case", action="append", metavar="ID", help="run only the tests of this case; may be repeated")
    group.addoption("--cases", action="store_true", help="list all cases with the number of their tests; run nothing")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Listing the cases runs nothing, so it is done in one process: others would have nothing to report."""
    if config.option.cases and hasattr(config.option, "numprocesses"):
        config.option.numprocesses = config.option.maxprocesses = None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Have the collector run: to import a program stops it, and a process of many tests would grow by gigabytes."""
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """Put the rules in force."""
    config.pluginmanager.register(Suite(config), "dirsync-suite")
