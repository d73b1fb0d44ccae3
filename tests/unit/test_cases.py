"""The rule about skipping case tests, on its own."""

import pytest

from tests.capabilities import Capability
from tests.cases import ExpectedSkip, InvalidList, Outcome, judge, parse_cases, parse_expected_skips

A18 = frozenset({"A18"})
RAN = Outcome("t.py::ran", A18, skipped=False)
SKIPPED = Outcome("t.py::skipped", A18, skipped=True, reason="no engine")
BY_CASE = {"A18": ExpectedSkip((Capability.DOCKER,), "needs an engine")}
BY_TEST = {"t.py::skipped": ExpectedSkip((Capability.DOCKER,), "needs an engine")}


def has_all(_: Capability) -> bool:
    """A machine with everything."""
    return True


def has_none(_: Capability) -> bool:
    """A bare machine."""
    return False


@pytest.mark.parametrize("expected", [BY_CASE, BY_TEST])
def test_an_expected_skip_is_fine_where_the_capability_is_lacking(expected: dict[str, ExpectedSkip]) -> None:
    """A listed case or test may skip on a machine that lacks what the list says."""
    complaints = list(judge([SKIPPED, RAN], expected, has_none))

    assert [] == complaints


@pytest.mark.parametrize("expected", [BY_CASE, BY_TEST, {}])
def test_a_skip_is_named_where_nothing_is_lacking(expected: dict[str, ExpectedSkip]) -> None:
    """A machine that has the capability must run the case, listed or not."""
    (complaint,) = judge([SKIPPED], expected, has_all)

    assert complaint.startswith("t.py::skipped (A18) was skipped")
    assert complaint.endswith("no engine")


def test_an_unlisted_skip_is_named_on_a_bare_machine() -> None:
    """What a machine lacks excuses only what is listed."""
    (complaint,) = judge([SKIPPED], {}, has_none)

    assert complaint.startswith("t.py::skipped (A18)")


def test_an_entry_whose_tests_all_run_is_stale() -> None:
    """An entry is to be removed once its case runs although the capability is lacking."""
    complaints = list(judge([RAN], BY_CASE, has_none))

    assert ["expected_skips.toml: A18 no longer skips without docker; remove it"] == complaints


def test_an_entry_of_which_tests_were_left_out_is_not_judged() -> None:
    """A ring that leaves out the tests of a case that need more says nothing about its entry."""
    complaints = list(judge([RAN], BY_CASE, has_none, left_out={"A18"}))

    assert [] == complaints


def test_an_entry_without_a_test_in_this_run_is_not_judged() -> None:
    """A narrowed run says nothing about cases that it did not select."""
    complaints = list(judge([], BY_CASE, has_none))

    assert [] == complaints


def test_one_lacking_capability_of_several_is_enough() -> None:
    """A test that needs two things skips without either."""
    expected = parse_expected_skips('A18 = { without = ["docker", "loop"], reason = "needs both" }', {"A18"})

    assert [] == list(judge([SKIPPED], expected, lambda capability: capability is not Capability.LOOP))
    assert [] != list(judge([SKIPPED], expected, has_all))


def test_an_entry_not_in_force_is_not_stale() -> None:
    """On a machine that has everything, the list for poorer ones stays."""
    complaints = list(judge([RAN], BY_CASE, has_all))

    assert [] == complaints


def test_the_list_is_read() -> None:
    """A case and a test id are both keys."""
    text = """
        A18 = { without = "docker", reason = "needs an engine" }
        "t.py::skipped" = { without = "docker", reason = "needs an engine" }
    """

    actual = parse_expected_skips(text, {"A18"})

    assert BY_CASE | BY_TEST == actual


@pytest.mark.parametrize(
    "text, word",
    [
        ('Z99 = { without = "docker", reason = "x" }', "Z99"),
        ('A18 = { without = "luck", reason = "x" }', "luck"),
        ('A18 = { without = "docker", reason = "" }', "A18"),
        ('A18 = { without = [], reason = "x" }', "A18"),
        ('A18 = { without = ["docker", "luck"], reason = "x" }', "luck"),
        ('A18 = { without = "docker" }', "A18"),
        ('A18 = { without = "docker", reason = "x", until = "later" }', "A18"),
        ('A18 = "docker"', "A18"),
    ],
)
def test_a_wrong_entry_is_refused(text: str, word: str) -> None:
    """The message names what is wrong in the list."""
    with pytest.raises(InvalidList, match=word):
        parse_expected_skips(text, {"A18"})


def test_cases_keep_their_order() -> None:
    """Cases are listed as they are written."""
    actual = parse_cases('B02 = "two"\nA01 = "one"')

    assert [("B02", "two"), ("A01", "one")] == list(actual.items())
