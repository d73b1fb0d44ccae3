"""What ``/status.json`` has at both services: the parts of the document, each field with what it means.

The document is described in ``docs/status.md``, whose tables are made from these classes, and by the JSON schemas
beside it. Fields are added, never renamed. Sizes are in bytes, times in seconds since the epoch. Every list is bounded:
what is left out is counted in ``more``.
"""

import time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from dirsync import __version__
from dirsync.clock import monotonic
from dirsync.runtime.page.history import History

MAX_BYTES = 50 * 1024
"""Size of a document in bytes, whatever it has to show: the page fetches it every two seconds."""


class Part(BaseModel):
    """A part of the document: nothing is changed in it, and nothing is in it that is not described."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Verdict(Part):
    """How it stands, in one word, one sentence, and what to do."""

    state: str = Field(description="one word; see the list of states")
    text: str = Field(description="a sentence for people: what is the case, and why")
    advice: str = Field(description="what to do about it; empty where nothing is to be done")
    command: str = Field(description="the exact command to begin with; empty where there is none")


class RecentEvent(Part):
    """An event of the log."""

    time: str = Field(description="when it was logged, as in the log (RFC 3339, UTC)")
    level: str = Field(description="`info`, `warning` or `error`")
    event: str = Field(description="name of the event, as in the log")
    fields: dict[str, str | int | float] = Field(description="some of its fields, as in the log; long texts are cut")


class RecentEvents(Part):
    """The last events, the newest first."""

    shown: list[RecentEvent] = Field(description="at most 10 events of single files and 15 others")
    more: int = Field(description="events since the start that are not shown")


class Traffic(Part):
    """Sums since the start of the process, as in `/metrics`."""

    logical_bytes: int = Field(description="content of transferred files, before any saving")
    literal_bytes: int = Field(description="content that the replica did not have, before compression")
    wire_bytes: dict[str, int] = Field(description="bytes of messages, by direction: `sent`, `received`")
    saved_bytes: dict[str, int] = Field(description="bytes that did not have to be sent, by reason")
    files: dict[str, int] = Field(description="files transferred, by strategy")


class Hour(Part):
    """The last hour in steps. A step in which nobody looked is `null`."""

    step_seconds: float = Field(description="length of a step")
    end: float = Field(description="when the last step ended; the others follow each other before it")
    series: dict[str, list[int | float | None]] = Field(description="by name; the oldest step first, at most 360")


class Document(Part):
    """What both services show."""

    schema_version: Literal[1] = Field(description="grows if a field changes its meaning")
    service: str = Field(description="`client` or `server`")
    version: str = Field(description="version of the program")
    time: float = Field(description="when this was true")
    started: float = Field(description="when the process started")
    ready: bool = Field(description="as `/readyz` says")
    verdict: Verdict = Field(description="how it stands and what to do")
    traffic: Traffic = Field(description="sums since the start")
    hour: Hour = Field(description="the last hour")
    events: RecentEvents = Field(description="the last events of the log that LOG_LEVEL lets through")
    settings: dict[str, str] = Field(description="settings that bound or steer the sync, by name, as they are in force")


def time_of(moment: float) -> float:
    """The time of a moment by the monotonic clock, in seconds since the epoch."""
    return round(time.time() - (monotonic() - moment), 3)


def common(started: float, history: History) -> dict[str, Any]:
    """The fields that are the same at both services.

    Args:
        started: when the process started, by the monotonic clock.
        history: the last hour.
    """
    wall, now = time.time(), monotonic()
    return {
        "schema_version": 1,
        "version": __version__,
        "time": round(wall, 3),
        "started": time_of(started),
        "hour": Hour(
            step_seconds=history.step_seconds,
            end=round(wall - history.seconds_since_end(now), 3),
            series=history.series,
        ),
    }
