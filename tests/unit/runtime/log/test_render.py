"""What may stand in a log line."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dirsync.runtime.log.events import Event
from dirsync.runtime.log.render import MAX_TEXT, clean, clean_exception, to_json, to_members

LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.characters(categories=["Cs"])
)
VALUES = st.recursive(LEAVES, lambda v: st.lists(v) | st.dictionaries(st.text(), v) | st.tuples(v, v), max_leaves=10)


@given(VALUES)
@pytest.mark.case("E02")
def test_any_value_is_one_clean_line(value: object) -> None:
    """Whatever a field holds, the event is one line of JSON without a character that acts on a terminal."""
    line = to_json({"field": clean(value)})

    json.loads(line)
    line.encode()
    assert set() == {c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


@pytest.mark.parametrize(
    "value, shown",
    [
        ("plain", "plain"),
        ("Füße", "Füße"),
        (b"a/\xff\n", "a/\\xff\\x0a"),
        ("\x1b[31m\u202e", "\\x1b[31m\\u202e"),
        ("\udcff", "\\xff"),
        (Path("a\n"), "a\\x0a"),
        (Event.FILE_SYNCED, "file.synced"),
        (float("inf"), "inf"),
        ((1, [b"x"]), [1, ["x"]]),
        ({1: {"a\n": None}}, {"1": {"a\\x0a": None}}),
        (frozenset({1}), [1]),
    ],
)
def test_clean(value: object, shown: object) -> None:
    """Paths and text are escaped, collections are lists and objects."""
    assert shown == clean(value)


def test_long_text_is_cut() -> None:
    """One field cannot make a line of any length."""
    assert f"{'x' * MAX_TEXT}..." == clean("x" * 1_000_000)
    assert MAX_TEXT >= len(str(clean(b"x" * 1_000_000)))


def test_exception_cannot_forge_a_line() -> None:
    """Each line of a traceback is indented and escaped, also those that the message brings along."""
    error = ValueError("first\n{\x1b[1m")

    lines = clean_exception(error).split("\n")

    assert ["  ValueError: first", "  {\\x1b[1m"] == lines[-2:]
    assert all(line.startswith("  ") for line in lines)


def test_members_are_those_of_single_lines() -> None:
    """Rows that are rendered together are what each is alone, whatever their names and values are."""
    rows: list[dict[str, object]] = [
        {"path": b"a/b", "size": 3, "share": 0.5},
        {"path": b"\xff\n\"'%s\\", "size": True, "share": None},
        {"path": "\u202eevil\x1b", "size": float("nan"), "share": [b"x", 1]},
        {"share": 1, "path": Path("/a b"), "size": {"n": b"\0"}},
        {"odd % %s": "100%", "\xe9": -1},
    ]
    alone = [to_json({name: clean(value) for name, value in row.items()}) for row in rows]

    assert alone == [f"{{{members}}}" for members in to_members(rows)]
