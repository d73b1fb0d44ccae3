"""Whether an event of a log is as documented (:mod:`dirsync.runtime.log.schema`)."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dirsync.runtime.log.events import REPEATED, Event
from dirsync.runtime.log.schema import DROPPED, EXCEPTION, HEAD, SCHEMA, Field, FieldType

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_CHECKS: dict[FieldType, Callable[[Any], bool]] = {
    FieldType.TEXT: lambda value: isinstance(value, str),
    FieldType.PATH: lambda value: isinstance(value, str),
    FieldType.PATHS: lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    FieldType.COUNT: lambda value: _is_whole(value) and value >= 0,
    FieldType.BYTES: lambda value: _is_whole(value) and value >= 0,
    FieldType.MILLISECONDS: lambda value: (_is_whole(value) or isinstance(value, float)) and value >= 0,
    FieldType.SECONDS: lambda value: (_is_whole(value) or isinstance(value, float)) and value >= 0,
    FieldType.DIGEST: lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
    FieldType.FLAG: lambda value: isinstance(value, bool),
    FieldType.OBJECT: lambda value: isinstance(value, dict),
}
_MAY_BE_NULL = {"namespace", "session"}


def faults(event: Mapping[str, Any]) -> Iterator[str]:
    """What is not as documented, one line each."""
    name = event.get("event")
    if name not in set(Event):
        yield f"{name}: not documented"
        return
    schema = SCHEMA[Event(name)]
    dropped = name in REPEATED and "suppressed" in event
    own = DROPPED if dropped else schema.fields
    fields = {**HEAD, **own}
    yield from (f"{name}: {field} is not documented" for field in event.keys() - fields.keys() - {"exception"})
    yield from (f"{name}: {field} is missing" for field in _missing(event, fields))
    for field, value in event.items():
        about = EXCEPTION if field == "exception" else fields.get(field)
        null = value is None and (field in _MAY_BE_NULL or (dropped and field == "kind"))
        if about is not None and not null and not _CHECKS[about.type](value):
            yield f"{name}: {field} is {value!r}, and no {about.type}"
    if event.get("level") not in schema.levels:
        yield f"{name}: level {event.get('level')} is none of {schema.levels}"
    if event.get("service") not in schema.services:
        yield f"{name}: {event.get('service')} is none of the services that log it"
    if not _TIME.fullmatch(str(event.get("timestamp"))):
        yield f"{name}: {event.get('timestamp')} is no time"


def _missing(event: Mapping[str, Any], fields: Mapping[str, Field]) -> list[str]:
    return [name for name, field in fields.items() if not field.optional and name not in event]


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
