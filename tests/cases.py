"""The cases of cases.toml and the rule about skipping them. Pure: conftest.py reads, counts and reports.

Rule: a test that is marked with a case either runs or is skipped for a reason that expected_skips.toml gives for this
kind of machine. So a green run cannot hide a case that is never run, and the list cannot outlive its reasons.
"""

import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from tests.capabilities import Capability


class InvalidList(Exception):
    """cases.toml or expected_skips.toml says what it cannot say."""


class ExpectedSkip(NamedTuple):
    """A skip that is right on a machine without one of these capabilities."""

    without: tuple[Capability, ...]
    reason: str


class Outcome(NamedTuple):
    """What became of one test that is marked with cases."""

    test: str
    cases: frozenset[str]
    skipped: bool
    reason: str = ""


def parse_cases(text: str) -> dict[str, str]:
    """Case id → scenario."""
    return {case: str(scenario) for case, scenario in tomllib.loads(text).items()}


def parse_expected_skips(text: str, cases: Iterable[str]) -> dict[str, ExpectedSkip]:
    """Case or test id → the skip that is expected of it.

    Raises:
        InvalidList: an unknown case, an unknown capability, or an entry without a reason.
    """
    known = set(cases)
    return {key: _expected_skip(key, entry, known) for key, entry in tomllib.loads(text).items()}


def _expected_skip(key: str, entry: object, cases: set[str]) -> ExpectedSkip:
    if "::" not in key and key not in cases:
        msg = f"expected_skips.toml: {key} is neither a case of cases.toml nor the id of a test"
        raise InvalidList(msg)
    match entry:
        case {"without": str(word), "reason": str(reason), **rest} if reason and not rest:
            return ExpectedSkip((capability(word),), reason)
        case {"without": [_, *_] as words, "reason": str(reason), **rest} if reason and not rest:
            return ExpectedSkip(tuple(map(capability, words)), reason)
    msg = f"expected_skips.toml: {key} needs exactly `without` and `reason`"
    raise InvalidList(msg)


def capability(word: str) -> Capability:
    """The capability of that name."""
    try:
        return Capability(word)
    except ValueError:
        msg = f"{word!r} is no capability; there are {', '.join(c.value for c in Capability)}"
        raise InvalidList(msg) from None


def judge(
    outcomes: Iterable[Outcome],
    expected: Mapping[str, ExpectedSkip],
    has: Callable[[Capability], bool],
    left_out: Collection[str] = (),
) -> Iterator[str]:
    """One line for each unexpected skip, and for each expected one that did not happen.

    ``left_out``: cases and ids of tests that this run did not select. Their entries cannot be judged by the rest.
    """
    in_force = {key for key, skip in expected.items() if not all(map(has, skip.without))}
    ran: set[str] = set()
    skipped: set[str] = set()
    for outcome in outcomes:
        keys = {outcome.test, *outcome.cases} & in_force
        (skipped if outcome.skipped else ran).update(keys)
        if outcome.skipped and not keys:
            yield (
                f"{outcome.test} ({', '.join(sorted(outcome.cases))}) was skipped, which expected_skips.toml does not "
                f"expect on this machine: {outcome.reason}"
            )
    for key in sorted(ran - skipped - set(left_out)):
        lacking = ", ".join(capability.value for capability in expected[key].without if not has(capability))
        yield f"expected_skips.toml: {key} no longer skips without {lacking}; remove it"
