"""The network between client and server: calls as gRPC makes them, over a connection that may fail at any moment.

What gRPC promises is kept: messages of a call arrive whole, in their order, once, and each side learns that a call has
ended. Everything else is chance: how long a message takes, when the connection is cut, how much of what was sent has
arrived by then, and when each side notices.
"""

from collections.abc import Callable
from random import Random
from typing import Protocol

from dirsync.errors import DirsyncError, Unavailable
from tests.simulation.machine.process import Crashed
from tests.simulation.scheduler import Scheduler
from tests.simulation.sides.weather import Weather


class ServerCall(Protocol):
    """One call at the server."""

    def receive(self, message: bytes) -> list[bytes]:
        """Take a message; the responses that are due."""
        ...

    def close(self) -> None:
        """The call is over, well or not."""
        ...


_APART = 1e-6
"""Seconds between two messages of a call, at least."""

Accept = Callable[[str, "Stream"], ServerCall | None]
"""Begins a call of a method at the server; ``None`` where nobody listens."""


class Stream:
    """One call."""

    def __init__(
        self,
        network: "Network",
        method: str,
        on_message: Callable[[bytes], None],
        on_end: Callable[[DirsyncError | None], None],
    ) -> None:
        self.number = network.next_number()
        self.method = method
        self._network = network
        self._on_message = on_message
        self._on_end = on_end
        self._call: ServerCall | None = None
        self._arrival = {"up": 0.0, "down": 0.0}
        self._cut_after = network.messages_before_cut()
        self._is_cut = False
        self._lost: set[str] = set()
        """Ways on which a message was lost, and so everything after it."""
        self.client_ended = False
        self.server_ended = False

    # The client's end.

    def send(self, message: bytes) -> None:
        """Send a message."""
        if not (self._is_cut or self.client_ended):
            self._count()
            self._travel("up", len(message), lambda: self._arrive(message))

    def finish(self) -> None:
        """Nothing more is sent."""
        if not (self._is_cut or self.client_ended):
            self._travel("up", 0, self._half_closed)

    def cancel(self) -> None:
        """The client gives the call up; the server learns of it."""
        self.client_ended = True
        if not self._is_cut:
            self._travel("up", 0, lambda: self._end_server("cancelled"))

    # The network.

    def cut(self) -> None:
        """Break it off; what is under way may still arrive, and each side notices when it does."""
        if not self._is_cut:
            self._is_cut = True
            network = self._network
            network.scheduler.note(f"call {self.number} is cut")
            network.later(network.time_to_notice(), f"server loses call {self.number}", lambda: self._end_server("cut"))
            network.later(network.time_to_notice(), f"client loses call {self.number}", lambda: self.end_client(lost()))

    def _count(self) -> None:
        if self._cut_after is not None:
            self._cut_after -= 1
            if self._cut_after < 0:
                self._cut_after = None
                self.cut()

    def _travel(self, way: str, size: int, action: Callable[[], None]) -> None:
        """Arrive after everything that went the same way before."""
        scheduler = self._network.scheduler
        arrival = max(self._arrival[way] + _APART, scheduler.now + self._network.latency())
        self._arrival[way] = arrival
        label = f"{way} {self.number} {self.method} {size}"
        self._network.later(arrival - scheduler.now, label, action)

    # The server's end.

    def _arrive(self, message: bytes) -> None:
        if self.server_ended or self._loses("up"):
            return
        network = self._network
        if self._call is None:
            self._call = network.accept(self.method, self)
            if self._call is None:
                self.server_ended = True
                self._answer_end(lost())
                return
        try:
            responses = self._call.receive(message)
        except DirsyncError as error:
            network.scheduler.note(f"call {self.number} fails: {type(error).__name__} {error.reason}")
            self._end_server("failed")
            self._answer_end(error)
            return
        except Crashed:
            return
        if responses and network.is_cut_before_answer():
            self.cut()
            return
        for response in responses:
            self.answer(response)

    def answer(self, message: bytes) -> None:
        """Send a message to the client."""
        if not (self._is_cut or self.server_ended):
            self._count()
            self._travel("down", len(message), lambda: self._deliver(message))

    def end_after(self, messages: list[bytes]) -> None:
        """Send these and end, well, unless the connection is cut just before."""
        if self._network.is_cut_before_answer():
            self.cut()
            return
        for message in messages:
            self.answer(message)
        self.end_by_server()

    def end_by_server(self) -> None:
        """The server ends it, well."""
        self._end_server("done")
        self._answer_end(None)

    def _half_closed(self) -> None:
        if not self.server_ended and self._call is not None:
            self.end_by_server()

    def _answer_end(self, error: DirsyncError | None) -> None:
        if not self._is_cut:
            self._travel("down", 0, lambda: self._deliver_end(error))

    def _end_server(self, _reason: str) -> None:
        if not self.server_ended:
            self.server_ended = True
            if self._call is not None:
                self._call.close()

    def lose_server(self) -> None:
        """The server died: it will not close the call, and the client notices sometime."""
        if not self.server_ended:
            self.server_ended = True
            self.cut()

    def _deliver(self, message: bytes) -> None:
        if not (self.client_ended or self._loses("down")):
            self._on_message(message)

    def _deliver_end(self, error: DirsyncError | None) -> None:
        if not self._loses("down"):
            self.end_client(error)

    def _loses(self, way: str) -> bool:
        if self._is_cut and self._network.is_lost():
            self._lost.add(way)
        return way in self._lost

    def end_client(self, error: DirsyncError | None) -> None:
        """The client learns that the call is over."""
        if not self.client_ended:
            self.client_ended = True
            self._on_end(error)


def lost() -> Unavailable:
    """What a client sees of a connection that is gone."""
    return Unavailable("the connection was lost")


class Network:
    """All calls between one client and one server."""

    def __init__(self, scheduler: Scheduler, random: Random) -> None:
        self.scheduler = scheduler
        self.weather = Weather(random)
        self.accept: Accept = lambda _method, _stream: None
        self.is_partitioned = False
        self._random = random
        self._streams: list[Stream] = []
        self._number = 0

    def next_number(self) -> int:
        """A number for a call."""
        self._number += 1
        return self._number

    def open(
        self, method: str, on_message: Callable[[bytes], None], on_end: Callable[[DirsyncError | None], None]
    ) -> Stream:
        """Begin a call."""
        stream = Stream(self, method, on_message, on_end)
        self._streams = [known for known in self._streams if not (known.client_ended and known.server_ended)]
        self._streams.append(stream)
        if self.is_partitioned:
            stream.cut()
        return stream

    def call(self, method: str, request: bytes) -> list[bytes]:
        """Call with one message and wait for all that comes back, while everything else goes on.

        Raises:
            DirsyncError: as the server said, or the connection was lost.
        """
        answers: list[bytes] = []
        ended: list[DirsyncError | None] = []
        stream = self.open(method, answers.append, ended.append)
        stream.send(request)
        stream.finish()
        if self._random.random() < self.weather.twice:
            again = self.open(method, lambda _message: None, lambda _error: None)
            again.send(request)
            again.finish()
        self.scheduler.run_while(lambda: not ended and not stream.client_ended)
        if not ended:
            raise Crashed
        error = ended[0]
        if error is not None:
            raise error
        return answers

    def cut_all(self) -> None:
        """Break off every call."""
        for stream in list(self._streams):
            stream.cut()

    def lose_server(self) -> None:
        """The server died."""
        for stream in list(self._streams):
            stream.lose_server()

    def lose_client(self) -> None:
        """The client died: nobody there takes anything any more, and the server notices sometime."""
        for stream in list(self._streams):
            stream.client_ended = True
            stream.cut()

    def later(self, seconds: float, label: str, action: Callable[[], None]) -> None:
        """Do this after some time."""
        self.scheduler.after(seconds, label, action)

    def latency(self) -> float:
        """How long a message takes."""
        return self._random.random() ** 3 * self.weather.slowest

    def time_to_notice(self) -> float:
        """How long a side takes to notice a cut."""
        return self._random.random() * self._random.choice((0.01, self.weather.silent_for))

    def messages_before_cut(self) -> int | None:
        """After how many messages a call is cut, if it is."""
        return self._random.randrange(8) if self._random.random() < self.weather.cut_call else None

    def is_cut_before_answer(self) -> bool:
        """Whether an answer is lost with its connection."""
        return self._random.random() < self.weather.cut_before_answer

    def is_lost(self) -> bool:
        """Whether a message that was under way when its call was cut is lost, and all after it."""
        return self._random.random() < 0.5
