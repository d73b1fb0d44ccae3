"""Lists of servers, and what is set for each of them by its name."""

import pytest

from dirsync.limits import LIMITS
from dirsync.runtime.config.targets import PerTarget, TargetList, check_name, per_target


@pytest.mark.parametrize(
    "text, names",
    [
        ("a:50051", [("", "a:50051")]),
        ("unix:/run/a,b=c", [("", "unix:/run/a,b=c")]),
        ("ipv4:10.0.0.1:50051,10.0.0.2:50051", [("", "ipv4:10.0.0.1:50051,10.0.0.2:50051")]),
        ("xds:///a,b:50051", [("", "xds:///a,b:50051")]),
        ("a:50051,b:50051", [("a:50051", "a:50051"), ("b:50051", "b:50051")]),
        (" a:1 , b:2 ", [("a:1", "a:1"), ("b:2", "b:2")]),
        ("north=a:50051", [("north", "a:50051")]),
        ("north=a:1,south=b:2", [("north", "a:1"), ("south", "b:2")]),
        ("north=a:1,b:2", [("north", "a:1"), ("b:2", "b:2")]),
        ("north=ipv4:10.0.0.1:1,south=dns:///b:2", [("north", "ipv4:10.0.0.1:1"), ("south", "dns:///b:2")]),
        ("[::1]:1,[::1]:2", [("[::1]:1", "[::1]:1"), ("[::1]:2", "[::1]:2")]),
    ],
)
def test_lists(text: str, names: list[tuple[str, str]]) -> None:
    """One target is what it always was; several have names, their own or their addresses."""
    found = TargetList.parse(text)

    assert names == [(name, str(address)) for name, address in found.targets]
    assert bool(names[0][0]) == found.are_named
    assert found == TargetList.parse(str(found))


@pytest.mark.parametrize(
    "text, problem",
    [
        ("a:1,", "an item of the list is empty"),
        ("a:1,,b:2", "an item of the list is empty"),
        (",", "an item of the list is empty"),
        ("a:1,a:1", "a:1 is there twice"),
        ("x=a:1,x=b:1", "x is there twice"),
        ("x=a:1,X=b:1", "X is there twice"),
        ("=a:1", "must be 1 to 63 letters"),
        ("a b=c:1", "must be 1 to 63 letters"),
        ("-x=a:1", "must be 1 to 63 letters"),
        ("x=", "host:port"),
        ("x=y", "host:port"),
        ("a:1,b", "host:port"),
        (",".join(f"a:{port}" for port in range(1, LIMITS.max_targets + 2)), "max_targets"),
    ],
)
def test_refused(text: str, problem: str) -> None:
    """What is no list of targets is refused with what is wrong."""
    with pytest.raises(ValueError, match=problem):
        TargetList.parse(text)


def named(text: str) -> PerTarget[str]:
    """A value, or values by the names of targets."""
    found = per_target(check_name)(text)
    assert isinstance(found, PerTarget)
    return found


def test_per_target() -> None:
    """One value is for all targets; with names each has its own, and who is not named has none."""
    assert ("one", "one") == (named("one").of("a"), named("one").of(""))
    by_name = named("a=one, b=two")
    assert ("one", "two", None) == tuple(by_name.of(name) for name in ("a", "b", "c"))
    assert "a=one,b=two" == str(by_name)


@pytest.mark.parametrize(
    "text, problem",
    [
        ("a=one,two", "an item has no name"),
        ("a=one,a=two", "a is there twice"),
        ("a=", "a= is empty"),
        ("a=one,", "an item of the list is empty"),
        ("a=o/ne", "must be 1 to 63 letters"),
    ],
)
def test_per_target_refused(text: str, problem: str) -> None:
    """What is no list of values is refused with what is wrong."""
    with pytest.raises(ValueError, match=problem):
        named(text)


def test_unknown_names() -> None:
    """A name that no target has is told, with those that there are."""
    values = named("a=one,z=two")

    assert ["names z, which SERVER does not: they are a, b"] == list(values.unknown(TargetList.parse("a=h:1,b=h:2")))
    assert all("without a name" in line for line in values.unknown(TargetList.parse("h:1")))
    assert [] == list(named("one").unknown(TargetList.parse("h:1")))
