"""A replica that is the source, lies in it or around it, is refused, whatever the names of the two are."""

import pytest

from tests.support.faults.privileges import bind_mount
from tests.support.running.programs import Pair
from tests.support.trees.trees import build, look

pytestmark = pytest.mark.programs


@pytest.mark.case("G08")
@pytest.mark.parametrize("source, replica", [("both", "both"), ("both", "both/inner"), ("both/inner", "both")])
def test_overlapping(pair: Pair, source: str, replica: str) -> None:
    """One directory in both roles, or one in the other: the client says so, exits with 2, and nothing changes."""
    build(pair.place / "both", {"inner/file": "x"})
    before = look(pair.place / "both")
    pair.server(root=pair.place / replica)
    result = pair.once(source=pair.place / source)

    assert 2 == result.code
    (line,) = result.messages
    assert "choose another SOURCE or ROOT" in line
    assert before == look(pair.place / "both")


@pytest.mark.case("G08")
@pytest.mark.needs("privileged")
def test_same_by_another_name(pair: Pair) -> None:
    """A bind mount of the source is the source."""
    build(pair.source, {"file": "x"})
    pair.replica.mkdir()
    with bind_mount(pair.source, pair.replica):
        pair.server()
        result = pair.once()

        assert 2 == result.code
        assert {"file"} == look(pair.source).keys()


@pytest.mark.case("G08")
def test_running(pair: Pair) -> None:
    """A client that was to run does not try again for ever: a person has to choose another directory."""
    build(pair.source, {"file": "x"})
    pair.server(root=pair.source)
    result = pair.command("run")

    assert 2 == result.code
