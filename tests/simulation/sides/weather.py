"""How bad the network of a world is."""

from random import Random


class Weather:
    """How bad the network is. All chances are those of one event."""

    def __init__(self, random: Random) -> None:
        self.slowest = random.choice((0.001, 0.02, 0.3, 2.0))
        self.cut_call = random.choice((0.0, 0.02, 0.1))
        """A call is cut somewhere in its course."""
        self.cut_before_answer = random.choice((0.0, 0.02, 0.1))
        """The connection is cut when the server answers: what it did is done, and nobody is told."""
        self.twice = random.choice((0.0, 0.1, 0.3))
        """A call of one message is delivered twice."""
        self.silent_for = random.choice((0.0, 5.0, 30.0))
        """How long a side may take to notice that a connection was cut."""

    def clear(self) -> None:
        """From now on it is good."""
        self.slowest = 0.001
        self.cut_call = self.cut_before_answer = self.twice = self.silent_for = 0.0
