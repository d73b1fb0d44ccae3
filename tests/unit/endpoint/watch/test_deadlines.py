"""Keys with a time each."""

from dirsync.endpoint.watch.deadlines import Deadlines


def test_order() -> None:
    """Keys are taken earliest first, each once, and only those that are due."""
    deadlines: Deadlines[str] = Deadlines()
    for key, time in (("c", 3.0), ("a", 1.0), ("b", 2.0)):
        deadlines.set(key, time)

    assert list(deadlines.take(2.0)) == ["a", "b"]
    assert list(deadlines.take(2.0)) == []
    assert deadlines.earliest() == 3.0
    assert len(deadlines) == 1


def test_move() -> None:
    """A key has one time, the last that it was given, whether later or earlier."""
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("later", 1.0)
    deadlines.set("later", 5.0)
    deadlines.set("earlier", 5.0)
    deadlines.set("earlier", 1.0)

    assert list(deadlines.take(1.0)) == ["earlier"]
    assert deadlines.earliest() == 5.0


def test_discard() -> None:
    """A dropped key is never due; dropping one that does not wait is no fault."""
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)

    deadlines.discard("a")
    deadlines.discard("a")

    assert deadlines.earliest() is None
    assert list(deadlines.take(9.0)) == []


def test_memory() -> None:
    """A key that is moved over and over leaves no growing trace."""
    deadlines: Deadlines[str] = Deadlines()
    for time in range(10_000):
        deadlines.set("a", float(time))

    assert len(deadlines._heap) < 100
    assert list(deadlines.take(1e9)) == ["a"]
