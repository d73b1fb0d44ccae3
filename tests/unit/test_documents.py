"""What documents say of the project's own files is true."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"\b(tests/[\w/]+\.py)((?:::\w+)+)")
"""A test that a document names: its file, then its name, perhaps after that of its class."""
REPORT = re.compile(r"\| [\w.-]+/[\w.-]+#\d+ \(.+\) \|.+\|.+\| `tests/[\w/]+\.py(::\w+)+`.*\|$")
"""A row of docs/field.md: the report, what users suffered, what dirsync does, and the tests."""
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")])


@cache
def names_in(path: Path) -> frozenset[str]:
    """The functions and classes of a file."""
    tree = ast.parse(path.read_bytes())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_named_tests_exist(document: Path) -> None:
    """A test that proves a sentence has the name that stands there."""
    named = NAMED.findall(document.read_text())
    missing = [
        file + names
        for file, names in named
        if not (PROJECT / file).is_file() or not set(names.split("::")[1:]) <= names_in(PROJECT / file)
    ]

    assert missing == []


def test_guarantees_name_tests() -> None:
    """Each guarantee has at least one."""
    sections = (PROJECT / "docs" / "guarantees.md").read_text().split("\n## ")[1:]

    assert [section.splitlines()[0] for section in sections if not NAMED.search(section)] == []


def test_reports_name_tests() -> None:
    """Each kind of reports has five or more, and each of them a test that shows what dirsync does."""
    sections = (PROJECT / "docs" / "field.md").read_text().split("\n## ")[1:]
    rows = {lines[0]: [line for line in lines if "#" in line] for lines in map(str.splitlines, sections)}

    assert 12 == len(rows)
    assert [kind for kind, reports in rows.items() if len(reports) < 5] == []
    assert [row for reports in rows.values() for row in reports if not REPORT.match(row)] == []
