"""Write the references of metrics and log events from the catalogues, or check whether they are up to date.

Only what people add by hand to the code stands in ``docs/metrics.md`` and ``docs/events.md``; the files themselves are
never edited.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dirsync.rpc.interceptors.call_metrics import grpc_metrics
from dirsync.runtime.log.events import REPEATED, Event
from dirsync.runtime.log.schema import DROPPED, EXCEPTION, HEAD, SCHEMA, Field
from dirsync.runtime.metrics.catalogue import CLIENT_CATALOGUE, SERVER_CATALOGUE, Metric, replica_metrics
from dirsync.wire.descriptors import AGENT_SERVICE, REPLICA_SERVICE, SYNC_SERVICE, methods

REPOSITORY = Path(__file__).resolve().parent.parent
METRICS = REPOSITORY / "docs" / "metrics.md"
EVENTS = REPOSITORY / "docs" / "events.md"
MANY_VALUES = 6
"""A label with more values than this has a list of its own."""


def main() -> int:
    """Exit status 0: written, or fresh; 1: stale, or an event without a schema."""
    parser = argparse.ArgumentParser(description="Write the references of metrics and log events.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a committed file is stale")
    check = parser.parse_args().check
    for event in (undocumented := sorted(set(Event) - SCHEMA.keys())):
        print(f"{event}: no schema; write one in dirsync.runtime.log.schema", file=sys.stderr)
    if undocumented:
        return 1
    stale = [path for path, text in files().items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(REPOSITORY)}: stale, run `make docs`", file=sys.stderr)
        else:
            path.write_text(files()[path])
    return 1 if check and stale else 0


def files() -> dict[Path, str]:
    """What each file has to hold."""
    return {METRICS: "\n".join(_metrics()) + "\n", EVENTS: "\n".join(_events()) + "\n"}


_METRICS_HEAD = """\
# Metrics

Both services answer at `/metrics` of `METRICS_LISTEN` in the text format of Prometheus. This page is made from the code
(`make docs`). Names and labels are a contract: they change only by adding.

Every series exists from the start, and no label has a path, a peer or anything else that comes from outside: the number
of series does not depend on what is mirrored. The label `namespace` has the namespaces of the server's settings. The
label `target` has the names that the client's setting `SERVER` gives its servers; with one server that has no name
there is no such label ([fan-out.md](fan-out.md)).

Two identities hold, and are tested: `logical` = `literal` + what was saved by `delta`, `dedup`, `rename` and
`unchanged`; `literal` = content as it was sent + what was saved by `compression`.

The objective of [deploy/prometheus/rules.yml](../deploy/prometheus/rules.yml), 99 % of all changes visible within a
second, is measured by `dirsync_change_lag_seconds` alone. It begins with the event of a change, as the client gets it,
and ends with the server's acknowledgement that the change is committed. The first sync does not count: what it brings
over has no event. A removal counts from its event too, so `DELETE_SETTLE` is part of it; one that a guard held counts
from its release. What only a scan finds counts from then.

Beside these there are `dirsync_build_info` (the label `version`, always 1) and the process's own figures
(`process_*`)."""


def _metrics() -> Iterator[str]:
    client, server = set(CLIENT_CATALOGUE), set(SERVER_CATALOGUE)
    served = [method for service in (SYNC_SERVICE, REPLICA_SERVICE, AGENT_SERVICE) for method in methods(service)]
    groups: dict[str, Iterable[Metric]] = {
        "Both services": [metric for metric in CLIENT_CATALOGUE if metric in server],
        "Client": [metric for metric in CLIENT_CATALOGUE if metric not in server],
        "Server": [
            *(metric for metric in SERVER_CATALOGUE if metric not in client),
            *replica_metrics(["(each namespace)"]),
        ],
        "gRPC, both services": grpc_metrics(served),
    }
    yield _METRICS_HEAD
    values: dict[str, tuple[str, ...]] = {}
    for title, metrics in groups.items():
        yield from ("", f"## {title}", "")
        yield from _table(
            ("name", "type", "labels", "meaning"),
            [(f"`{one.name}`", one.type.value, _labels(one, values), one.help) for one in metrics],
        )
    yield from ("", "## Values of labels", "")
    yield from _table(("label", "values"), [(name, _words(found)) for name, found in values.items()])


def _labels(metric: Metric, values: dict[str, tuple[str, ...]]) -> str:
    shown = []
    for position, label in enumerate(metric.labels):
        found = tuple(dict.fromkeys(series[position] for series in metric.series))
        if len(found) > MANY_VALUES:
            values[f"`{label}` of `{metric.name}`"] = found
            shown.append(f"`{label}`")
        else:
            shown.append(f"`{label}`: {_words(found)}")
    return "; ".join(shown)


_EVENTS_HEAD = """\
# Log events

Both services write one JSON object a line to stderr (`LOG_FORMAT=json`, or `auto` where stderr is no terminal). This
page is made from the code (`make docs`), and the tests hold every event of every program that they start against
it. Names and fields are a contract: they change only by adding."""


def _events() -> Iterator[str]:
    yield _EVENTS_HEAD
    yield from ("", "## What every event has", "")
    yield from _fields({**HEAD, "exception": EXCEPTION})
    yield from ("", "## Events that repeat", "")
    names = ", ".join(f"`{event}`" for event in sorted(REPEATED))
    yield f"A fault or a peer can cause these without end: {names}."
    yield "Of one event and kind 20 are written in a minute; the others are counted. At the end of the minute the event"
    yield "comes once more, with these fields in place of its own:"
    yield ""
    yield from _fields(DROPPED)
    for event, schema in SCHEMA.items():
        yield from ("", f"## {event}", "", schema.meaning, "")
        yield f"Level: {_words(schema.levels)}. Logged by: {' and '.join(schema.services)}."
        if schema.fields:
            yield ""
            yield from _fields(schema.fields)


def _fields(fields: dict[str, Field]) -> Iterator[str]:
    rows = [
        (f"`{name}`", f"{field.type}{', not always' if field.optional else ''}", field.meaning)
        for name, field in fields.items()
    ]
    yield from _table(("field", "type", "meaning"), rows)


def _words(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.exit(main())
