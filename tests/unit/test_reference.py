"""The references of metrics and log events, and the dashboard, are those of the code; every event has a schema."""

import json
from pathlib import Path
from typing import Any

import pytest

from dirsync.runtime.log.events import Event
from dirsync.runtime.log.schema import HEAD, SCHEMA, FieldType
from dirsync.runtime.metrics.catalogue import CATALOGUE, replica_metrics
from scripts import reference
from scripts.dashboard import __main__ as dashboard
from tests.support.running.events import faults

FILES = reference.files() | dashboard.files()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_fresh(path: Path) -> None:
    """What is committed is what the code gives; `make reference` and `make dashboard` write it."""
    assert FILES[path] == path.read_text()


def test_complete() -> None:
    """The pages have every metric and every event."""
    metrics, events = reference.METRICS.read_text(), reference.EVENTS.read_text()
    missing = [one.name for one in (*CATALOGUE, *replica_metrics(["a"])) if f"| `{one.name}` |" not in metrics]

    assert [] == missing
    assert [] == [event for event in Event if f"\n## {event}\n" not in events]


def test_every_event_has_a_schema() -> None:
    """No event can be logged that is not documented, and no field has a name of the head, or two meanings of a type."""
    types: dict[str, set[FieldType]] = {}
    for schema in SCHEMA.values():
        for name, field in schema.fields.items():
            types.setdefault(name, set()).add(field.type)

    assert set(Event) == SCHEMA.keys()
    assert not types.keys() & HEAD.keys()
    assert {} == {name: found for name, found in types.items() if len(found) > 1 and name != "paths"}


GOOD: dict[str, Any] = {
    "timestamp": "2026-01-02T03:04:05.678Z",
    "level": "warning",
    "event": "file.problem",
    "service": "client",
    "version": "0.1.0",
    "namespace": "default",
    "session": None,
    "path": "a",
    "kind": "unreadable",
    "problem": "a cannot be read",
}


def test_good_event() -> None:
    """Positive control: an event as documented has no fault, with its optional fields and without, and in its place."""
    dropped = {name: value for name, value in GOOD.items() if name in HEAD}
    dropped |= {"kind": None, "suppressed": 3, "message": "3 more"}

    assert [] == list(faults(GOOD))
    assert [] == list(faults({**GOOD, "strategy": "delta", "exception": "Traceback"}))
    assert [] == list(faults(dropped))


@pytest.mark.parametrize(
    "changes, fault",
    [
        ({"event": "file.lost"}, "file.lost: not documented"),
        ({"size": 1}, "file.problem: size is not documented"),
        ({"path": None}, "file.problem: path is None, and no text"),
        ({"level": "info"}, "file.problem: level info is none of ('warning',)"),
        ({"service": "server"}, "file.problem: server is none of the services that log it"),
        ({"timestamp": "now"}, "file.problem: now is no time"),
        ({"suppressed": -1, "message": "1 more"}, "file.problem: suppressed is -1, and no count"),
    ],
)
def test_faults(changes: dict[str, object], fault: str) -> None:
    """Whatever is not as documented is told."""
    assert fault.partition(", and no")[0] in " ".join(faults({**GOOD, **changes}))


REQUIRED = [name for name, field in HEAD.items() if not field.optional]


@pytest.mark.parametrize("field", [*REQUIRED, "path", "problem"])
def test_missing(field: str) -> None:
    """A field that has to be there is missed."""
    assert list(faults({name: value for name, value in GOOD.items() if name != field}))


def test_dashboard_is_well_formed() -> None:
    """Grafana gets one panel with each number, side by side and never over each other, each with its expressions."""
    made = json.loads(dashboard.DASHBOARD.read_text())
    panels = made["panels"]
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    shown = [panel for panel in panels if panel["type"] != "row"]

    assert len(panels) == len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels})
    assert len(cells) == len(set(cells))
    assert all(0 <= x < 24 for x, _ in cells)
    assert all(panel["targets"] and panel["description"].endswith(".") for panel in shown)
    assert {"stat", "timeseries"} == {panel["type"] for panel in shown}
