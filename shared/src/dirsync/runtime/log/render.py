"""Escapes the values of log events, and writes events as JSON.

Text from a peer or a file name can neither break a line, nor forge one, nor control a terminal: bytes are paths and are
escaped by :func:`dirsync.tree.path.escape`, and so is all text.
"""

import json
import math
import os
import traceback
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dirsync.tree.path import escape

MAX_TEXT = 8192
"""Characters of one text in a log line."""
MAX_FRAMES = 30
"""Frames of a traceback in a log line."""


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def to_json(fields: Mapping[str, Any]) -> str:
    """One line of JSON; ``fields`` are clean (:func:`clean`)."""
    return _encode(fields)


def to_members(rows: Iterable[Mapping[str, object]]) -> Iterator[str]:
    """The members of a JSON object for each of ``rows``, which need not be clean, without the braces.

    Rows are quick if they have the same names in the same order as those before them.
    """
    names: list[str] = []
    template = ""
    for row in rows:
        if names != list(row):
            names = list(row)
            template = ",".join(f"{_encode(name).replace('%', '%%')}:%s" for name in names)
        yield template % tuple([v if type(v) is int else _encode(clean(v)) for v in row.values()])


def clean(value: object) -> object:
    """The value in a form that JSON can carry and a terminal can show safely."""
    if isinstance(value, str):
        return value if value.isascii() and value.isprintable() and len(value) <= MAX_TEXT else _clean_text(value)
    if isinstance(value, int) or value is None:
        return value
    return _clean_other(value)


def clean_exception(error: BaseException) -> str:
    """A traceback: its lines escaped one by one and indented, so that none looks like a line of the log."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__, limit=MAX_FRAMES))
    return "\n".join(f"  {_clean_text(line)}" for line in text.splitlines())


def _clean_text(text: str) -> str:
    shown = text[:MAX_TEXT]
    try:
        raw = shown.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = shown.encode("utf-8", "backslashreplace")
    return escape(raw) if len(text) <= MAX_TEXT else f"{escape(raw)}..."


def _clean_other(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        return escape(bytes(value[:MAX_TEXT]))
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, os.PathLike):
        return escape(os.fsencode(value))
    if isinstance(value, Mapping):
        return {_clean_text(str(key)): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item) for item in value]
    return _clean_text(str(value))
