"""What code that is traced sees: spans, and the text by which a span of another process becomes their parent.

The tracer of this module makes none, and costs nothing to speak of. That of :mod:`dirsync.runtime.trace.otel` takes its
place where traces are wanted.
"""


class Span:
    """Something that takes time. This one is recorded nowhere."""

    traceparent = ""
    """The span as W3C Trace Context writes it, for a peer; empty: it is not recorded."""

    def set(self, **attributes: str | int) -> None:
        """Add attributes."""

    def end(self, problem: str = "") -> None:
        """It is over; ``problem`` says what went wrong, if something did."""


class Tracer:
    """Starts spans. This one starts none that are recorded."""

    is_on = False
    """Whether spans are recorded: otherwise what they would need, need not be gathered."""

    def start(
        self,
        name: str,  # noqa: ARG002 - this and the others are for those who record
        *,
        parent: str = "",  # noqa: ARG002
        ago: float = 0.0,  # noqa: ARG002
        **attributes: str | int,  # noqa: ARG002
    ) -> Span:
        """Start a span, below that of ``parent`` if that is one, ``ago`` seconds before now."""
        return NO_SPAN

    def close(self, seconds: float) -> None:
        """Export what is recorded, for at most so long."""


NO_SPAN = Span()
NO_TRACER = Tracer()
